"""What the checks of the deployment take longer for: tools are built the first time, and an image is put together."""

from pathlib import Path

import pytest

from tests.deploy import tools

PATIENCE_SECONDS = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give these tests time: what is fetched and built once counts as the first one's."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(PATIENCE_SECONDS))


@pytest.fixture(scope="session", autouse=True)
def _tools_are_there() -> None:
    tools.kustomize()
    tools.compose()
    tools.definitions()
