"""The sums of a backtest, by numbers that one can check by hand."""

from math import log10
from typing import Any

import pytest

from services.rules.backtest import MOST_NAMED, Label, Tally, label_of, weights_of
from services.rules.verdict import Verdict
from shared.events import Advice, Level, RuleFinding
from tests.unit.rules.builders import pack_of, rule_lines

CLEAR, CAUTION, ALERT = Level.CLEAR, Level.CAUTION, Level.ALERT
ROMANCE, LOAN, UNTYPED_SCAM = (
    Label(scam=True, scam_type="romance"),
    Label(scam=True, scam_type="loan"),
    Label(scam=True),
)
HONEST, UNKNOWN = Label(scam=False), Label(scam=None)


def a_verdict(level: Level, *rules: str, score: int = 50) -> Verdict:
    findings = tuple(RuleFinding(rule=rule, weight=1, why="") for rule in rules)
    return Verdict(level, score, None, findings, Advice(ask=(), say=(), do=()))


def tallied(*reports: tuple[Level, Level, Label], rules: dict[int, tuple[str, ...]] | None = None) -> dict[str, Any]:
    """Tally reports: what was said then, what now, what it was; `rules` are those that speak now, by place."""
    tally = Tally({"a": 7})
    for place, (then, now, label) in enumerate(reports):
        tally.add(f"r{place}", then, 40, a_verdict(now, *(rules or {}).get(place, ())), label)
    return tally.result()


@pytest.mark.parametrize(
    ("finding", "disposition", "scam_type", "label"),
    [
        ("confirmed", None, "loan", LOAN),
        ("confirmed", "proceeded", "loan", LOAN),
        ("confirmed", "cancelled", None, UNTYPED_SCAM),
        ("unfounded", "cancelled", None, HONEST),
        ("unfounded", None, "loan", HONEST),
        (None, "cancelled", None, UNTYPED_SCAM),
        (None, "already_sent", None, UNTYPED_SCAM),
        (None, "proceeded", None, HONEST),
        (None, None, None, UNKNOWN),
    ],
)
def test_the_polices_finding_counts_else_how_the_visit_ended_else_nothing_is_known(
    finding: str | None, disposition: str | None, scam_type: str | None, label: Label
) -> None:
    assert label_of(finding, disposition, scam_type) == label


def test_recall_is_the_share_of_scams_that_are_alerts_and_precision_that_of_alerts_that_are_scams() -> None:
    result = tallied(
        (ALERT, ALERT, ROMANCE),
        (CLEAR, ALERT, ROMANCE),
        (CAUTION, CAUTION, LOAN),
        (ALERT, CLEAR, HONEST),
        (ALERT, ALERT, HONEST),
        (CLEAR, CLEAR, HONEST),
    )
    assert result["labelled"] == {"scams": 3, "honest": 3}
    assert result["then"] == {"recall": 0.3333, "precision": 0.3333, "false_alerts": 2}
    assert result["now"] == {"recall": 0.6667, "precision": 0.6667, "false_alerts": 1}


def test_reports_of_which_nothing_is_known_count_neither_for_nor_against() -> None:
    known: tuple[Level, Level, Label] = (ALERT, ALERT, ROMANCE)
    assert tallied(known, (ALERT, ALERT, UNKNOWN), (CLEAR, CLEAR, UNKNOWN))["now"] == tallied(known)["now"]


def test_without_scams_there_is_no_recall_and_without_alerts_no_precision() -> None:
    assert tallied((CLEAR, CLEAR, HONEST))["now"] == {"recall": None, "precision": None, "false_alerts": 0}
    assert tallied((CLEAR, CLEAR, LOAN))["now"] == {"recall": 0, "precision": None, "false_alerts": 0}
    assert tallied((CLEAR, ALERT, HONEST))["now"] == {"recall": None, "precision": 0, "false_alerts": 1}


def test_recall_is_told_by_the_type_the_police_named_in_one_order() -> None:
    result = tallied(
        (CLEAR, ALERT, ROMANCE), (ALERT, ALERT, LOAN), (ALERT, CLEAR, LOAN), (ALERT, CLEAR, UNTYPED_SCAM)
    )  # fmt: skip
    assert [(one["scam_type"], one["scams"], one["recall_then"], one["recall_now"]) for one in result["types"]] == [
        ("(type unknown)", 1, 1, 0),
        ("loan", 2, 1, 0.5),
        ("romance", 1, 0, 1),
    ]


def test_reports_are_counted_by_both_levels() -> None:
    result = tallied((CLEAR, ALERT, UNKNOWN), (ALERT, CLEAR, UNKNOWN), (CLEAR, ALERT, HONEST), (CLEAR, CLEAR, LOAN))
    assert result["reports"] == 4
    assert result["levels"] == [
        {"then": "alert", "now": "clear", "reports": 1},
        {"then": "clear", "now": "alert", "reports": 2},
        {"then": "clear", "now": "clear", "reports": 1},
    ]


def test_an_observed_weight_is_how_much_likelier_the_rule_is_in_a_scam_with_half_a_report_to_spare() -> None:
    reports = [(CLEAR, CLEAR, LOAN)] * 9 + [(CLEAR, CLEAR, HONEST)] * 99 + [(CLEAR, CLEAR, UNKNOWN)]
    places = {0: ("a", "b"), 1: ("a",), 2: ("a",), 9: ("a", "c"), 108: ("a",)}
    a, b, c = tallied(*reports, rules=places)["rules"]
    assert a == {
        "rule": "a",
        "weight": 7,
        "spoke": 5,
        "in_scams": 3,
        "in_honest": 1,
        "observed_weight": round(10 * log10((3.5 / 10) / (1.5 / 100)), 1),
    }
    assert a["observed_weight"] == 13.7
    assert (b["weight"], b["observed_weight"]) == (None, round(10 * log10((1.5 / 10) / (0.5 / 100)), 1)) == (None, 14.8)
    assert c["observed_weight"] == round(10 * log10((0.5 / 10) / (1.5 / 100)), 1) == 5.2


@pytest.mark.parametrize("label", [LOAN, HONEST, UNKNOWN])
def test_without_scams_and_honest_visits_both_no_weight_is_observed(label: Label) -> None:
    [rule] = tallied((CLEAR, CLEAR, label), rules={0: ("a",)})["rules"]
    assert rule["observed_weight"] is None


def test_changed_reports_are_named_with_both_scores_and_only_where_the_level_changes() -> None:
    tally = Tally({})
    tally.add("same", CAUTION, 40, a_verdict(CAUTION, score=45), UNKNOWN)
    tally.add("raised", CAUTION, 40, a_verdict(ALERT, score=80), UNKNOWN)
    assert tally.result()["changed"] == [
        {"report": "raised", "then": "caution", "now": "alert", "score_then": 40, "score_now": 80}
    ]


def test_so_many_changed_reports_are_named_the_first_and_all_are_counted() -> None:
    result = tallied(*[(CLEAR, ALERT, UNKNOWN)] * (MOST_NAMED + 5))
    assert [one["report"] for one in result["changed"]] == [f"r{place}" for place in range(MOST_NAMED)]
    assert result["levels"] == [{"then": "clear", "now": "alert", "reports": MOST_NAMED + 5}]


def test_weights_are_those_of_rules_and_of_the_rows_of_tables() -> None:
    table = {
        "id": "ages",
        "title": "年龄",
        "inputs": ["payer.age"],
        "why": "因为",
        "rows": [{"when": [">= 70"], "weight": 4}, {"when": ["-"], "weight": -2}],
    }
    pack = pack_of(rule_lines(weight=5), tables=[table])
    assert weights_of(pack.rules) == {"some-rule": 5, "ages.1": 4, "ages.2": -2}
