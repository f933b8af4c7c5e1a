"""How findings add up to a verdict: evidence in decibans, levels by thresholds, and the lists' last word."""

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rules.conditions import Condition, ConditionKind, Subject, applying
from services.rules.verdict import Finding, Scale, decide
from shared.events import Advice, Level
from shared.outbox import new_id
from tests.unit.rules.builders import NOW

NOTHING: Final = Advice(ask=(), say=(), do=())
GENERAL: Final = {
    Level.CLEAR: Advice(ask=(), say=(), do=("照常办理。",)),
    Level.CAUTION: Advice(ask=("问一句。",), say=(), do=("核实。",)),
    Level.ALERT: Advice(ask=("问一句。",), say=("请等一等。",), do=("报警。",)),
}
SCALE: Final = Scale(prior=-14, alert_from=60, caution_from=30, advice=GENERAL)
HEIGHT: Final = [Level.CLEAR, Level.CAUTION, Level.ALERT]


def finding(weight: int, rule: str = "r", scam_type: str | None = None, **advice: tuple[str, ...]) -> Finding:
    return Finding(rule, weight, f"因为 {rule}", scam_type, NOTHING.model_copy(update=advice))


def entry(
    kind: ConditionKind, subject: Subject = Subject.PAYEE, *, days: int = 1, scam_type: str | None = None
) -> Condition:
    """Return an entry of a list, in force since so many days."""
    return Condition(new_id(), subject, kind, scam_type, "群众举报", "analyst-1", NOW - timedelta(days=days), None)


weights = st.integers(-40, 40).filter(bool)
findings = st.lists(
    st.builds(finding, weights, st.text("abc", min_size=1), st.sampled_from([None, "romance", "fake_loan"])),
    max_size=12,
)
scales = st.builds(
    lambda prior, low, more: Scale(prior, min(100, low + more), low, GENERAL),
    st.integers(-40, 40),
    st.integers(1, 98),
    st.integers(1, 60),
)


@pytest.mark.parametrize(
    ("prior", "points", "percent"),
    [
        (0, 0, 50),  # odds 1 : 1
        (-10, 0, 9),  # odds 1 : 10, that is 1/11
        (-10, 10, 50),
        (-10, 20, 91),  # odds 10 : 1
        (-20, 0, 1),  # one in 101
        (-14, 16, 61),  # odds 10^0.2 : 1
        (-14, 15, 56),
        (-40, -400, 0),
        (40, 400, 100),
    ],
)
def test_a_score_is_the_probability_that_bayes_rule_gives(prior: int, points: int, percent: int) -> None:
    assert Scale(prior, 60, 30, GENERAL).score(points) == percent


def test_two_findings_that_are_each_ten_times_likelier_in_a_scam_make_it_a_hundred_times_likelier() -> None:
    """Worked by hand: 1 in 101 are scams. Odds 1/100 · 10 · 10 = 1, so every second such visit is a scam."""
    scale = replace(SCALE, prior=-20)
    assert decide([finding(10, "a"), finding(10, "b")], scale).score == 50
    assert decide([finding(10, "a"), finding(10, "b"), finding(-10, "c")], scale).score == round(100 / 11)


@pytest.mark.parametrize(
    ("score", "level"),
    [(0, "clear"), (29, "clear"), (30, "caution"), (59, "caution"), (60, "alert"), (100, "alert")],
)
def test_a_level_begins_at_its_threshold(score: int, level: str) -> None:
    assert SCALE.level(score) == level


def test_no_finding_is_clear_and_advises_what_is_advised_anyway() -> None:
    verdict = decide([], SCALE)
    assert (verdict.level, verdict.score, verdict.scam_type, verdict.findings) == (Level.CLEAR, 4, None, ())
    assert verdict.advice == GENERAL[Level.CLEAR]


def test_findings_are_told_heaviest_first_and_by_name_where_they_weigh_the_same() -> None:
    verdict = decide([finding(10, "b"), finding(-5, "c"), finding(10, "a"), finding(25, "d")], SCALE)
    assert [(told.rule, told.weight, told.why) for told in verdict.findings] == [
        ("d", 25, "因为 d"),
        ("a", 10, "因为 a"),
        ("b", 10, "因为 b"),
        ("c", -5, "因为 c"),
    ]


def test_the_likeliest_scam_type_is_the_one_with_most_weight_behind_it() -> None:
    two_against_one = [finding(15, "a", "fake_loan"), finding(10, "b", "romance"), finding(8, "c", "romance")]
    assert decide(two_against_one, SCALE).scam_type == "romance"
    assert decide([finding(20, "d"), *two_against_one], SCALE).scam_type == "romance"


def test_evidence_for_honesty_names_no_scam_and_advises_nothing() -> None:
    honest = finding(-3, "honest", "romance", say=("放心。",))
    verdict = decide([finding(30, "a"), honest], SCALE)
    assert (verdict.level, verdict.scam_type) == (Level.ALERT, None)
    assert "放心。" not in verdict.advice.say


def test_a_clear_verdict_names_no_scam_type_and_gives_no_alarm() -> None:
    verdict = decide([finding(5, "a", "romance", say=("小心骗子。",), do=("报警。",), ask=("是谁？",))], SCALE)
    assert (verdict.level, verdict.scam_type) == (Level.CLEAR, None)
    assert verdict.advice == GENERAL[Level.CLEAR]


def test_advice_is_joined_heaviest_first_each_sentence_once_and_ends_with_the_levels_own() -> None:
    told = [
        finding(10, "b", say=("二", "一")),
        finding(20, "a", say=("一",), ask=("问", "问一句。")),
        finding(5, "c", say=("三",)),
    ]
    verdict = decide(told, SCALE)
    assert verdict.level is Level.ALERT
    assert verdict.advice.say == ("一", "二", "三", "请等一等。")
    assert verdict.advice.ask == ("问", "问一句。")
    assert verdict.advice.do == GENERAL[Level.ALERT].do


@given(findings, st.builds(finding, st.integers(1, 40)), scales)
def test_one_more_sign_never_lowers_score_or_level(before: list[Finding], sign: Finding, scale: Scale) -> None:
    assert decide([*before, sign], scale).score >= decide(before, scale).score
    assert HEIGHT.index(decide([*before, sign], scale).level) >= HEIGHT.index(decide(before, scale).level)


@given(findings, st.builds(finding, st.integers(-40, -1)), scales)
def test_one_more_honest_explanation_never_raises_score_or_level(
    before: list[Finding], sign: Finding, scale: Scale
) -> None:
    assert decide([*before, sign], scale).score <= decide(before, scale).score
    assert HEIGHT.index(decide([*before, sign], scale).level) <= HEIGHT.index(decide(before, scale).level)


@given(findings, st.randoms(use_true_random=False))
def test_the_order_in_which_rules_are_asked_changes_nothing(some: list[Finding], random: Random) -> None:
    named = [replace(one, rule=f"{place}-{one.rule}") for place, one in enumerate(some)]
    shuffled = list(named)
    random.shuffle(shuffled)
    assert decide(shuffled, SCALE) == decide(named, SCALE)


@given(findings, scales)
def test_a_verdict_can_be_recomputed_from_the_weights_it_tells(some: list[Finding], scale: Scale) -> None:
    verdict = decide(some, scale)
    assert verdict.score == scale.score(sum(told.weight for told in verdict.findings))
    assert verdict.level is scale.level(verdict.score)


BLOCKS: Final = [ConditionKind.NON_OVERRIDABLE_BLOCK, ConditionKind.OVERRIDABLE_BLOCK]


@given(findings, scales, st.sampled_from(BLOCKS))
def test_a_block_makes_an_alert_whatever_the_findings(some: list[Finding], scale: Scale, kind: ConditionKind) -> None:
    verdict = decide(some, scale, entry(kind))
    assert verdict.level is Level.ALERT
    assert verdict.score >= decide(some, scale).score


@given(findings, scales)
def test_an_override_forbids_an_alert_and_nothing_else(some: list[Finding], scale: Scale) -> None:
    without, overridden = decide(some, scale), decide(some, scale, entry(ConditionKind.OVERRIDE))
    assert overridden.level is not Level.ALERT
    if without.level is not Level.ALERT:
        assert (overridden.level, overridden.score) == (without.level, without.score)


@pytest.mark.parametrize(
    ("kind", "subject", "rule", "words"),
    [
        (
            ConditionKind.NON_OVERRIDABLE_BLOCK,
            Subject.PAYEE,
            "list-non-overridable-block",
            "收款账户在关注名单：群众举报",
        ),
        (ConditionKind.OVERRIDE, Subject.PAYEE, "list-override", "收款账户在信任名单：群众举报"),
        (ConditionKind.OVERRIDABLE_BLOCK, Subject.PAYER, "list-overridable-block", "付款账户在关注名单：群众举报"),
    ],
)
def test_the_entry_that_decided_is_told_first(kind: ConditionKind, subject: Subject, rule: str, words: str) -> None:
    one = entry(kind, subject)
    verdict = decide([finding(40, "a")], SCALE, one)
    assert (verdict.findings[0].rule, verdict.findings[0].weight, verdict.findings[0].why) == (rule, 0, words)
    assert verdict.condition == one


def test_a_block_names_its_scam_type_where_no_finding_does() -> None:
    block = entry(ConditionKind.OVERRIDABLE_BLOCK, scam_type="romance")
    assert decide([], SCALE, block).scam_type == "romance"
    assert decide([finding(10, "a", "fake_loan")], SCALE, block).scam_type == "fake_loan"


@given(st.randoms(use_true_random=False), st.sets(st.sampled_from(ConditionKind), min_size=1))
def test_an_unconditional_block_goes_before_an_override_and_that_before_a_block(
    random: Random, kinds: set[ConditionKind]
) -> None:
    entries = [entry(kind, days=random.randint(1, 9)) for kind in kinds for _ in range(2)]
    random.shuffle(entries)
    order = [ConditionKind.NON_OVERRIDABLE_BLOCK, ConditionKind.OVERRIDE, ConditionKind.OVERRIDABLE_BLOCK]
    decided = applying(entries)
    assert decided
    assert decided.kind is next(kind for kind in order if kind in kinds)
    assert decided.starts_at == min(one.starts_at for one in entries if one.kind is decided.kind)


def test_no_entry_leaves_the_word_to_the_rules() -> None:
    assert applying([]) is None


def test_what_only_reads_like_a_scam_is_told_after_what_is_one_and_before_what_speaks_against_it() -> None:
    guess = Finding("model", 26, "因为 model", None, NOTHING, guess=True)
    known = [finding(3, "small"), finding(-4, "against"), finding(8, "large")]
    ordered = decide([guess, *known], SCALE).findings
    assert [one.rule for one in ordered] == ["large", "small", "model", "against"]
