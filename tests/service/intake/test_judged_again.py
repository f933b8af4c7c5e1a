"""A report that is judged again: its bank sees the newest verdict, and nobody waits for it or owes it for ever."""

import asyncio
import time
from itertools import permutations
from uuid import UUID

import pytest

from services.intake import hearing
from services.intake.consumers import handling
from shared.events import Event, Level, ReportFiled, ReportsCounted, RuleFinding, VerdictReached
from shared.outbox import new_id
from shared.records import Received, read
from tests.parts import Door, a_report, bank
from tests.service.intake.counter import a_case, a_verdict, event_of, filed, metric, owed, post, shown
from tests.service.intake.test_waiting import ARecord, waiting_post

pytestmark = pytest.mark.asyncio(loop_scope="module")


def judged_again(report: ReportFiled, level: Level = Level.ALERT, version: int = 2) -> VerdictReached:
    """What the rules say of the same report when a later fact has changed their mind."""
    finding = RuleFinding(rule="confirmed_payee", weight=97, why="收款账户已被核实涉诈")
    return a_verdict(report, level, version=version).model_copy(update={"score": 97, "findings": (finding,)})


async def hear(door: Door, *events: Event) -> None:
    """Let the door consume events in one batch."""
    inside = door.app.state.door
    received = [read(ARecord(event)) for event in events]
    await handling(inside.pool, inside.board, inside.metrics)([one for one in received if isinstance(one, Received)])


async def quiet_report(door: Door) -> ReportFiled:
    """File a report that is judged below alert and counted: nothing is owed any more."""
    event = await event_of(door, await filed(door))
    await hear(door, a_verdict(event, Level.CAUTION), ReportsCounted(report_ids=(event.report_id,)))
    assert not await owed(door, event.report_id)
    return event


async def test_a_bank_sees_the_newest_verdict_its_version_and_the_case(shared: Door) -> None:
    report = await quiet_report(shared)
    told = await shown(shared, report.report_id)
    assert (told["version"], told["level"], told["case"]) == (1, "caution", None)
    case = a_case(report.report_id)
    await hear(shared, judged_again(report), case)
    told = await shown(shared, report.report_id)
    assert (told["version"], told["level"], told["score"]) == (2, "alert", 97)
    assert [finding["rule"] for finding in told["findings"]] == ["confirmed_payee"]
    assert told["case"]["id"] == str(case.case_id)


async def test_a_verdict_that_was_stored_without_its_version_in_it_is_shown_with_it(shared: Door) -> None:
    report = await quiet_report(shared)
    await shared.pool.execute("update verdict set body = body - 'version' where report_id = $1", report.report_id)
    assert (await shown(shared, report.report_id))["version"] == 1


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
@pytest.mark.parametrize("together", [False, True])
async def test_versions_in_any_order_and_twice_show_the_newest(
    shared: Door,
    order: tuple[int, ...],
    together: bool,  # noqa: FBT001
) -> None:
    report = await event_of(shared, await filed(shared))
    levels = {1: Level.CLEAR, 2: Level.CAUTION, 3: Level.ALERT}
    verdicts = [judged_again(report, levels[version], version) for version in (*order, *order)]
    for batch in [verdicts] if together else [[verdict] for verdict in verdicts]:
        await hear(shared, *batch)
    told = await shown(shared, report.report_id)
    assert (told["version"], told["level"]) == (3, "alert")


async def test_who_waits_for_a_verdict_gets_a_second_version_that_comes_first(shared: Door) -> None:
    posting, event = await waiting_post(shared)
    await hear(shared, judged_again(event))
    answer = await asyncio.wait_for(posting, 2)
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    await hear(shared, a_verdict(event, Level.CLEAR))
    assert (await shown(shared, event.report_id))["version"] == 2


async def test_nobody_is_held_for_a_second_version(shared: Door) -> None:
    report, began = await quiet_report(shared), time.monotonic()
    answer = await shared.client.get(f"/v1/reports/{report.report_id}", headers=bank(Prefer="wait=3"))
    assert answer.json()["version"] == 1
    assert time.monotonic() - began < 2.5


async def test_a_post_that_is_repeated_after_a_second_version_shows_it(shared: Door) -> None:
    body, key = a_report(), new_id().hex
    report = await event_of(shared, UUID((await post(shared, body, key=key)).json()["id"]))
    await hear(shared, a_verdict(report, Level.CLEAR), judged_again(report))
    answer = await post(shared, body, key=key, Prefer="wait=3")
    assert (answer.status_code, answer.json()["version"], answer.json()["level"]) == (200, 2, "alert")


async def test_a_report_judged_again_before_it_was_counted_is_owed_until_its_case_names_it(shared: Door) -> None:
    report = await event_of(shared, await filed(shared))
    await hear(shared, a_verdict(report, Level.CAUTION), judged_again(report))
    await hear(shared, ReportsCounted(report_ids=(report.report_id,)))
    assert await owed(shared, report.report_id)
    await hear(shared, a_case(report.report_id))
    assert not await owed(shared, report.report_id)


async def test_a_case_that_names_a_quiet_report_has_the_lost_verdict_asked_for_again(shared: Door) -> None:
    """The bank would otherwise go on seeing the old advice, since everybody else has been answered."""
    report, alert = await quiet_report(shared), await event_of(shared, await filed(shared))
    case = a_case(alert.report_id, report.report_id)
    await hear(shared, a_verdict(alert), case)
    assert not await owed(shared, alert.report_id)
    assert await owed(shared, report.report_id)
    assert await event_of(shared, report.report_id) == report, "the report is asked about as it was the first time"
    await hear(shared, case, ReportsCounted(report_ids=(report.report_id,)))
    assert await owed(shared, report.report_id), "neither says what the verdict is"
    await hear(shared, judged_again(report), case)
    assert not await owed(shared, report.report_id)


async def test_the_report_that_is_asked_about_again_keeps_its_trace_and_is_sent_later_not_at_once(
    shared: Door,
) -> None:
    report = await quiet_report(shared)
    await hear(shared, a_case(report.report_id))
    [row] = await shared.rows(
        """
        select o.topic, o.key, o.type, o.traceparent = r.traceparent as same_trace, o.due_at > now() as later
        from outbox o join report r using (id) where id = $1
        """,
        report.report_id,
    )
    assert row == {
        "topic": report.topic,
        "key": report.payee_token,
        "type": report.type,
        "same_trace": True,
        "later": True,
    }


async def test_a_case_of_reports_that_are_alerts_asks_for_nothing(shared: Door) -> None:
    report, unjudged = await quiet_report(shared), new_id()
    await hear(shared, judged_again(report), a_case(report.report_id, unjudged))
    assert not await owed(shared, report.report_id)


async def test_a_case_that_names_a_report_that_is_not_here_asks_for_nothing(shared: Door) -> None:
    elsewhere = new_id()
    await hearing.hear(shared.pool, [a_case(elsewhere)])
    assert not await owed(shared, elsewhere)


async def test_a_second_version_spoils_no_clock(shared: Door) -> None:
    report = await event_of(shared, await filed(shared))
    name = "lanjie_stage_seconds_count"
    before = await metric(shared, name, stage="accepted_to_verdict_shown")
    await hear(shared, a_verdict(report, Level.CLEAR), judged_again(report))
    assert await metric(shared, name, stage="accepted_to_verdict_shown") == before + 1
    assert await metric(shared, name, stage="rejudged_to_verdict_shown") >= 1
