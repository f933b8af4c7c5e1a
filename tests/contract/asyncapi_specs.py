"""The JSON Schema of AsyncAPI 3.0.0 itself: out of the specification's npm package, once, into a cache."""

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

PACKAGE: Final = "@asyncapi/specs@6.11.1"
SHA256: Final = "01af8744dc33c0c7eb2e908f6a955319ee58b70ecadc9387d1aeb16c0cd28928"
FETCHING_SECONDS: Final = 300
SCHEMA: Final = "package/schemas/3.0.0.json"
CACHE: Final = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lanjie" / f"asyncapi-{SHA256[:12]}.json"
)


def schema_of_asyncapi() -> dict[str, Any]:
    """Return the schema that an AsyncAPI 3.0.0 document must fit."""
    if not CACHE.exists():
        CACHE.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE.parent) as folder:
            fresh = Path(folder) / "schema.json"
            fresh.write_bytes(_fetched(Path(folder)))
            fresh.rename(CACHE)
    schema: dict[str, Any] = json.loads(CACHE.read_text(encoding="utf-8"))
    return schema


def _fetched(folder: Path) -> bytes:
    npm = shutil.which("npm")
    assert npm, "npm is not on the PATH (Debian: apt-get install npm): it fetches the schema of AsyncAPI"
    subprocess.run([npm, "pack", "--silent", PACKAGE], cwd=folder, check=True, timeout=FETCHING_SECONDS)
    [archive] = folder.glob("*.tgz")
    assert sha256(archive.read_bytes()).hexdigest() == SHA256, f"{PACKAGE} is not what it was"
    with tarfile.open(archive) as files:
        found = files.extractfile(SCHEMA)
        assert found, f"{PACKAGE} has no {SCHEMA}"
        return found.read()
