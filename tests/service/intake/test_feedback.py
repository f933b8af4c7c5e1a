"""What banks say they did with orders."""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx2 import Response

from services.intake import hearing
from shared.events import FEEDBACK, FeedbackContradicted, FeedbackReceived, OrderChanged, OrderKind, OrderStatus
from shared.outbox import new_id
from tests.parts import DROP, IDENTITY, Door, bank
from tests.service.intake.counter import fields_of, metric, no_trace, ordered, owed, problem_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXECUTED_AT = datetime.now(UTC).isoformat()
ONWARD: dict[str, Any] = {
    "bank_code": "ABC",
    "account": "6228480000000002048",
    "name": "戚海涛",
    "amount_fen": 3_600_000,
    "transferred_at": EXECUTED_AT,
}


def a_feedback(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a feedback that is accepted for a stop; `DROP` leaves a field out."""
    body = {
        "result": "success",
        "balance_before_fen": 6_200_000,
        "stopped_fen": 6_200_000,
        "executed_at": EXECUTED_AT,
        "remark": "户名、账号、金额、时间核对一致",
        "operator": "周敏",
        "onward": [ONWARD],
        **changes,
    }
    return {name: value for name, value in body.items() if value is not DROP}


async def answer_to(door: Door, order: OrderChanged, body: object, code: str = "CCB") -> Response:
    return await door.client.post(f"/v1/orders/{order.order_id}/feedback", json=body, headers=bank(code))


async def promised(door: Door, order: OrderChanged) -> list[dict[str, Any]]:
    """The events about an order that are waiting to be sent."""
    sql = "select id, type, payload, awaits_answer from outbox where topic = $1 and key = $2 order by created_at, id"
    return await door.rows(sql, FEEDBACK, str(order.case_id))


async def test_a_feedback_is_stored_promised_and_owed_until_an_order_carries_it(shared: Door) -> None:
    order = await ordered(shared)
    counted = await metric(shared, "lanjie_feedback_total", bank="CCB", result="success")
    answer = await answer_to(shared, order, a_feedback())
    assert answer.status_code == 200
    feedback_id = UUID(answer.json()["id"])
    assert answer.json() == {"id": str(feedback_id), "order_id": str(order.order_id), "status": "received"}
    [row] = await promised(shared, order)
    assert (row["id"], row["awaits_answer"]) == (feedback_id, True)
    event = FeedbackReceived.model_validate_json(row["payload"])
    assert (event.order_id, event.case_id, event.bank) == (order.order_id, order.case_id, "CCB")
    assert (event.result, event.stopped_fen, event.balance_before_fen) == ("success", 6_200_000, 6_200_000)
    assert event.executed_at == datetime.fromisoformat(EXECUTED_AT)
    assert await metric(shared, "lanjie_feedback_total", bank="CCB", result="success") == counted + 1
    carried = order.model_copy(update={"version": 2, "status": OrderStatus.EXECUTED, "answers": feedback_id})
    await hearing.hear(shared.pool, [carried])
    assert not await owed(shared, feedback_id)


async def test_the_words_and_the_onward_accounts_of_a_feedback_are_sealed(shared: Door) -> None:
    order = await ordered(shared)
    await answer_to(shared, order, a_feedback())
    [row] = await promised(shared, order)
    event = FeedbackReceived.model_validate_json(row["payload"])
    for secret in ("周敏", "戚海涛", ONWARD["account"], "核对一致"):
        assert secret.encode() not in row["payload"]
    opened = json.loads(IDENTITY.open(event.identity, str(event.feedback_id)))
    assert (opened["operator"], opened["remark"], opened["failure_cause"]) == (
        "周敏",
        "户名、账号、金额、时间核对一致",
        None,
    )
    [onward] = opened["onward"]
    assert (onward["account"], onward["amount_fen"]) == (ONWARD["account"], 3_600_000)


async def test_a_foreign_or_absent_order_cannot_be_answered(shared: Door) -> None:
    order = await ordered(shared)
    async with no_trace(shared):
        foreign = await answer_to(shared, order, a_feedback(), code="ICBC")
        absent = await shared.client.post(f"/v1/orders/{new_id()}/feedback", json=a_feedback(), headers=bank("CCB"))
    assert problem_of(foreign, 404) == problem_of(absent, 404)


async def test_more_stopped_than_ordered_is_refused_and_an_operator_is_alerted(shared: Door) -> None:
    order = await ordered(shared)
    before = await metric(shared, "lanjie_feedback_overstated_total", bank="CCB")
    body = a_feedback(stopped_fen=9_800_001, balance_before_fen=20_000_000)
    async with no_trace(shared):
        document = problem_of(await answer_to(shared, order, body), 422)
    assert fields_of(document) == {"stopped_fen"}
    assert await metric(shared, "lanjie_feedback_overstated_total", bank="CCB") == before + 1
    exactly = a_feedback(stopped_fen=9_800_000, balance_before_fen=20_000_000)
    assert (await answer_to(shared, order, exactly)).status_code == 200
    assert await metric(shared, "lanjie_feedback_overstated_total", bank="CCB") == before + 1


async def test_a_repeated_feedback_gets_the_first_answer_and_is_promised_once(shared: Door) -> None:
    order, body = await ordered(shared), a_feedback()
    first = await answer_to(shared, order, body)
    counted = await metric(shared, "lanjie_feedback_total", bank="CCB", result="success")
    async with no_trace(shared):
        again = await answer_to(shared, order, dict(reversed(body.items())))
    assert (first.status_code, again.status_code, again.text) == (200, 200, first.text)
    assert await metric(shared, "lanjie_feedback_total", bank="CCB", result="success") == counted


@pytest.mark.parametrize(
    "change",
    [
        {"stopped_fen": 1},
        {"result": "failure", "stopped_fen": DROP, "executed_at": DROP},
        {"remark": "另一种说法"},
        {"onward": []},
        {"executed_at": (datetime.now(UTC) - timedelta(hours=1)).isoformat()},
    ],
)
async def test_a_contradicting_feedback_is_refused_kept_and_sent_once_for_a_person_to_look(
    shared: Door, change: dict[str, Any]
) -> None:
    order = await ordered(shared)
    first = await answer_to(shared, order, a_feedback())
    before = await metric(shared, "lanjie_feedback_contradictions_total", bank="CCB")
    for _ in range(2):
        problem_of(await answer_to(shared, order, a_feedback(**change)), 409)
    assert await metric(shared, "lanjie_feedback_contradictions_total", bank="CCB") == before + 2
    assert (await answer_to(shared, order, a_feedback())).text == first.text
    [kept] = await shared.rows("select id, event from contradiction where order_id = $1", order.order_id)
    [_, row] = await promised(shared, order)
    assert (row["id"], row["type"]) == (kept["id"], FeedbackContradicted.type)
    event = FeedbackContradicted.model_validate_json(row["payload"])
    assert (event.order_id, event.case_id, event.bank) == (order.order_id, order.case_id, "CCB")
    [stored] = await shared.rows("select id::text from feedback where order_id = $1", order.order_id)
    assert stored["id"] == first.json()["id"]


async def test_each_different_contradiction_is_kept(shared: Door) -> None:
    order = await ordered(shared)
    await answer_to(shared, order, a_feedback())
    for stopped in (1, 2, 3, 2):
        problem_of(await answer_to(shared, order, a_feedback(stopped_fen=stopped)), 409)
    rows = await shared.rows("select event from contradiction where order_id = $1", order.order_id)
    events = [FeedbackContradicted.model_validate_json(row["event"]) for row in rows]
    assert sorted(event.stopped_fen or 0 for event in events) == [1, 2, 3]
    assert len(await promised(shared, order)) == 4


async def test_of_contradicting_feedback_at_once_one_is_stored_and_the_other_kept_for_review(shared: Door) -> None:
    order = await ordered(shared)
    bodies = [a_feedback(), a_feedback(stopped_fen=1)]
    answers = await asyncio.gather(*(answer_to(shared, order, bodies[number % 2]) for number in range(12)))
    assert Counter(answer.status_code for answer in answers) == {200: 6, 409: 6}
    assert len({answer.text for answer in answers if answer.status_code == 200}) == 1
    assert [row["awaits_answer"] for row in await promised(shared, order)] == [True, True]


async def test_a_failure_says_why(shared: Door) -> None:
    order = await ordered(shared)
    assert (await answer_to(shared, order, {"result": "failure", "remark": "户名不符"})).status_code == 200
    other = await ordered(shared)
    answer = await answer_to(shared, other, {"result": "failure", "failure_cause": "核心系统维护", "stopped_fen": 0})
    assert answer.status_code == 200


async def test_a_mismatch_is_kept_by_its_facts_and_needs_no_words(shared: Door) -> None:
    order = await ordered(shared)
    answer = await answer_to(shared, order, {"result": "failure", "mismatch": ["name", "account"]})
    assert answer.status_code == 200
    [row] = await promised(shared, order)
    event = FeedbackReceived.model_validate_json(row["payload"])
    assert (event.failure, [fact.value for fact in event.mismatch]) == ("mismatch", ["name", "account"])


async def test_more_frozen_or_returned_than_ordered_is_refused_and_an_operator_is_alerted(shared: Door) -> None:
    before = await metric(shared, "lanjie_feedback_overstated_total", bank="CCB")
    for kind, field in ((OrderKind.FREEZE, "frozen_fen"), (OrderKind.RETURN_FUNDS, "returned_fen")):
        order = await ordered(shared, kind=kind)
        body = {"result": "success", "executed_at": EXECUTED_AT, field: 9_800_001}
        async with no_trace(shared):
            assert fields_of(problem_of(await answer_to(shared, order, body), 422)) == {field}
        assert (await answer_to(shared, order, {**body, field: 9_800_000})).status_code == 200
    assert await metric(shared, "lanjie_feedback_overstated_total", bank="CCB") == before + 2


async def test_a_release_that_was_done_needs_no_amount(shared: Door) -> None:
    order = await ordered(shared, kind=OrderKind.RELEASE_STOP)
    body = {"result": "success", "executed_at": EXECUTED_AT}
    assert (await answer_to(shared, order, body)).status_code == 200


AHEAD = (datetime.now(UTC) + timedelta(minutes=20)).isoformat()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"result": DROP}, "result"),
        ({"result": "done"}, "result"),
        ({"result": "partial"}, "result"),
        ({"executed_at": DROP}, "executed_at"),
        ({"executed_at": None}, "executed_at"),
        ({"executed_at": AHEAD}, "executed_at"),
        ({"executed_at": (datetime.now(UTC) - timedelta(hours=25)).isoformat()}, "executed_at"),
        ({"executed_at": "2026-11-22T09:31:00"}, "executed_at"),
        ({"executed_at": 1732240000}, "executed_at"),
        ({"executed_at": "0001-01-01T00:00:00+14:00"}, "executed_at"),
        ({"expires_at": "9999-12-31T23:59:59-12:00"}, "expires_at"),
        ({"stopped_fen": DROP}, "stopped_fen"),
        ({"stopped_fen": 6_200_001}, "stopped_fen"),
        ({"stopped_fen": -1}, "stopped_fen"),
        ({"stopped_fen": 1.5}, "stopped_fen"),
        ({"stopped_fen": "1"}, "stopped_fen"),
        ({"stopped_fen": True}, "stopped_fen"),
        ({"balance_before_fen": -1}, "balance_before_fen"),
        ({"balance_before_fen": 10**30}, "balance_before_fen"),
        ({"result": "failure"}, "stopped_fen"),
        ({"result": "failure", "stopped_fen": 0, "remark": DROP}, "failure_cause"),
        ({"result": "failure", "stopped_fen": 0, "remark": ""}, "failure_cause"),
        ({"remark": "说\0"}, "remark"),
        ({"remark": "说" * 2001}, "remark"),
        ({"failure_cause": 7}, "failure_cause"),
        ({"operator": "周\u202e敏"}, "operator"),
        ({"onward": {}}, "onward"),
        ({"onward": [ONWARD] * 101}, "onward"),
        ({"onward": [{**ONWARD, "account": "６２２８４８"}]}, "onward.0.account"),
        ({"onward": [{**ONWARD, "account": "6228480000000002048\n"}]}, "onward.0.account"),
        ({"onward": [ONWARD, {**ONWARD, "amount_fen": 0}]}, "onward.1.amount_fen"),
        ({"onward": [{**ONWARD, "transferred_at": "today"}]}, "onward.0.transferred_at"),
        ({"onward": [{**ONWARD, "name": "戚\u200b海涛"}]}, "onward.0.name"),
        ({"onward": [{**ONWARD, "phone": "1"}]}, "onward.0.phone"),
        ({"amount_fen": 1}, "amount_fen"),
        ({"frozen_fen": 1}, "frozen_fen"),
        ({"returned_fen": 1}, "returned_fen"),
        ({"frozen_fen": "1"}, "frozen_fen"),
        ({"mismatch": ["name"]}, "mismatch"),
        ({"mismatch": ["colour"]}, "mismatch.0"),
        ({"mismatch": "name"}, "mismatch"),
        ({"mismatch": ["name"] * 5}, "mismatch"),
    ],
)
async def test_a_feedback_that_cannot_be_accepted_is_named_by_field(
    shared: Door, changes: dict[str, Any], field: str
) -> None:
    order = await ordered(shared)
    async with no_trace(shared):
        document = problem_of(await answer_to(shared, order, a_feedback(**changes)), 422)
    assert fields_of(document) == {field}
