"""The reference pack, compiled once."""

import pytest

from deploy.local.config import REFERENCE
from services.rules.pack.compiled import CompiledPack
from services.rules.pack.compiling import compile_pack
from services.rules.pack.files import read_folder


@pytest.fixture(scope="session")
def reference_files() -> dict[str, str]:
    """The files of the reference pack."""
    return read_folder(REFERENCE / "rules")


@pytest.fixture(scope="session")
def reference_pack(reference_files: dict[str, str]) -> CompiledPack:
    """The pack that a bank would start with."""
    return compile_pack(reference_files)
