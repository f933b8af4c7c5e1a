"""What an order may and may not do, by the law and by the state of the account."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.notifier.cases.case import Case
from services.notifier.orders import legality
from services.notifier.orders.holds import TRANSITIONS, Hold
from services.notifier.orders.law import LAWS, Rule
from services.notifier.orders.legality import Asked
from services.notifier.orders.order import EndedWhy, Order, Standing
from shared.errors import Refusal
from shared.events import CaseStatus, Checked, Failure, Finding, OrderKind
from tests.unit.notifier.facts import NOON, a_case, an_order, executed

CASE = a_case()
OTHER = a_case()
HOURS_48 = timedelta(hours=48)
FAILED = an_order(CASE, status=Standing.FAILED)
FROZEN = executed(CASE, kind=OrderKind.FREEZE, expires_at=NOON + timedelta(days=181), frozen_fen=900)
CLOSED = {"status": CaseStatus.CLOSED, "finding": Finding.CONFIRMED}
UNFOUNDED = {"status": CaseStatus.CLOSED, "finding": Finding.UNFOUNDED}


def asked(kind: OrderKind, **more: Any) -> Asked:  # noqa: ANN401
    return Asked(**{"kind": kind, "amount_fen": 100, "notice_number": "1号", **more})


def rule_of(kind: OrderKind | Asked, *orders: Order, now: Any = NOON, **case: Any) -> str | None:  # noqa: ANN401
    """The rule that an order would break."""
    what = kind if isinstance(kind, Asked) else asked(kind)
    try:
        legality.refuse_unlawful(what, replace(CASE, **case), orders, now)
    except Refusal as refused:
        return refused.extensions["rule"]
    return None


HOLDS = {Hold.FREE: (), Hold.STOPPED: (executed(CASE),), Hold.FROZEN: (FROZEN,)}


@pytest.mark.parametrize(("hold", "kind"), list(TRANSITIONS))
def test_the_table_decides_on_each_kind_of_order_and_hold(hold: Hold, kind: OrderKind) -> None:
    confirmed = CLOSED if kind is OrderKind.RETURN_FUNDS else {}
    after = TRANSITIONS[hold, kind]
    assert rule_of(kind, *HOLDS[hold], **confirmed) == (after.value if isinstance(after, Rule) else None)


def test_the_table_knows_every_kind_of_order_in_every_hold() -> None:
    assert len(TRANSITIONS) == len(OrderKind) * len(Hold)
    assert set(LAWS) == set(Rule)


@pytest.mark.parametrize(
    "orders",
    [(), (executed(CASE),), (executed(OTHER),), (FAILED, FAILED, FAILED, executed(CASE))],
    ids=["first", "second", "second, of an earlier case", "failed ones do not count"],
)
@pytest.mark.parametrize("status", [CaseStatus.OPEN, CaseStatus.ACKNOWLEDGED])
def test_a_stop_that_the_law_allows(orders: tuple[Order, ...], status: CaseStatus) -> None:
    assert rule_of(OrderKind.STOP, *orders, status=status) is None


@pytest.mark.parametrize("kind", [OrderKind.STOP, OrderKind.EXTEND_STOP])
@pytest.mark.parametrize(
    "orders",
    [
        (executed(CASE), executed(CASE)),
        (executed(OTHER), executed(CASE)),
        (executed(OTHER, ended_at=NOON), executed(CASE)),
        (executed(CASE, expires_at=NOON), FAILED, executed(CASE)),
        (executed(CASE, ended_at=NOON), executed(CASE, kind=OrderKind.EXTEND_STOP)),
    ],
    ids=["two of this case", "one of another case", "one released", "one ran out", "an extension"],
)
def test_a_third_stop_of_an_account_is_refused(kind: OrderKind, orders: tuple[Order, ...]) -> None:
    assert rule_of(kind, *orders) == "stopped-twice"
    assert "银发〔2016〕86号" in LAWS[Rule.TWICE].says


def test_a_stop_that_a_second_officer_has_yet_to_approve_counts_and_one_turned_down_does_not() -> None:
    proposed = an_order(CASE, kind=OrderKind.EXTEND_STOP, status=Standing.PROPOSED)
    assert rule_of(OrderKind.STOP, executed(CASE), proposed) == "stopped-twice"
    assert rule_of(OrderKind.STOP, executed(CASE), legality.turned_down(proposed)) is None


@pytest.mark.parametrize("kind", [OrderKind.STOP, OrderKind.EXTEND_STOP])
def test_a_closed_case_stops_nothing(kind: OrderKind) -> None:
    assert rule_of(kind, executed(CASE), **CLOSED) == "stop-needs-an-open-case"


def test_a_confirmed_case_may_freeze_and_an_unfounded_one_may_not() -> None:
    assert rule_of(OrderKind.FREEZE, executed(CASE), **CLOSED) is None
    assert rule_of(OrderKind.FREEZE, executed(CASE), **UNFOUNDED) == "unfounded-holds-nothing"
    assert rule_of(OrderKind.EXTEND_FREEZE, FROZEN, **UNFOUNDED) == "unfounded-holds-nothing"


@pytest.mark.parametrize("state", [{}, CLOSED, UNFOUNDED], ids=["open", "confirmed", "unfounded"])
def test_what_is_held_can_be_freed_whatever_became_of_the_case(state: dict[str, Any]) -> None:
    assert rule_of(OrderKind.RELEASE_STOP, executed(CASE), **state) is None
    assert rule_of(OrderKind.UNFREEZE, FROZEN, **state) is None


@pytest.mark.parametrize("kind", [OrderKind.STOP, OrderKind.FREEZE, OrderKind.EXTEND_STOP])
@pytest.mark.parametrize("case", [CASE, OTHER])
@pytest.mark.parametrize("status", [Standing.PENDING, Standing.PROPOSED])
def test_an_account_takes_one_order_of_a_kind_at_a_time(kind: OrderKind, case: Case, status: Standing) -> None:
    waiting = an_order(case, kind=kind, status=status)
    with pytest.raises(Refusal) as refused:
        legality.refuse_unlawful(asked(kind), CASE, [executed(CASE), waiting], NOON)
    assert refused.value.status is LAWS[Rule.ONE_AT_A_TIME].status
    assert refused.value.extensions == {"rule": "one-at-a-time", "existing_id": str(waiting.id)}


def test_each_case_frees_what_it_holds_whatever_others_wait_for() -> None:
    others, own = (an_order(one, kind=OrderKind.RELEASE_STOP) for one in (OTHER, CASE))
    held = executed(OTHER), executed(CASE)
    assert rule_of(OrderKind.RELEASE_STOP, *held, others) is None
    assert rule_of(OrderKind.FREEZE, *held, others) is None
    assert rule_of(OrderKind.RELEASE_STOP, *held, own) == "one-at-a-time"
    assert rule_of(OrderKind.FREEZE, *held, own) == "being-released"


@pytest.mark.parametrize("kind", [OrderKind.EXTEND_STOP, OrderKind.RELEASE_STOP, OrderKind.FREEZE])
def test_what_another_case_holds_is_not_this_ones_to_change(kind: OrderKind) -> None:
    assert rule_of(kind, executed(OTHER)) == "held-by-another-case"
    assert rule_of(kind, executed(CASE)) is None


def test_an_account_is_frozen_once() -> None:
    elsewhere = executed(OTHER, kind=OrderKind.FREEZE)
    assert rule_of(OrderKind.FREEZE, executed(CASE), elsewhere) == "held-by-another-case"
    assert rule_of(OrderKind.STOP, elsewhere) == "frozen-already"
    assert rule_of(OrderKind.RELEASE_STOP, executed(CASE), elsewhere) is None


def test_a_freeze_comes_before_the_48_hours_are_over() -> None:
    stop, end = executed(CASE), NOON + HOURS_48
    assert rule_of(OrderKind.FREEZE, stop, now=end - timedelta(microseconds=1)) is None
    assert rule_of(OrderKind.FREEZE, stop, now=end) == "freeze-before-expiry"
    assert rule_of(OrderKind.EXTEND_STOP, stop, now=end) == "extend-before-expiry"
    assert rule_of(OrderKind.RELEASE_STOP, stop, now=end) == "nothing-is-held"


@pytest.mark.parametrize(
    ("terms", "rule"),
    [
        ({}, None),
        ({"term_months": 6}, None),
        ({"term_months": 7}, "freeze-term"),
        ({"term_months": 12, "major": True}, None),
        ({"term_months": 13, "major": True}, "freeze-term"),
        ({"notice_number": None}, "freeze-notice"),
    ],
)
def test_a_freeze_has_a_lawful_term_and_a_notice(terms: dict[str, Any], rule: str | None) -> None:
    assert rule_of(asked(OrderKind.FREEZE, **terms), executed(CASE)) == rule
    assert rule_of(asked(OrderKind.EXTEND_FREEZE, **terms), FROZEN) == rule


def test_paperwork_follows_a_stop_of_the_bank_within_24_hours() -> None:
    in_time = asked(OrderKind.STOP, bank_stopped_at=NOON - timedelta(hours=24))
    late = asked(OrderKind.STOP, bank_stopped_at=NOON - timedelta(hours=24, seconds=1))
    assert (rule_of(in_time), rule_of(late)) == (None, "backfill-within-24-hours")


WRONG = an_order(
    CASE, status=Standing.FAILED, failure=Failure.MISMATCH, mismatch=(Checked.NAME, Checked.ACCOUNT), amount_fen=100
)


@pytest.mark.parametrize(
    ("wrong", "facts", "rule"),
    [
        (None, (), "correct-the-mismatch"),
        (WRONG, (Checked.NAME,), "correct-the-mismatch"),
        (WRONG, (Checked.NAME, Checked.ACCOUNT), None),
        (replace(WRONG, case_id=OTHER.id), tuple(Checked), "correct-what-failed"),
        (executed(CASE), tuple(Checked), "correct-what-failed"),
        (replace(WRONG, kind=OrderKind.FREEZE), tuple(Checked), "correct-what-failed"),
    ],
    ids=["again", "half", "all", "of another case", "not failed", "another kind"],
)
def test_a_mismatch_is_corrected_and_not_repeated(
    wrong: Order | None, facts: tuple[Checked, ...], rule: str | None
) -> None:
    assert rule_of(asked(OrderKind.STOP, corrects=wrong, corrected=frozenset(facts)), WRONG) == rule


def test_freeing_is_a_duty_and_may_be_repeated_whatever_the_bank_found() -> None:
    failed = replace(WRONG, kind=OrderKind.RELEASE_STOP)
    assert rule_of(OrderKind.RELEASE_STOP, executed(CASE), failed) is None


def test_a_stop_holds_until_it_is_ended_or_the_48_hours_are_over() -> None:
    stop = executed(CASE)
    assert stop.holds(NOON + HOURS_48 - timedelta(microseconds=1))
    assert not stop.holds(NOON + HOURS_48)
    assert not replace(stop, ended_at=NOON, ended_why=EndedWhy.RELEASED).holds(NOON)
    assert not an_order(CASE).holds(NOON)
    assert not FAILED.holds(NOON)
