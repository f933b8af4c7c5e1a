"""The run that pages are typed against."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.workplace import Run, a_run


@pytest.fixture(scope="module")
def shared_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Yield a run that all pages share which do not ask for one of their own; it is gone before other runs begin."""
    with a_run(Path(tmp_path_factory.mktemp("run")), {}) as run:
        yield run
