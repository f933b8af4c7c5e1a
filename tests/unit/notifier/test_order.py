"""What an order may and may not do, by the law and by the state of the account."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from services.notifier import order
from services.notifier.case import Case
from services.notifier.order import Order, Transfer
from shared.errors import Refusal
from shared.events import CaseStatus, FeedbackResult, OrderKind, OrderStatus
from tests.unit.notifier.facts import NOON, a_case, an_order, executed, feedback

CASE = a_case()
OTHER = a_case()
RUN_OUT = NOON + timedelta(hours=48)
FAILED = an_order(CASE, status=OrderStatus.FAILED)


def refusal(kind: OrderKind, *orders: Order, status: CaseStatus = CaseStatus.OPEN) -> Refusal:
    with pytest.raises(Refusal) as refused:
        order.refuse_unlawful(kind, replace(CASE, status=status), orders, NOON)
    return refused.value


def allow(kind: OrderKind, *orders: Order, status: CaseStatus = CaseStatus.OPEN) -> None:
    order.refuse_unlawful(kind, replace(CASE, status=status), orders, NOON)


@pytest.mark.parametrize(
    "orders",
    [
        (),
        (executed(CASE),),
        (executed(OTHER),),
        (FAILED, FAILED, FAILED, executed(CASE)),
        (an_order(CASE, kind=OrderKind.RELEASE_STOP),),
    ],
    ids=["first", "second", "second, of an earlier case", "failed ones do not count", "a release is pending"],
)
@pytest.mark.parametrize("status", [CaseStatus.OPEN, CaseStatus.ACKNOWLEDGED])
def test_a_stop_that_the_law_allows(orders: tuple[Order, ...], status: CaseStatus) -> None:
    allow(OrderKind.STOP, *orders, status=status)


@pytest.mark.parametrize(
    "orders",
    [
        (executed(CASE), executed(CASE)),
        (executed(OTHER), executed(CASE)),
        (executed(OTHER, released_at=NOON), executed(CASE, released_at=NOON)),
        (executed(CASE, expires_at=NOON), FAILED, executed(CASE)),
    ],
    ids=["two of this case", "one of another case", "both released", "one ran out"],
)
def test_a_third_stop_of_an_account_is_refused_by_the_rule(orders: tuple[Order, ...]) -> None:
    refused = refusal(OrderKind.STOP, *orders)
    assert refused.status == 409
    assert "银发〔2016〕86号" in refused.detail


def test_a_stop_on_a_closed_case_is_refused() -> None:
    refused = refusal(OrderKind.STOP, status=CaseStatus.CLOSED)
    assert (refused.status, "closed" in refused.detail) == (409, True)


@pytest.mark.parametrize("kind", [OrderKind.STOP, OrderKind.RELEASE_STOP])
@pytest.mark.parametrize("case", [CASE, OTHER])
def test_an_order_while_one_of_its_kind_is_pending_on_the_account_is_refused(kind: OrderKind, case: Case) -> None:
    pending = an_order(case, kind=kind)
    refused = refusal(kind, executed(CASE), pending)
    assert (refused.status, refused.extensions) == (409, {"existing_id": str(pending.id)})


@pytest.mark.parametrize("status", list(CaseStatus))
def test_what_is_held_can_be_released_whatever_became_of_the_case(status: CaseStatus) -> None:
    allow(OrderKind.RELEASE_STOP, executed(CASE), status=status)


@pytest.mark.parametrize(
    "orders",
    [
        (),
        (an_order(CASE),),
        (FAILED,),
        (executed(CASE, released_at=NOON),),
        (executed(CASE, expires_at=NOON),),
        (executed(OTHER),),
        (executed(CASE, kind=OrderKind.RELEASE_STOP),),
    ],
    ids=["no stop", "pending", "failed", "released", "ran out", "held in another case", "no stop but a release"],
)
def test_a_release_of_what_is_not_held_is_refused(orders: tuple[Order, ...]) -> None:
    refused = refusal(OrderKind.RELEASE_STOP, *orders)
    assert (refused.status, "Nothing is held" in refused.detail) == (409, True)


@pytest.mark.parametrize("kind", [kind for kind in OrderKind if kind not in order.OFFERED])
def test_a_kind_that_is_not_offered_is_refused_by_its_field(kind: OrderKind) -> None:
    refused = refusal(kind, executed(CASE))
    assert refused.status == 422
    [error] = refused.errors
    assert error.field == "kind"
    assert error.message.startswith(kind.value)


def test_a_stop_holds_until_it_is_released_or_the_48_hours_are_over() -> None:
    stop = executed(CASE)
    assert stop.holds(NOON)
    assert stop.holds(RUN_OUT - timedelta(microseconds=1))
    assert not stop.holds(RUN_OUT)
    assert not replace(stop, released_at=NOON).holds(NOON)
    assert not an_order(CASE).holds(NOON)
    assert not FAILED.holds(NOON)


def test_what_is_held_in_a_case_is_its_latest_stop() -> None:
    first, second = executed(CASE), executed(CASE)
    assert order.held_in(CASE.id, [first, second, executed(OTHER), FAILED], NOON) == second
    assert order.held_in(CASE.id, [first, replace(second, released_at=NOON)], NOON) == first
    assert order.held_in(CASE.id, [first], RUN_OUT) is None


def test_a_stop_is_for_what_was_not_averted() -> None:
    transfers = [Transfer(uuid4(), 100, 30), Transfer(uuid4(), 50, 50), Transfer(uuid4(), 7, 0)]
    assert order.stop_amount(transfers) == 77
    assert order.stop_amount([]) == 0


def test_a_success_executes_a_stop_for_48_hours_from_the_banks_moment() -> None:
    before, stopped_at = an_order(CASE), NOON + timedelta(minutes=2)
    answer = feedback(before, stopped_fen=800, balance_before_fen=900, executed_at=stopped_at)
    assert order.answered(before, answer) == replace(
        before,
        version=2,
        status=OrderStatus.EXECUTED,
        feedback_id=answer.feedback_id,
        balance_before_fen=900,
        stopped_fen=800,
        executed_at=stopped_at,
        expires_at=stopped_at + timedelta(hours=48),
        answered_at=answer.received_at,
    )


def test_a_failure_fails_an_order_and_starts_no_48_hours() -> None:
    before = an_order(CASE)
    after = order.answered(before, feedback(before, FeedbackResult.FAILURE, executed_at=NOON))
    assert (after.status, after.version, after.expires_at) == (OrderStatus.FAILED, 2, None)
    assert after.answered_at == NOON + timedelta(minutes=3)


def test_a_release_that_is_executed_runs_out_at_no_time() -> None:
    before = an_order(CASE, kind=OrderKind.RELEASE_STOP)
    after = order.answered(before, feedback(before, executed_at=NOON))
    assert (after.status, after.executed_at, after.expires_at) == (OrderStatus.EXECUTED, NOON, None)
