"""Orders and feedback: shapes and checks."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as some

from services.intake.order import OVERSTATED, Feedback, contradicted, problems, received, shown
from shared.events import FeedbackResult, OrderChanged, OrderKind
from shared.privacy import SealBrokenError
from tests.parts import IDENTITY
from tests.service.intake.counter import PEOPLE, an_order

NOW = datetime(2026, 11, 22, 9, 31, tzinfo=UTC)


def a_feedback(**changes: Any) -> Feedback:  # noqa: ANN401
    told = {"result": "success", "stopped_fen": 100, "executed_at": NOW.isoformat(), **changes}
    return Feedback.model_validate_json(json.dumps(told))


def named(feedback: Feedback, **order: Any) -> list[str]:  # noqa: ANN401
    return [problem.field for problem in problems(feedback, an_order(**order), NOW)]


def test_an_order_is_opened_for_its_bank_and_only_as_itself() -> None:
    order = an_order()
    opened = shown(order, IDENTITY).model_dump()
    assert {name: opened[name] for name in PEOPLE} == PEOPLE
    with pytest.raises(SealBrokenError):
        shown(order.model_copy(update={"order_id": uuid4()}), IDENTITY)


def test_a_feedback_that_says_everything_has_no_problems() -> None:
    assert named(a_feedback(balance_before_fen=100, operator="周敏")) == []


@given(ordered=some.integers(1, 10**12), stopped=some.integers(0, 10**12))
def test_no_more_can_be_stopped_than_was_ordered(ordered: int, stopped: int) -> None:
    found = problems(a_feedback(stopped_fen=stopped), an_order(amount_fen=ordered), NOW)
    assert [problem.message for problem in found] == ([OVERSTATED] if stopped > ordered else [])


@given(balance=some.integers(0, 10**12), stopped=some.integers(0, 9_800_000))
def test_no_more_can_be_stopped_than_was_there(balance: int, stopped: int) -> None:
    assert named(a_feedback(stopped_fen=stopped, balance_before_fen=balance)) == (
        ["stopped_fen"] if stopped > balance else []
    )


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"executed_at": None}, ["executed_at"]),
        ({"stopped_fen": None}, ["stopped_fen"]),
        ({"executed_at": None, "stopped_fen": None}, ["executed_at", "stopped_fen"]),
        ({"executed_at": (NOW + timedelta(minutes=5)).isoformat()}, []),
        ({"executed_at": (NOW + timedelta(minutes=5, seconds=1)).isoformat()}, ["executed_at"]),
        ({"result": "failure", "stopped_fen": None}, ["failure_cause"]),
        ({"result": "failure", "stopped_fen": None, "remark": "", "failure_cause": ""}, ["failure_cause"]),
        ({"result": "failure", "stopped_fen": None, "remark": "户名不符"}, []),
        ({"result": "failure", "stopped_fen": 0, "failure_cause": "系统维护"}, []),
        ({"result": "failure", "stopped_fen": 1, "remark": "户名不符"}, ["stopped_fen"]),
    ],
)
def test_what_a_feedback_leaves_out_or_overstates_is_named(changes: dict[str, Any], fields: list[str]) -> None:
    assert named(a_feedback(**changes)) == fields


@pytest.mark.parametrize("kind", [kind for kind in OrderKind if kind is not OrderKind.STOP])
def test_only_a_stop_needs_an_amount(kind: OrderKind) -> None:
    assert named(a_feedback(stopped_fen=None), kind=kind) == []


def test_a_feedback_becomes_an_event_whose_words_are_sealed() -> None:
    order, feedback_id = an_order(), uuid4()
    feedback = a_feedback(remark="户名不符", operator="周敏", balance_before_fen=200)
    event = received(feedback, order, feedback_id, IDENTITY, NOW)
    assert (event.feedback_id, event.order_id, event.case_id) == (feedback_id, order.order_id, order.case_id)
    assert (event.result, event.stopped_fen, event.balance_before_fen) == (FeedbackResult.SUCCESS, 100, 200)
    assert (event.received_at, event.executed_at) == (NOW, NOW)
    assert "周敏" not in event.model_dump_json()
    assert json.loads(IDENTITY.open(event.identity, str(feedback_id))) == {
        "failure_cause": None,
        "remark": "户名不符",
        "operator": "周敏",
        "onward": [],
    }


def test_a_contradiction_tells_which_order_and_what_was_said_this_time() -> None:
    order: OrderChanged = an_order()
    event = contradicted(a_feedback(stopped_fen=7, remark="周敏说"), order, uuid4(), NOW)
    assert (event.order_id, event.case_id, event.bank, event.stopped_fen) == (order.order_id, order.case_id, "CCB", 7)
    assert event.key() == str(order.case_id)
    assert "周敏" not in event.model_dump_json()
