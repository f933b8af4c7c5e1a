"""Write the alert rules of `deploy/prometheus/rules` as the resource that Prometheus' operator reads.

`python -m deploy.kubernetes.prometheus_rules`, after each change of a rule; a test refuses what differs.
"""

from pathlib import Path
from typing import Any, Final

import yaml

RULES: Final = Path(__file__).parent.parent / "prometheus" / "rules"
WRITTEN: Final = Path(__file__).parent / "monitoring" / "rules.yaml"
HEAD: Final = (
    "# Written by python -m deploy.kubernetes.prometheus_rules from deploy/prometheus/rules: change it there.\n"
)


def resource() -> dict[str, Any]:
    """Return all groups of all files as one PrometheusRule."""
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(RULES.glob("*.yml"))]
    groups = [group for file in files for group in file["groups"]]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "lanjie"},
        "spec": {"groups": groups},
    }


def text() -> str:
    """Return what the file should hold."""
    return HEAD + yaml.safe_dump(resource(), sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    WRITTEN.write_text(text(), encoding="utf-8")
