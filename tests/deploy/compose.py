"""`deploy/compose.yaml` as compose itself reads it."""

from functools import cache
from typing import Any

import yaml

from deploy.local.config import ROOT
from tests.deploy import tools

FILE = ROOT / "deploy" / "compose.yaml"


@cache
def composed() -> dict[str, Any]:
    """Return the whole model: merged, checked against compose's schema and for what belongs together."""
    model: dict[str, Any] = yaml.safe_load(tools.run(tools.compose(), FILE.name, cwd=FILE.parent))
    return model
