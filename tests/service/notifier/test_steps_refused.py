"""Steps of case work that a rule refuses: it is named, counted and on record, and nothing changes."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from httpx2 import Response

from services.notifier.orders.law import LAWS, Rule
from tests.parts import Door
from tests.service.notifier.builders import a_success, a_verdict, an_account, hear
from tests.service.notifier.police import CUIZHU, a_case, close, does, done, new_case, ordered
from tests.service.notifier.test_orders_on_record import counted
from tests.service.notifier.test_refusals import state_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
Attempt = tuple[str, str, Callable[[], Awaitable[Response]]]
"""The case, what the record is about, and the step."""


async def another_finding(door: Door) -> Attempt:
    case_id = await new_case(door)
    await close(door, case_id, "confirmed")
    return case_id, case_id, lambda: close(door, case_id, "unfounded")


async def an_order_waits(door: Door) -> Attempt:
    case_id = await new_case(door)
    await ordered(door, case_id)
    return case_id, case_id, lambda: close(door, case_id, "confirmed")


async def taken_over_closed(door: Door) -> Attempt:
    case_id = await new_case(door)
    await close(door, case_id)
    return case_id, case_id, lambda: does(door, case_id, "take-over")


async def transferred_closed(door: Door) -> Attempt:
    case_id = await new_case(door)
    await close(door, case_id)
    return case_id, case_id, lambda: does(door, case_id, "transfer", unit="SZ-FT", reason="x")


async def split_closed(door: Door) -> Attempt:
    account = an_account()
    verdicts = [a_verdict(account), a_verdict(account)]
    case_id = await a_case(door, *verdicts)
    await close(door, case_id)
    taken = [str(verdicts[0].report.report_id)]
    return case_id, case_id, lambda: does(door, case_id, "split", report_ids=taken, reason="x")


async def another_open(door: Door) -> Attempt:
    account = an_account()
    case_id = await a_case(door, a_verdict(account))
    await close(door, case_id)
    await a_case(door, a_verdict(account))
    return case_id, case_id, lambda: does(door, case_id, "reopen", reason="x")


async def objection(door: Door) -> tuple[str, str]:
    case_id = await new_case(door)
    await hear(door.pool, a_success(await ordered(door, case_id)))
    return case_id, (await done(door, case_id, "objections", by="持卡人", text="x"))["objections"][0]["id"]


def answer(door: Door, objection_id: str, decision: str) -> Awaitable[Response]:
    body = {"decision": decision, "text": "x"}
    return door.client.post(f"/v1/objections/{objection_id}/answer", json=body, headers=CUIZHU)


async def rejected_by_an_officer(door: Door) -> Attempt:
    case_id, objection_id = await objection(door)
    return case_id, objection_id, lambda: answer(door, objection_id, "rejected")


async def answered_otherwise(door: Door) -> Attempt:
    case_id, objection_id = await objection(door)
    assert (await answer(door, objection_id, "upheld")).status_code == 200
    await door.pool.execute("update objection set decision = 'rejected' where id = $1", UUID(objection_id))
    return case_id, objection_id, lambda: answer(door, objection_id, "upheld")


@pytest.mark.parametrize(
    ("arrange", "rule"),
    [
        (another_finding, Rule.ONE_FINDING),
        (an_order_waits, Rule.ANSWERED_FIRST),
        (taken_over_closed, Rule.CLOSED),
        (transferred_closed, Rule.CLOSED),
        (split_closed, Rule.CLOSED),
        (another_open, Rule.ONE_OPEN),
        (rejected_by_an_officer, Rule.REJECTED_BY),
        (answered_otherwise, Rule.ANSWERED_ONCE),
    ],
)
async def test_a_step_that_a_rule_refuses_names_it_is_counted_and_on_record_and_changes_nothing(
    shared_notifier: Door, arrange: Callable[[Door], Awaitable[Attempt]], rule: Rule
) -> None:
    case_id, subject, attempt = await arrange(shared_notifier)
    before, counts = await state_of(shared_notifier, case_id), await counted(shared_notifier, rule.value)
    refused = await attempt()
    assert (refused.status_code, refused.json()["rule"]) == (LAWS[rule].status, rule.value)
    assert refused.headers["content-type"] == "application/problem+json"
    assert await state_of(shared_notifier, case_id) == before
    assert await counted(shared_notifier, rule.value) == counts + 1
    sql = "select actor, action, reason from audit where subject = $1 and action = 'step_refused'"
    tried = await shared_notifier.rows(sql, UUID(subject))
    assert tried == [{"actor": "officer:陆峥", "action": "step_refused", "reason": rule.value}]
