"""The alert rules and their unit tests, as read from their files."""

import re
from pathlib import Path
from typing import Any

import yaml

from deploy.local.config import ROOT
from deploy.local.prometheus import RULES

CASES = Path(__file__).parent / "rules"
RUNBOOKS = ROOT / "docs" / "runbooks.md"
ALWAYS = "LanjieWatchdog"
"""It fires always: that is what it is for, so it has no severity and no case in which it does not."""


def rules() -> list[dict[str, Any]]:
    return [rule for path in sorted(RULES.glob("*.yml")) for group in _read(path)["groups"] for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    found = [rule for rule in rules() if "alert" in rule]
    named = {rule["alert"]: rule for rule in found}
    assert len(named) == len(found), "two alerts of one name"
    return named


def covered(*, firing: bool) -> set[str]:
    """Names of the alerts that a unit test expects to fire, or not to fire."""
    return {
        check["alertname"]
        for path in CASES.glob("*.yml")
        for case in _read(path)["tests"]
        for check in case["alert_rule_test"]
        if bool(check["exp_alerts"]) == firing
    }


def sections() -> list[str]:
    """Headings of the runbooks that name an alert."""
    return re.findall(r"^### (Lanjie\w+)$", RUNBOOKS.read_text(encoding="utf-8"), re.MULTILINE)


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content
