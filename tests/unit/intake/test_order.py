"""Orders and feedback: shapes and checks."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as some

from services.intake.order import OVERSTATED, Feedback, contradicted, problems, received, shown
from shared.events import Failure, FeedbackResult, OrderChanged, OrderKind
from shared.privacy import SealBrokenError
from tests.parts import IDENTITY
from tests.service.intake import counter
from tests.service.intake.counter import PEOPLE

NOW = datetime(2026, 11, 22, 9, 31, tzinfo=UTC)


def an_order(**changes: Any) -> OrderChanged:  # noqa: ANN401
    return counter.an_order(**{"ordered_at": NOW, **changes})


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
        ({"executed_at": (NOW - timedelta(hours=24)).isoformat()}, []),
        ({"executed_at": (NOW - timedelta(hours=24, seconds=1)).isoformat()}, ["executed_at"]),
        ({"expires_at": NOW.isoformat()}, ["expires_at"]),
        ({"expires_at": (NOW + timedelta(seconds=1)).isoformat()}, []),
        ({"result": "failure", "stopped_fen": None}, ["failure_cause"]),
        ({"result": "failure", "stopped_fen": None, "remark": "", "failure_cause": ""}, ["failure_cause"]),
        ({"result": "failure", "stopped_fen": None, "remark": "户名不符"}, []),
        ({"result": "failure", "stopped_fen": 0, "failure_cause": "系统维护"}, []),
        ({"result": "failure", "stopped_fen": 1, "remark": "户名不符"}, ["stopped_fen"]),
    ],
)
def test_what_a_feedback_leaves_out_or_overstates_is_named(changes: dict[str, Any], fields: list[str]) -> None:
    assert named(a_feedback(**changes)) == fields


@pytest.mark.parametrize("kind", [one for one in OrderKind if one is not OrderKind.STOP])
def test_a_bank_that_stopped_first_did_nothing_else_before_it_was_ordered_to(kind: OrderKind) -> None:
    early = {"stopped_fen": None, **dict.fromkeys(NEEDED[kind], 7)}
    at = NOW + timedelta(minutes=5)
    assert named(a_feedback(**early), kind=kind, ordered_at=at) == []
    assert named(a_feedback(**early), kind=kind, ordered_at=at + timedelta(seconds=1)) == ["executed_at"]


NEEDED = {
    OrderKind.STOP: ["stopped_fen"],
    OrderKind.EXTEND_STOP: ["stopped_fen"],
    OrderKind.RELEASE_STOP: [],
    OrderKind.FREEZE: ["frozen_fen"],
    OrderKind.EXTEND_FREEZE: ["frozen_fen"],
    OrderKind.UNFREEZE: [],
    OrderKind.RETURN_FUNDS: ["returned_fen"],
}


@pytest.mark.parametrize("kind", OrderKind)
def test_a_success_says_how_much_was_stopped_frozen_or_returned(kind: OrderKind) -> None:
    assert named(a_feedback(stopped_fen=None), kind=kind) == NEEDED[kind]
    assert named(a_feedback(**{"stopped_fen": None, **dict.fromkeys(NEEDED[kind], 7)}), kind=kind) == []


@pytest.mark.parametrize("kind", OrderKind)
@pytest.mark.parametrize("field", ["stopped_fen", "frozen_fen", "returned_fen"])
def test_an_amount_of_another_kind_of_order_has_no_place(kind: OrderKind, field: str) -> None:
    told = {"stopped_fen": None, **dict.fromkeys(NEEDED[kind], 7), field: 8}
    assert named(a_feedback(**told), kind=kind) == ([] if field in NEEDED[kind] else [field])


@pytest.mark.parametrize(("kind", "field"), [(kind, fields[0]) for kind, fields in NEEDED.items() if fields])
def test_no_more_was_done_than_ordered(kind: OrderKind, field: str) -> None:
    assert named(a_feedback(**{"stopped_fen": None, field: 100}), kind=kind, amount_fen=100) == []
    [problem] = problems(a_feedback(**{"stopped_fen": None, field: 101}), an_order(kind=kind, amount_fen=100), NOW)
    assert (problem.field, problem.message) == (field, OVERSTATED)


@pytest.mark.parametrize("more", [{"scope": "account"}, {"includes_proceeds": True}])
def test_a_freeze_of_the_whole_account_or_with_its_proceeds_may_hold_more(more: dict[str, Any]) -> None:
    told = a_feedback(stopped_fen=None, frozen_fen=101)
    assert named(told, kind=OrderKind.FREEZE, amount_fen=100, **more) == []
    assert named(told, kind=OrderKind.FREEZE, amount_fen=100, scope="amount") == ["frozen_fen"]


def test_a_mismatch_says_why_without_more_words_and_has_no_place_in_a_success() -> None:
    failed = a_feedback(result="failure", stopped_fen=None, mismatch=["name", "transfer_at"])
    assert named(failed) == []
    assert named(a_feedback(mismatch=["name"])) == ["mismatch"]


@pytest.mark.parametrize(
    ("told", "failure"),
    [
        ({"mismatch": ["account"], "failure_cause": "x", "remark": "y"}, Failure.MISMATCH),
        ({"failure_cause": "x", "remark": "y"}, Failure.TECHNICAL),
        ({"remark": "y"}, Failure.BUSINESS),
    ],
)
def test_why_a_bank_failed_is_told_by_what_weighs_most(told: dict[str, Any], failure: Failure) -> None:
    feedback = a_feedback(result="failure", stopped_fen=None, **told)
    event = received(feedback, an_order(), uuid4(), IDENTITY, NOW)
    assert (event.failure, [one.value for one in event.mismatch]) == (failure, told.get("mismatch", []))


def test_what_was_frozen_and_returned_reaches_the_police() -> None:
    freeze = received(a_feedback(frozen_fen=5), an_order(kind=OrderKind.FREEZE), uuid4(), IDENTITY, NOW)
    back = received(a_feedback(returned_fen=4), an_order(kind=OrderKind.RETURN_FUNDS), uuid4(), IDENTITY, NOW)
    assert (freeze.frozen_fen, freeze.failure, back.returned_fen) == (5, None, 4)


def test_fields_that_are_not_said_leave_the_digest_as_it_was_before_they_existed() -> None:
    told = json.loads(a_feedback().model_dump_json())
    assert not {"frozen_fen", "returned_fen", "mismatch"} & told.keys()
    assert json.loads(a_feedback(frozen_fen=0).model_dump_json())["frozen_fen"] == 0


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
