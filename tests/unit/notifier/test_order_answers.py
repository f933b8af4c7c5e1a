"""What banks' answers make of orders: what holds, until when, what is ended, what is left to return; who approves."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from services.notifier.orders import effect, holds, legality
from services.notifier.orders.effect import months_later
from services.notifier.orders.law import LAWS, Rule
from services.notifier.orders.legality import Asked, Transfer
from services.notifier.orders.order import EndedWhy, Order, Standing
from shared.errors import Refusal
from shared.events import Checked, Failure, FeedbackResult, OrderKind
from tests.unit.notifier.facts import NOON, OFFICER, a_case, an_order, executed, feedback

CASE = a_case()
OTHER = a_case()
FREEZE = executed(CASE, kind=OrderKind.FREEZE, expires_at=NOON + timedelta(days=181), frozen_fen=900)


def test_a_stop_is_for_what_was_not_averted() -> None:
    transfers = [Transfer(uuid4(), 100, 30), Transfer(uuid4(), 50, 50), Transfer(uuid4(), 7, 0)]
    assert legality.stop_amount(transfers) == 77
    assert legality.stop_amount([]) == 0


def test_a_success_executes_a_stop_for_48_hours_from_the_banks_moment() -> None:
    before, stopped_at = an_order(CASE), NOON + timedelta(minutes=2)
    answer = feedback(before, stopped_fen=800, balance_before_fen=900, executed_at=stopped_at)
    assert effect.answered(before, answer) == replace(
        before,
        version=2,
        status=Standing.EXECUTED,
        feedback_id=answer.feedback_id,
        balance_before_fen=900,
        stopped_fen=800,
        executed_at=stopped_at,
        expires_at=stopped_at + timedelta(hours=48),
        answered_at=answer.received_at,
    )


def test_a_bank_that_stopped_first_holds_from_then_whatever_moment_it_names() -> None:
    first = NOON - timedelta(hours=5)
    before = an_order(CASE, bank_stopped_at=first)
    assert effect.answered(before, feedback(before, executed_at=NOON)).expires_at == first + timedelta(hours=48)


def test_the_banks_own_end_counts_where_it_is_earlier() -> None:
    before, early = an_order(CASE), NOON + timedelta(hours=24)
    assert effect.answered(before, feedback(before, executed_at=NOON, expires_at=early)).expires_at == early
    late = feedback(before, executed_at=NOON, expires_at=NOON + timedelta(hours=49))
    assert effect.answered(before, late).expires_at == NOON + timedelta(hours=48)


@pytest.mark.parametrize(("months", "until"), [(None, (2027, 5, 22)), (12, (2027, 11, 22))])
def test_a_freeze_lasts_its_months(months: int | None, until: tuple[int, int, int]) -> None:
    before = an_order(CASE, kind=OrderKind.FREEZE, term_months=months)
    assert effect.answered(before, feedback(before, executed_at=NOON)).expires_at == datetime(*until, 12, tzinfo=UTC)


def test_months_later_than_the_end_of_a_long_month_end_with_a_short_one() -> None:
    assert months_later(datetime(2026, 8, 31, 9, tzinfo=UTC), 6) == datetime(2027, 2, 28, 9, tzinfo=UTC)
    assert months_later(datetime(2027, 8, 31, tzinfo=UTC), 6) == datetime(2028, 2, 29, tzinfo=UTC)
    assert months_later(datetime(2026, 12, 31, tzinfo=UTC), 12) == datetime(2027, 12, 31, tzinfo=UTC)


def test_a_failure_fails_an_order_and_starts_no_48_hours() -> None:
    before = an_order(CASE)
    answer = feedback(before, FeedbackResult.FAILURE, failure=Failure.MISMATCH, mismatch=(Checked.NAME,))
    after = effect.answered(before, answer)
    assert (after.status, after.version, after.expires_at) == (Standing.FAILED, 2, None)
    assert (after.failure, after.mismatch) == (Failure.MISMATCH, (Checked.NAME,))


def test_a_release_that_is_executed_runs_out_at_no_time() -> None:
    before = an_order(CASE, kind=OrderKind.RELEASE_STOP)
    after = effect.answered(before, feedback(before, executed_at=NOON))
    assert (after.status, after.executed_at, after.expires_at) == (Standing.EXECUTED, NOON, None)


STOP = executed(CASE)
EXTENDED = executed(CASE, kind=OrderKind.EXTEND_STOP)


@pytest.mark.parametrize(
    ("kind", "ends", "why"),
    [
        (OrderKind.EXTEND_STOP, [STOP, EXTENDED], EndedWhy.EXTENDED),
        (OrderKind.FREEZE, [STOP, EXTENDED], EndedWhy.FROZEN),
        (OrderKind.RELEASE_STOP, [STOP, EXTENDED], EndedWhy.RELEASED),
        (OrderKind.EXTEND_FREEZE, [STOP, EXTENDED, FREEZE], EndedWhy.RENEWED),
        (OrderKind.UNFREEZE, [STOP, EXTENDED, FREEZE], EndedWhy.RELEASED),
        (OrderKind.STOP, [], None),
        (OrderKind.RETURN_FUNDS, [], None),
    ],
)
def test_an_executed_order_ends_what_it_takes_over_or_frees(
    kind: OrderKind, ends: list[Order], why: EndedWhy | None
) -> None:
    at = NOON + timedelta(hours=1)
    done = executed(CASE, kind=kind, executed_at=at)
    others = [executed(OTHER), executed(CASE, payee_token="further"), executed(CASE, expires_at=at)]
    ended = [one for one in effect.ended_by(done, [STOP, EXTENDED, FREEZE, *others, done]) if one.id != done.id]
    assert [one.id for one in ended] == [one.id for one in ends]
    assert {(one.ended_at, one.ended_why) for one in ended} == ({(at, why)} if ends else set())
    assert effect.ended_by(replace(done, status=Standing.FAILED), [STOP]) == []


@pytest.mark.parametrize(
    ("kind", "minutes", "why"),
    [
        (OrderKind.RELEASE_STOP, 1, EndedWhy.RELEASED),
        (OrderKind.RELEASE_STOP, -1, None),
        (OrderKind.UNFREEZE, 1, EndedWhy.RELEASED),
        (OrderKind.FREEZE, 1, EndedWhy.FROZEN),
        (OrderKind.FREEZE, -1, EndedWhy.FROZEN),
        (OrderKind.EXTEND_FREEZE, -1, EndedWhy.RENEWED),
    ],
)
def test_a_stop_that_is_answered_late_was_ended_by_what_the_bank_did_since(
    kind: OrderKind, minutes: int, why: EndedWhy | None
) -> None:
    at = NOON + timedelta(minutes=minutes)
    since = executed(CASE, kind=kind, executed_at=at, ordered_at=NOON, frozen_fen=900)
    late = executed(CASE, kind=OrderKind.EXTEND_STOP, ordered_at=NOON - timedelta(hours=1))
    assert [(one.id, one.ended_at, one.ended_why) for one in effect.ended_by(late, [since, late])] == (
        [(late.id, at, why)] if why else []
    )


def test_a_freeing_leaves_what_the_bank_did_after_it_unless_it_names_that() -> None:
    later = replace(STOP, executed_at=NOON + timedelta(minutes=1))
    freed = executed(CASE, kind=OrderKind.RELEASE_STOP)
    assert effect.ended_by(freed, [later]) == []
    assert [one.id for one in effect.ended_by(replace(freed, acts_on=later.id), [later])] == [later.id]


def test_a_hold_that_ran_out_ended_with_its_term() -> None:
    ended = effect.expired(STOP)
    assert (ended.ended_at, ended.ended_why) == (STOP.expires_at, EndedWhy.EXPIRED)


def left(*orders: Order) -> int:
    return holds.left_to_return(holds.account_of(orders, NOON), orders)


def a_return(of: Order, fen: int, **changes: object) -> Order:
    return executed(CASE, **{"kind": OrderKind.RETURN_FUNDS, "acts_on": of.id, "returned_fen": fen, **changes})


def test_no_more_is_left_to_return_than_was_frozen_less_what_was_or_is_being_returned() -> None:
    assert left(STOP) == 0
    assert left(FREEZE) == 900
    assert left(FREEZE, a_return(FREEZE, 300)) == 600
    waiting = an_order(CASE, kind=OrderKind.RETURN_FUNDS, acts_on=FREEZE.id, amount_fen=500)
    assert left(FREEZE, waiting) == 400
    assert left(FREEZE, replace(waiting, status=Standing.FAILED)) == 900


def test_a_freeze_of_the_whole_account_gives_back_no_more_than_it_was_ordered_for() -> None:
    whole = replace(FREEZE, scope="account", amount_fen=700)
    assert left(whole) == 700
    assert left(whole, a_return(whole, 300)) == 400
    assert left(replace(whole, frozen_fen=500)) == 500


@pytest.mark.parametrize("said", [900, 600], ids=["what was frozen at first", "what is left"])
def test_a_renewal_makes_no_money_anew_whichever_way_the_bank_counts(said: int) -> None:
    old = replace(FREEZE, ended_at=NOON, ended_why=EndedWhy.RENEWED)
    renewed = replace(FREEZE, id=uuid4(), kind=OrderKind.EXTEND_FREEZE, acts_on=FREEZE.id, frozen_fen=said)
    assert left(old, a_return(old, 300), renewed) == 600
    assert left(old, a_return(old, 300), renewed, a_return(renewed, 600)) == 0


@pytest.mark.parametrize(
    ("asked", "level"),
    [
        (Asked(OrderKind.STOP, 1_000), None),
        (Asked(OrderKind.STOP, 1_001), 6),
        (Asked(OrderKind.EXTEND_STOP, 1_001), 6),
        (Asked(OrderKind.RELEASE_STOP, 9_999), None),
        (Asked(OrderKind.UNFREEZE, 9_999), None),
        (Asked(OrderKind.FREEZE, 1), 2),
        (Asked(OrderKind.FREEZE, 1, term_months=7, major=True), 1),
        (Asked(OrderKind.EXTEND_FREEZE, 1, term_months=6, major=True), 2),
        (Asked(OrderKind.RETURN_FUNDS, 1), 2),
    ],
)
def test_who_must_approve_what(asked: Asked, level: int | None) -> None:
    assert legality.approval_level(asked, 1_000) == level


PROPOSED = an_order(CASE, status=Standing.PROPOSED, approval_level=2)


@pytest.mark.parametrize(
    ("proposed", "by", "role", "level", "rule"),
    [
        (PROPOSED, OFFICER, "supervisor", 1, Rule.OWN_APPROVAL),
        (PROPOSED, uuid4(), "officer", 1, Rule.APPROVAL_LEVEL),
        (PROPOSED, uuid4(), "approver", 3, Rule.APPROVAL_LEVEL),
        (an_order(CASE), uuid4(), "approver", 1, Rule.APPROVE_WHAT_IS_PROPOSED),
    ],
)
def test_an_approval_that_is_none(proposed: Order, by: object, role: str, level: int, rule: Rule) -> None:
    with pytest.raises(Refusal) as refused:
        legality.approved(proposed, by, role, level, NOON)  # type: ignore[arg-type]
    assert (refused.value.extensions["rule"], refused.value.status) == (rule.value, LAWS[rule].status)


@pytest.mark.parametrize(("role", "level"), [("approver", 2), ("supervisor", 1)])
def test_an_approval_sends_the_order(role: str, level: int) -> None:
    by = uuid4()
    after = legality.approved(PROPOSED, by, role, level, NOON)
    assert after == replace(PROPOSED, version=2, status=Standing.PENDING, approved_by=by, approved_at=NOON)


def test_a_proposal_is_turned_down_by_who_could_approve_it_or_taken_back_by_its_own_officer() -> None:
    assert legality.rejected(PROPOSED, OFFICER, "officer", 3).status is Standing.REJECTED
    assert legality.rejected(PROPOSED, uuid4(), "approver", 2).status is Standing.REJECTED
    for standing, rule in ((Standing.PROPOSED, "approval-level"), (Standing.PENDING, "approve-what-is-proposed")):
        with pytest.raises(Refusal) as refused:
            legality.rejected(replace(PROPOSED, status=standing), uuid4(), "officer", 2)
        assert refused.value.extensions["rule"] == rule
