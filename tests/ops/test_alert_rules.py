"""Every alert comes when it must and not when it must not, says what to do, and asks for metrics that there are."""

import re
import subprocess
from pathlib import Path

import pytest

from deploy.local.prometheus import PROMETHEUS, RULES, tool
from services.intake.metrics import Metrics as IntakeMetrics
from services.notifier.metrics import Metrics as NotifierMetrics
from services.rules.metrics import Metrics as RulesMetrics
from tests.ops.alerts import ALWAYS, CASES, alerts, covered, rules, sections

OF_PROMETHEUS = {"job", "instance", "le"}


def promtool(*words: object) -> None:
    done = subprocess.run(
        [tool("promtool"), *map(str, words)], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def known() -> dict[str, set[str]]:
    """Return the labels of every series that the services' code offers, by the name Prometheus stores it under."""
    labels = {"up": set[str]()}
    for service in (IntakeMetrics(), RulesMetrics(), NotifierMetrics()):
        for metric in service.shelf.metrics:
            for suffix in ("", "_bucket", "_count", "_sum") if metric.type == "histogram" else ("",):
                labels[metric.name + suffix] = set(metric.labels)
    return labels


def without_texts(expression: str) -> str:
    return re.sub(r'"[^"]*"', '""', expression)


def test_promtools_lint_finds_nothing_in_the_rules_and_the_configuration() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", *sorted(RULES.glob("*.yml")))
    promtool("check", "config", "--lint=all", "--lint-fatal", PROMETHEUS)


@pytest.mark.parametrize("cases", sorted(CASES.glob("*.yml")), ids=lambda path: path.stem)
def test_alerts_come_when_they_must_with_the_words_they_must(cases: Path) -> None:
    promtool("test", "rules", cases)


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    assert covered(firing=True) == set(alerts())
    assert covered(firing=False) == set(alerts()) - {ALWAYS}


def test_every_alert_says_how_grave_it_is_what_is_wrong_and_where_to_read_on() -> None:
    for name, alert in alerts().items():
        assert alert["labels"]["severity"] in ({"none"} if name == ALWAYS else {"page", "ticket"}), name
        assert alert["labels"].get("chain", "cause") in {"cause", "break", "effect"}, name
        assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}, name
        assert alert["annotations"]["runbook_url"] == f"docs/runbooks.md#{name.lower()}"
        assert len(alert["annotations"]["summary"]) < 80, name


def test_what_wakes_nobody_silences_nobody() -> None:
    for name, alert in alerts().items():
        if alert["labels"].get("chain") in {"cause", "break"}:
            assert alert["labels"]["severity"] == "page", name


def test_the_runbooks_have_a_section_for_each_alert_and_no_other() -> None:
    assert len(sections()) == len(set(sections()))
    assert set(sections()) == set(alerts())


def test_every_metric_and_label_in_the_rules_is_one_that_the_code_offers() -> None:
    offered = known()
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    asked = 0
    for rule in rules():
        expression = without_texts(rule["expr"])
        for name in re.findall(r"\b(?:\w+:)\w+(?::\w+)*", expression):
            assert name in recorded, f"{name} is recorded nowhere"
        plain = re.sub(r"\b\w+:[\w:]+", "", expression)
        for name, _, selectors in re.findall(r"\b((?:lanjie|process|python)_\w+|up\b)(\{([^}]*)\})?", plain):
            asked += 1
            assert name in offered, f"{name} is offered by no service"
            told = set(re.findall(r"(\w+)\s*(?:=|!)", selectors))
            assert told <= offered[name] | OF_PROMETHEUS, f"{name} has no label {told - offered[name]}"
    assert asked > len(alerts())
