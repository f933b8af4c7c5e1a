"""What follows when people or banks are late: who is alerted, what the timeline tells, what comes next."""

from datetime import timedelta
from uuid import UUID

import pytest

from services.notifier.orders import pushing
from shared.events import DispositionOutcome
from shared.postgres import Pool
from tests.parts import Door
from tests.service.notifier.builders import a_disposition, a_success, a_verdict, an_account, count, hear, take
from tests.service.notifier.clockwork import alerts, deadlines, fire, lines, open_cases
from tests.service.notifier.police import (
    LUOHU,
    a_case,
    acknowledge,
    case_of,
    close,
    new_case,
    ordered,
    promised,
    timeline,
)

MINUTE = timedelta(minutes=1)
LATE = timedelta(hours=10)


async def test_a_missed_acknowledgement_alerts_the_units_above_one_after_the_other(pool: Pool) -> None:
    [case_id] = await open_cases(pool, 1)
    told = [len((await fire(pool, MINUTE * minutes)).settled) for minutes in (0.9, 1.1, 1.2, 2.2, 3.2)]
    assert told == [0, 1, 0, 1, 0]
    assert [(one["unit"], one["path"]) for one in await alerts(pool, case_id, "escalated")] == [
        ("SZ-LH", "/SZ/SZ-LH/"),
        ("SZ", "/SZ/"),
    ]
    assert await deadlines(pool, case_id, "acknowledge") == [(0, "missed"), (1, "missed"), (2, "running")]
    assert len(await lines(pool, case_id, "escalated")) == 2


async def test_an_alert_nobody_takes_on_never_falls_silent(pool: Pool) -> None:
    [case_id] = await open_cases(pool, 1)
    for _ in range(8):
        await fire(pool, LATE)
        await pool.execute("update deadline set due_at = now() where state = 'running'")
    assert [one["unit"] for one in await alerts(pool, case_id, "escalated")] == ["SZ-LH"] + ["SZ"] * 7


async def test_the_unit_in_charge_stays_in_charge_and_the_case_waits_for_it(notifier: Door) -> None:
    case_id = await new_case(notifier)
    await fire(notifier.pool, LATE)
    case = await case_of(notifier, case_id)
    assert (case["unit"], case["status"]) == ("SZ-LH-CZ", "open")
    assert timeline(case) == ["opened", "escalated"]
    assert (await acknowledge(notifier, case_id)).status_code == 200
    assert not (await alerts(notifier.pool, case_id, "escalated"))[1:]
    assert not (await fire(notifier.pool, MINUTE)).settled


async def test_an_acknowledged_case_is_not_escalated(notifier: Door) -> None:
    case_id = await new_case(notifier)
    await acknowledge(notifier, case_id)
    assert await deadlines(notifier.pool, case_id, "acknowledge") == [(0, "met")]
    await fire(notifier.pool, MINUTE * 2)
    assert await alerts(notifier.pool, case_id, "escalated") == []


async def test_without_an_order_the_supervisor_is_told(notifier: Door) -> None:
    case_id = await new_case(notifier)
    await acknowledge(notifier, case_id)
    await fire(notifier.pool, MINUTE * 6)
    [told] = await alerts(notifier.pool, case_id, "order_overdue")
    assert (told["unit"], told["roles"]) == ("SZ-LH", ["supervisor"])
    await ordered(notifier, case_id)
    assert await deadlines(notifier.pool, case_id, "order") == [(0, "missed"), (1, "met")]


async def test_a_supervisor_who_has_left_is_not_told(notifier: Door) -> None:
    await notifier.pool.execute("update officer set revoked_at = now() where role = 'supervisor'")
    case_id = await new_case(notifier)
    await acknowledge(notifier, case_id)
    await fire(notifier.pool, MINUTE * 6)
    [told] = await alerts(notifier.pool, case_id, "order_overdue")
    assert (told["unit"], told["roles"]) == ("SZ", [])


async def test_no_order_is_waited_for_where_all_the_money_was_averted_before_the_acknowledgement(
    notifier: Door,
) -> None:
    verdict = a_verdict(an_account())
    case_id = await a_case(notifier, verdict)
    await count(notifier.pool, a_disposition(verdict))
    await acknowledge(notifier, case_id)
    assert await deadlines(notifier.pool, case_id, "order") == []


async def test_no_order_is_waited_for_once_all_the_money_is_averted(notifier: Door) -> None:
    first, second = a_verdict(account := an_account()), a_verdict(account)
    case_id = await a_case(notifier, first, second)
    await acknowledge(notifier, case_id)
    await count(notifier.pool, a_disposition(first))
    assert await deadlines(notifier.pool, case_id, "order") == [(0, "running")]
    await count(notifier.pool, a_disposition(second))
    assert await deadlines(notifier.pool, case_id, "order") == [(0, "met")]
    third = a_verdict(account)
    await take(notifier.pool, third)
    assert await deadlines(notifier.pool, case_id, "order") == [(0, "met"), (0, "running")]


async def test_money_that_was_partly_averted_is_still_to_be_stopped(notifier: Door) -> None:
    verdict = a_verdict(an_account())
    case_id = await a_case(notifier, verdict)
    await count(notifier.pool, a_disposition(verdict, DispositionOutcome.CANCELLED, 5))
    await acknowledge(notifier, case_id)
    assert await deadlines(notifier.pool, case_id, "order") == [(0, "running")]


@pytest.mark.parametrize("finding", ["confirmed", "unfounded"])
async def test_a_closed_case_waits_for_nobody(notifier: Door, finding: str) -> None:
    case_id = await new_case(notifier)
    await acknowledge(notifier, case_id)
    assert (await close(notifier, case_id, finding, scam_type="romance")).status_code == 200
    assert not (await fire(notifier.pool, LATE)).settled


async def test_a_bank_that_does_not_answer_is_asked_again_and_the_supervisor_is_told(notifier: Door) -> None:
    case_id = await new_case(notifier)
    order = await ordered(notifier, case_id)
    await a_target_of_the_bank(notifier.pool)
    fired = await fire(notifier.pool, MINUTE * 6)
    assert fired.ask_again == [UUID(order["id"])]
    [told] = await alerts(notifier.pool, case_id, "feedback_overdue")
    assert (told["unit"], told["roles"], told["order_id"]) == ("SZ-LH", ["supervisor"], order["id"])
    pushed = await notifier.rows("select facts from delivery where type = $1", pushing.ORDER_TYPE)
    assert len(pushed) == 1
    assert [row["id"] for row in await promised(notifier, case_id)] == [UUID(order["id"])]


async def test_a_bank_that_has_answered_is_left_in_peace(notifier: Door) -> None:
    case_id = await new_case(notifier)
    await hear(notifier.pool, a_success(await ordered(notifier, case_id)))
    await fire(notifier.pool, LATE)
    assert await alerts(notifier.pool, case_id, "feedback_overdue") == []


async def test_an_order_that_waits_for_a_second_officer_is_told_to_the_next_approvers(notifier: Door) -> None:
    case_id = await new_case(notifier)
    order = await ordered(notifier, case_id)
    await notifier.pool.execute("update bank_order set status = 'proposed', approval_level = 6")
    await notifier.pool.execute("update deadline set stage = 'approve' where stage = 'feedback'")
    await fire(notifier.pool, LATE)
    [told] = await alerts(notifier.pool, case_id, "approval_overdue")
    assert (told["unit"], told["roles"]) == ("SZ-LH", ["approver", "supervisor"])
    assert told["order_id"] == order["id"]


async def test_who_is_told_sees_it_on_the_stream_and_may_take_the_case_on(notifier: Door) -> None:
    case_id = await new_case(notifier)
    await fire(notifier.pool, LATE)
    assert (await acknowledge(notifier, case_id, LUOHU)).status_code == 200
    assert await deadlines(notifier.pool, case_id, "acknowledge") == [(0, "missed"), (1, "met")]


async def a_target_of_the_bank(pool: Pool) -> None:
    await pool.execute(
        """
        insert into target (id, bank, channel, address, shown)
        values (gen_random_uuid(), 'CCB', 'webhook', 'http://127.0.0.1:9/', '127.0.0.1')
        """
    )
