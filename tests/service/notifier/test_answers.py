"""What banks answer: feedback once, repeated, contradicting, about nothing we know."""

from datetime import timedelta
from uuid import UUID

import pytest

from services.notifier.orders import answering
from services.notifier.orders.answering import UnknownOrderError
from shared.events import CaseChanged, OrderChanged, OrderStatus
from shared.outbox import new_id
from tests.parts import Door
from tests.service.notifier.builders import a_contradiction, a_failure, a_success, hear, now, office, said
from tests.service.notifier.police import case_of, new_case, ordered, orders_of, promised, timeline

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOWHERE = "01999999-0000-7000-8000-000000000000"


async def booked(door: Door, case_id: str) -> dict[str, int]:
    """What the ledger holds of a case's own money, in fen by kind."""
    rows = await door.rows(
        "select kind, sum(fen)::bigint as fen from ledger where case_id = $1 group by kind", UUID(case_id)
    )
    return {row["kind"]: row["fen"] for row in rows}


async def test_a_success_executes_the_order_and_ends_its_promise(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    order = await ordered(shared_notifier, case_id)
    feedback = a_success(order, stopped_fen=5_000, balance_before_fen=6_000)
    rows = await hear(shared_notifier.pool, feedback)
    case = await case_of(shared_notifier, case_id)
    [shown] = case["orders"]
    assert (shown["status"], shown["version"], shown["stopped_fen"]) == ("executed", 2, 5_000)
    assert case["version"] == 3
    assert case["timeline"][-1]["text"] == "银行反馈：已止付 50.00 元（止付前余额 60.00 元）"
    assert await promised(shared_notifier, case_id) == []
    [event] = said(rows, OrderChanged)
    assert (event.status, event.version, event.answers) == (OrderStatus.EXECUTED, 2, feedback.feedback_id)
    assert [event.version for event in said(rows, CaseChanged)] == [3]


async def test_the_48_hours_run_from_the_moment_the_bank_stopped(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    stopped_at = now() - timedelta(minutes=7)
    rows = await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id), executed_at=stopped_at))
    [row] = await orders_of(shared_notifier, case_id)
    assert (row["executed_at"], row["expires_at"]) == (stopped_at, stopped_at + timedelta(hours=48))
    assert [event.expires_at for event in said(rows, OrderChanged)] == [stopped_at + timedelta(hours=48)]


async def test_a_failure_fails_the_order_and_holds_nothing(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    rows = await hear(shared_notifier.pool, a_failure(await ordered(shared_notifier, case_id)))
    case = await case_of(shared_notifier, case_id)
    [shown] = case["orders"]
    assert (shown["status"], shown["stopped_fen"], shown["expires_at"]) == ("failed", None, None)
    assert case["timeline"][-1]["text"] == "银行反馈：未能执行，技术原因见反馈"
    assert await promised(shared_notifier, case_id) == []
    assert [event.status for event in said(rows, OrderChanged)] == [OrderStatus.FAILED]
    assert await booked(shared_notifier, case_id) == {}


async def test_feedback_that_comes_again_changes_nothing_and_is_answered_again(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    feedback = a_success(await ordered(shared_notifier, case_id))
    first = await hear(shared_notifier.pool, feedback)
    before = await case_of(shared_notifier, case_id), await booked(shared_notifier, case_id)
    order, rows = await answering.take_feedback(office(shared_notifier.pool), feedback, now())
    assert order is None
    assert said(rows, OrderChanged) == said(first, OrderChanged)
    assert (await case_of(shared_notifier, case_id), await booked(shared_notifier, case_id)) == before
    stored = await shared_notifier.pool.fetchval("select count(*) from outbox where id = $1", rows[0].id)
    assert stored == 1


@pytest.mark.parametrize("lost", ["order_id", "case_id"])
async def test_feedback_about_nothing_we_know_is_an_error_for_a_person(shared_notifier: Door, lost: str) -> None:
    case_id = await new_case(shared_notifier)
    feedback = a_success(await ordered(shared_notifier, case_id)).model_copy(update={lost: new_id()})
    with pytest.raises(UnknownOrderError):
        await answering.take_feedback(office(shared_notifier.pool), feedback, now())
    assert [row["status"] for row in await orders_of(shared_notifier, case_id)] == ["pending"]


async def test_a_release_that_is_executed_marks_the_stops_of_its_case_released(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    for _ in range(2):
        await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id), stopped_fen=70))
    release = await ordered(shared_notifier, case_id, "release_stop")
    answer = a_success(release)
    await hear(shared_notifier.pool, answer)
    case = await case_of(shared_notifier, case_id)
    assert case["timeline"][-1]["text"] == "银行反馈：已解除止付"
    rows = await orders_of(shared_notifier, case_id)
    assert [(row["kind"], row["ended_at"], row["expires_at"] is None) for row in rows] == [
        ("stop", answer.executed_at, False),
        ("stop", answer.executed_at, False),
        ("release_stop", None, True),
    ]
    assert await booked(shared_notifier, case_id) == {"stopped": 70, "released": 70}


async def test_a_release_that_failed_releases_nothing_and_may_be_ordered_again(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    await hear(shared_notifier.pool, a_failure(await ordered(shared_notifier, case_id, "release_stop")))
    assert [row["ended_at"] for row in await orders_of(shared_notifier, case_id)] == [None, None]
    await ordered(shared_notifier, case_id, "release_stop")


async def test_a_contradicting_answer_is_told_once_and_changes_no_order(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    order = await ordered(shared_notifier, case_id)
    await hear(shared_notifier.pool, a_failure(order))
    event = a_contradiction(order)
    for _ in range(2):
        await answering.note_contradiction(shared_notifier.pool, event, now())
    case = await case_of(shared_notifier, case_id)
    assert timeline(case).count("contradiction") == 1
    last = case["timeline"][-1]
    assert (last["kind"], last["actor"]) == ("contradiction", "bank:CCB")
    assert "需人工复核" in last["text"]
    assert "1.00 元" in last["text"]
    assert case["orders"][0]["status"] == "failed"


async def test_a_contradicting_answer_alerts_the_unit_in_charge_once(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    order = await ordered(shared_notifier, case_id)
    await hear(shared_notifier.pool, a_failure(order))
    event = a_contradiction(order)
    for _ in range(2):
        await answering.note_contradiction(shared_notifier.pool, event, now())
    told = await shared_notifier.rows(
        "select unit, path, facts->>'order_id' as order_id, facts->'why'->>0 as why from alert"
        " where case_id = $1 and facts->>'kind' = 'contradiction'",
        UUID(case_id),
    )
    [one] = told
    assert (one["unit"], one["path"], one["order_id"]) == ("SZ-LH-CZ", "/SZ/SZ-LH/SZ-LH-CZ/", order["id"])
    assert "需人工复核" in one["why"]


async def test_a_contradiction_about_no_case_we_know_is_an_error_for_a_person(shared_notifier: Door) -> None:
    event = a_contradiction({"id": NOWHERE, "case_id": NOWHERE, "bank": "CCB"})
    with pytest.raises(UnknownOrderError):
        await answering.note_contradiction(shared_notifier.pool, event, now())


async def test_a_contradiction_about_no_order_of_its_case_is_an_error_for_a_person(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    foreign = await ordered(shared_notifier, await new_case(shared_notifier))
    for order_id in (NOWHERE, foreign["id"]):
        event = a_contradiction({"id": order_id, "case_id": case_id, "bank": "CCB"})
        with pytest.raises(UnknownOrderError):
            await answering.note_contradiction(shared_notifier.pool, event, now())
    assert timeline(await case_of(shared_notifier, case_id)) == ["opened"]
