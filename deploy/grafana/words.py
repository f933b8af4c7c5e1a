"""What police call what services know by codes; of the reference data, which an installation may have more of."""

from pathlib import Path
from typing import Final

import yaml

from deploy.grafana.board import Titles

VOCABULARY: Final = Path(__file__).parent.parent / "reference" / "vocabulary.yaml"

LEVELS: Final = (("clear", "放行"), ("caution", "提示"), ("alert", "预警"))
FINDINGS: Final = (("confirmed", "属实"), ("unfounded", "不属实"))


def scam_types() -> Titles:
    """Return the scam types by their codes, and what the services say where there is none."""
    kinds = yaml.safe_load(VOCABULARY.read_text(encoding="utf-8"))["scam_types"]
    return (*((kind["code"], kind["name"]) for kind in kinds), ("none", "未判明"))
