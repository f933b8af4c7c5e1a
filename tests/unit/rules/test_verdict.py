"""How findings add up to a verdict."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.rules.verdict import ALERT_FROM, CAUTION_FROM, GENERAL, Finding, decide, level_of
from shared.events import Advice, Level

NOTHING = Advice(ask=(), say=(), do=())
HEIGHT = [Level.CLEAR, Level.CAUTION, Level.ALERT]


def finding(weight: int, rule: str = "r", scam_type: str | None = None, **advice: tuple[str, ...]) -> Finding:
    return Finding(rule, weight, f"因为 {rule}", scam_type, NOTHING.model_copy(update=advice))


weights = st.integers(-100, 100).filter(bool)
findings = st.lists(
    st.builds(finding, weights, st.text("abc", min_size=1), st.sampled_from([None, "romance", "fake_loan"])), max_size=8
)


def test_no_finding_is_clear_and_scores_nothing() -> None:
    verdict = decide([])
    assert (verdict.level, verdict.score, verdict.scam_type, verdict.findings) == (Level.CLEAR, 0, None, ())
    assert verdict.advice == GENERAL[Level.CLEAR]


@pytest.mark.parametrize(
    ("weights", "score"),
    [((20, 30), 50), ((60, 60), 100), ((80, 15, 5), 100), ((-25,), 0), ((10, -25), 0), ((25, -5), 20)],
)
def test_the_score_is_the_sum_cut_to_the_range_from_0_to_100(weights: tuple[int, ...], score: int) -> None:
    assert decide([finding(weight) for weight in weights]).score == score


@pytest.mark.parametrize(
    ("score", "level"),
    [
        (0, Level.CLEAR),
        (CAUTION_FROM - 1, Level.CLEAR),
        (CAUTION_FROM, Level.CAUTION),
        (ALERT_FROM - 1, Level.CAUTION),
        (ALERT_FROM, Level.ALERT),
        (100, Level.ALERT),
    ],
)
def test_a_level_begins_at_its_threshold(score: int, level: Level) -> None:
    assert level_of(score) is level
    assert decide([finding(score)] if score else []).level is level


def test_findings_are_told_heaviest_first_and_by_name_where_they_weigh_the_same() -> None:
    verdict = decide([finding(10, "b"), finding(-5, "c"), finding(10, "a"), finding(25, "d")])
    assert [(told.rule, told.weight, told.why) for told in verdict.findings] == [
        ("d", 25, "因为 d"),
        ("a", 10, "因为 a"),
        ("b", 10, "因为 b"),
        ("c", -5, "因为 c"),
    ]


def test_an_honest_explanation_outweighs_small_signs() -> None:
    verdict = decide([finding(20, "a"), finding(15, "b"), finding(-25, "honest")])
    assert (verdict.level, verdict.score) == (Level.CLEAR, 10)
    assert "honest" in {told.rule for told in verdict.findings}


def test_an_honest_explanation_neither_counts_nor_shows_beside_a_sign_that_asks_for_caution() -> None:
    verdict = decide([finding(CAUTION_FROM, "a"), finding(-25, "honest")])
    assert (verdict.level, verdict.score) == (Level.CAUTION, CAUTION_FROM)
    assert [told.rule for told in verdict.findings] == ["a"]


def test_the_likeliest_scam_type_is_the_one_with_most_weight_behind_it() -> None:
    two_against_one = [finding(35, "a", "fake_loan"), finding(20, "b", "romance"), finding(25, "c", "romance")]
    assert decide(two_against_one).scam_type == "romance"
    assert decide([finding(50, "d"), *two_against_one]).scam_type == "romance"
    assert decide([finding(35, "a", "fake_loan"), finding(40, "b", "romance")]).scam_type == "romance"


def test_a_clear_verdict_names_no_scam_type_and_gives_no_alarm() -> None:
    verdict = decide([finding(25, "a", "romance", say=("小心骗子。",), do=("报警。",), ask=("是谁？",))])
    assert (verdict.level, verdict.scam_type) == (Level.CLEAR, None)
    assert verdict.advice == GENERAL[Level.CLEAR]


def test_advice_is_joined_heaviest_first_without_repetition_and_ends_with_the_levels_own() -> None:
    verdict = decide(
        [finding(20, "b", say=("二", "一")), finding(40, "a", say=("一",), ask=("问",)), finding(5, "c", say=("三",))]
    )
    assert verdict.level is Level.ALERT
    assert verdict.advice.say == ("一", "二", "三", *GENERAL[Level.ALERT].say)
    assert verdict.advice.ask == ("问", *GENERAL[Level.ALERT].ask)
    assert verdict.advice.do == GENERAL[Level.ALERT].do


def test_an_honest_explanation_gives_no_advice() -> None:
    verdict = decide([finding(29, "a"), finding(20, "b"), finding(-5, "honest", say=("放心。",))])
    assert "放心。" not in verdict.advice.say


@settings(deadline=None)
@given(findings, st.builds(finding, st.integers(1, 100)))
def test_one_more_sign_never_lowers_the_level(before: list[Finding], sign: Finding) -> None:
    assert HEIGHT.index(decide([*before, sign]).level) >= HEIGHT.index(decide(before).level)
    assert decide([*before, sign]).score >= decide(before).score


@settings(deadline=None)
@given(findings, st.randoms(use_true_random=False))
def test_the_order_in_which_rules_are_asked_changes_nothing(some: list[Finding], random: Random) -> None:
    named = [replace(one, rule=f"{place}-{one.rule}") for place, one in enumerate(some)]
    shuffled = list(named)
    random.shuffle(shuffled)
    assert decide(shuffled) == decide(named)


@settings(deadline=None)
@given(findings)
def test_what_is_told_adds_up_to_the_score(some: list[Finding]) -> None:
    verdict = decide(some)
    assert verdict.score == max(0, min(100, sum(told.weight for told in verdict.findings)))
    assert len(set(verdict.advice.say)) == len(verdict.advice.say)
