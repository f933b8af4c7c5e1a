"""Reports at the banks' door: what is stored, and what their bank sees of them."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from services.intake import hearing
from shared.events import CaseStatus, Finding, Level, ReportsCounted
from shared.outbox import new_id
from tests.parts import Door, a_key, a_report, bank
from tests.service.intake.counter import (
    a_case,
    a_verdict,
    event_of,
    filed,
    judge,
    metric,
    owed,
    post,
    problem_of,
    shown,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_report_is_accepted_and_stored_while_the_broker_is_away(shared: Door) -> None:
    body, key = a_report(), a_key()
    answer = await post(shared, body, key=key)
    assert answer.status_code == 202
    report_id = answer.json()["id"]
    assert answer.headers["location"] == f"/v1/reports/{report_id}"
    assert answer.json() == {"id": report_id, "status": "received"}
    [row] = await shared.rows("select id, bank, bank_reference from report where idempotency_key = $1", key)
    assert (str(row["id"]), row["bank"], row["bank_reference"]) == (report_id, "ICBC", body["bank_reference"])
    [promise] = await shared.rows("select topic, key, type, awaits_answer from outbox where id = $1", report_id)
    event = await event_of(shared, UUID(report_id))
    assert promise == {"topic": event.topic, "key": event.payee_token, "type": event.type, "awaits_answer": True}


async def test_an_accepted_report_is_counted_for_its_bank(shared: Door) -> None:
    before = await metric(shared, "lanjie_reports_accepted_total", bank="ICBC")
    await filed(shared)
    assert await metric(shared, "lanjie_reports_accepted_total", bank="ICBC") == before + 1


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(("given", "kept"), [(TRACE, True), (TRACE.upper(), False), (f"{TRACE}0", False), ("x", False)])
async def test_a_report_belongs_to_the_trace_of_its_request_or_begins_one(
    shared: Door,
    given: str,
    kept: bool,  # noqa: FBT001
) -> None:
    answer = await post(shared, a_report(), traceparent=given)
    [row] = await shared.rows(
        "select r.traceparent, o.traceparent as sent from report r join outbox o using (id) where id = $1",
        answer.json()["id"],
    )
    assert row["traceparent"] == row["sent"]
    assert (row["sent"] == given) is kept
    assert len(row["sent"]) == len(TRACE)


async def test_a_report_without_a_verdict_is_shown_as_received(shared: Door) -> None:
    body = a_report()
    report_id = (await post(shared, body)).json()["id"]
    told = await shown(shared, report_id)
    assert told.pop("filed_at")
    assert told == {
        "id": report_id,
        "bank_reference": body["bank_reference"],
        "status": "received",
        "version": None,
        "level": None,
        "score": None,
        "scam_type": None,
        "findings": [],
        "advice": None,
        "judged_at": None,
        "details": "kept",
        "case": None,
        "disposition": None,
    }


async def test_a_judged_report_is_shown_with_its_verdict_and_advice(shared: Door) -> None:
    report_id = await filed(shared)
    await judge(shared, report_id)
    told = await shown(shared, report_id)
    assert (told["status"], told["level"], told["score"], told["scam_type"]) == (
        "judged",
        "alert",
        86,
        "impersonating_authority",
    )
    assert told["findings"] == [{"rule": "safe_account", "weight": 60, "why": "对方要求转入“安全账户”"}]
    assert told["advice"] == {"ask": ["谁让您转的？"], "say": ["公检法没有安全账户。"], "do": ["暂缓办理"]}


async def test_no_names_numbers_or_notes_are_shown_of_a_report(shared: Door) -> None:
    body = a_report()
    report_id = (await post(shared, body)).json()["id"]
    await judge(shared, report_id)
    text = (await shared.client.get(f"/v1/reports/{report_id}", headers=bank())).text
    for secret in (*body["payer"].values(), body["payee"]["name"], body["payee"]["account"], body["note"]):
        assert secret not in text


async def test_a_foreign_and_an_absent_report_are_not_there(shared: Door) -> None:
    report_id = await filed(shared)
    for one in (report_id, new_id()):
        problem_of(await shared.client.get(f"/v1/reports/{one}", headers=bank("CCB")), 404)


async def test_a_newer_verdict_replaces_the_older_and_never_the_reverse(shared: Door) -> None:
    event = await event_of(shared, await filed(shared))
    for level, version in ((Level.CAUTION, 2), (Level.CLEAR, 1), (Level.CLEAR, 2)):
        await hearing.hear(shared.pool, [a_verdict(event, level, version=version)])
        assert (await shown(shared, event.report_id))["level"] == "caution"
    both = [a_verdict(event, Level.ALERT, version=4), a_verdict(event, Level.CLEAR, version=3)]
    await hearing.hear(shared.pool, both)
    assert (await shown(shared, event.report_id))["level"] == "alert"


@pytest.mark.parametrize("level", [Level.CLEAR, Level.CAUTION])
async def test_a_report_below_alert_is_owed_until_it_is_judged_and_counted(shared: Door, level: Level) -> None:
    report_id = await filed(shared)
    counted = ReportsCounted(report_ids=(report_id,))
    await hearing.hear(shared.pool, [counted])
    assert await owed(shared, report_id)
    await judge(shared, report_id, level)
    assert await owed(shared, report_id)
    await hearing.hear(shared.pool, [counted])
    assert not await owed(shared, report_id)


async def test_an_alert_is_owed_until_it_is_judged_and_in_a_case(shared: Door) -> None:
    report_id = await filed(shared)
    case = a_case(report_id)
    await judge(shared, report_id)
    await hearing.hear(shared.pool, [ReportsCounted(report_ids=(report_id,))])
    assert await owed(shared, report_id)
    await hearing.hear(shared.pool, [case])
    assert not await owed(shared, report_id)


async def test_a_verdict_that_comes_after_its_case_is_the_last_answer(shared: Door) -> None:
    report_id = await filed(shared)
    await hearing.hear(shared.pool, [a_case(report_id)])
    assert await owed(shared, report_id)
    await judge(shared, report_id)
    assert not await owed(shared, report_id)


async def test_the_state_of_its_case_is_shown_with_a_report_and_never_goes_back(shared: Door) -> None:
    report_id, case_id, now = await filed(shared), new_id(), datetime.now(UTC)
    taken = {"status": CaseStatus.ACKNOWLEDGED, "opened_at": now, "acknowledged_at": now}
    closed = {**taken, "status": CaseStatus.CLOSED, "closed_at": now, "finding": Finding.CONFIRMED}
    await hearing.hear(shared.pool, [a_case(report_id, case_id=case_id, version=1, opened_at=now)])
    assert (await case_shown(shared, report_id))["status"] == "open"
    await hearing.hear(shared.pool, [a_case(report_id, case_id=case_id, version=3, **closed)])
    await hearing.hear(shared.pool, [a_case(report_id, case_id=case_id, version=2, **taken)])
    told = await case_shown(shared, report_id)
    assert (told["id"], told["status"], told["finding"]) == (str(case_id), "closed", "confirmed")
    assert datetime.fromisoformat(told["acknowledged_at"]) == datetime.fromisoformat(told["closed_at"]) == now


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("together", [True, False])
async def test_a_report_that_was_split_off_is_in_the_later_case_whichever_is_heard_of_first(
    shared: Door, order: tuple[int, ...], *, together: bool
) -> None:
    report_id, first, later = await filed(shared), new_id(), new_id()
    told = [a_case(report_id, case_id=first), a_case(report_id, case_id=later, status=CaseStatus.ACKNOWLEDGED)]
    heard = [told[place] for place in order]
    for batch in [heard] if together else [[one] for one in heard]:
        await hearing.hear(shared.pool, batch)
    assert (await case_shown(shared, report_id))["id"] == str(later)


async def case_shown(door: Door, report_id: UUID) -> dict[str, str]:
    case = (await shown(door, report_id))["case"]
    assert isinstance(case, dict)
    return case
