"""A whole local run, started by the command a user types, for the tests to use and to hurt."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stack import Stack, running_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Yield a run that all end-to-end tests share."""
    with running_stack(Path(tmp_path_factory.mktemp("run"))) as running:
        yield running


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """Yield a run of the test's own, to be hurt."""
    with running_stack(tmp_path) as running:
        yield running
