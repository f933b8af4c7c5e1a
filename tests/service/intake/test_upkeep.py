"""What a report said is forgotten in time; that it was filed, and what became of it, never is."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from pydantic import ValidationError

from services.intake import app, hearing, reconciling, tally_store
from services.intake.upkeep import keep_up
from shared.events import Level
from shared.outbox import Outgoing
from shared.postgres import Connection
from shared.tally import Count, Gap, first_id
from shared.tracing import accepted
from tests.parts import Door, a_key, a_report, bank, intake_door
from tests.service.intake.counter import a_case, a_verdict, event_of, filed, owed, post, shown


def soon() -> datetime:
    """Return a moment before which all was filed that is."""
    return datetime.now(UTC) + timedelta(minutes=1)


async def answered(door: Door, level: Level = Level.ALERT) -> UUID:
    """File a report, and have the others answer it."""
    report_id = await filed(door)
    verdict = a_verdict(await event_of(door, report_id), level)
    told = [verdict, a_case(report_id)] if level is Level.ALERT else [verdict]
    await hearing.hear(door.pool, told)
    if level is not Level.ALERT:
        await door.pool.execute("delete from outbox where id = $1", report_id)
    assert not await owed(door, report_id)
    return report_id


async def with_details(door: Door) -> set[UUID]:
    return {row["id"] for row in await door.rows("select id from report where event is not null")}


async def dispose(door: Door, report_id: UUID) -> int:
    answer = await door.client.post(
        f"/v1/reports/{report_id}/disposition", headers=bank(), json={"outcome": "cancelled", "amount_fen": 9_800_000}
    )
    return answer.status_code


async def test_what_a_report_said_goes_and_what_was_judged_of_it_is_still_shown(intake: Door) -> None:
    report_id = await answered(intake)
    before = await shown(intake, report_id)
    assert before["details"] == "kept"
    assert await keep_up(intake.pool, soon()) == 1
    [row] = await intake.rows("select event, traceparent from report")
    assert row == {"event": None, "traceparent": ""}
    gone: dict[str, object] = {"findings": [], "advice": None, "details": "no longer kept"}
    assert await shown(intake, report_id) == {**before, **gone}
    assert "安全账户" not in str(await intake.rows("select body::text from verdict"))
    assert await keep_up(intake.pool, soon()) == 0


async def test_what_was_filed_later_is_kept(intake: Door) -> None:
    report_id = await answered(intake)
    [row] = await intake.rows("select filed_at from report")
    assert await keep_up(intake.pool, row["filed_at"]) == 0
    assert await with_details(intake) == {report_id}


async def test_a_report_keeps_its_details_until_it_has_all_its_answers(intake: Door) -> None:
    unheard, judged, promised = [await filed(intake) for _ in range(3)]
    for report_id in (judged, promised):
        await hearing.hear(intake.pool, [a_verdict(await event_of(intake, report_id))])
    await intake.pool.execute("insert into case_report values ($1, gen_random_uuid())", promised)
    await intake.pool.execute("delete from outbox where id <> $1", promised)
    assert await keep_up(intake.pool, soon()) == 0
    assert await with_details(intake) == {unheard, judged, promised}


async def test_a_page_full_of_reports_that_wait_holds_up_none_behind_it(intake: Door) -> None:
    waiting = {await filed(intake) for _ in range(4)}
    for _ in range(5):
        await answered(intake, Level.CLEAR)
    assert await keep_up(intake.pool, soon(), page=2) == 5
    assert await with_details(intake) == waiting


async def test_replicas_share_the_work(intake: Door) -> None:
    for _ in range(12):
        await answered(intake, Level.CLEAR)
    done = await asyncio.gather(*(keep_up(intake.pool, soon(), page=2) for _ in range(3)))
    assert sum(done) + await keep_up(intake.pool, soon()) == 12, "what one held, the next upkeep takes"
    assert await with_details(intake) == set()


async def test_a_replay_after_years_is_still_the_same_report(intake: Door) -> None:
    key, body = a_key(), a_report()
    first = (await post(intake, body, key=key)).json()["id"]
    await hearing.hear(intake.pool, [a_verdict(await event_of(intake, UUID(first))), a_case(UUID(first))])
    await keep_up(intake.pool, soon())
    again = await post(intake, body, key=key)
    assert (again.status_code, again.json()["id"]) == (202, first)
    assert (await post(intake, {**body, "note": "改口"}, key=key)).status_code == 422
    other_key = await post(intake, body)
    assert (other_key.status_code, other_key.json()["existing_id"]) == (409, first)
    assert await intake.count("report") == 1
    assert await intake.count("outbox") == 0


async def test_a_disposition_is_taken_and_promised_after_the_details_are_gone(intake: Door) -> None:
    report_id = await answered(intake)
    await keep_up(intake.pool, soon())
    assert await dispose(intake, report_id) == 200
    [row] = await intake.rows("select payload, traceparent from outbox")
    assert str(report_id) in row["payload"].decode()
    assert accepted([row["traceparent"]]), "the report's trace is gone with it: that of the request is left"
    assert (await shown(intake, report_id))["disposition"] == {"outcome": "cancelled", "amount_fen": 9_800_000}


Mend = Callable[[Connection, list[Gap]], Awaitable[list[Outgoing]]]


def mends() -> list[Mend]:
    """Return what the reconciler does about reports that rules or notifier lack, or nobody has answered."""
    about = (tally_store.reports, tally_store.reports_with_money, tally_store.unanswered)
    return [one.mend for one in reconciling.SHARE.compared if one.count in about and one.mend]


async def test_the_reconciler_asks_only_about_what_it_can_still_tell(intake: Door) -> None:
    gone, kept = await answered(intake), await answered(intake)
    moment = datetime.now(UTC)
    await intake.pool.execute("update report set event = null where id = $1", gone)
    await intake.pool.execute("delete from verdict")
    lowest, highest = first_id(moment - timedelta(hours=1)), first_id(moment + timedelta(hours=1))
    gap = Gap(reconciling.SHARE.compared[0].what, moment, lowest, highest, Count(0, 2, 7), Count(0, 0, 0))
    assert len(mends()) == 3
    for mend in mends():
        async with intake.pool.acquire() as connection:
            assert [row.id for row in await mend(connection, [gap])] == [kept]
        await intake.pool.execute("delete from outbox")


async def test_a_case_on_a_report_whose_details_are_gone_asks_nothing(intake: Door) -> None:
    report_id = await answered(intake, Level.CLEAR)
    await keep_up(intake.pool, soon())
    await hearing.hear(intake.pool, [a_case(report_id)])
    assert await intake.count("outbox") == 0
    assert (await shown(intake, report_id))["case"]["status"] == "open"


async def test_a_replica_begins_with_it_where_it_is_told_for_how_long(
    database: Callable[[str], Awaitable[str]],
) -> None:
    dsn = await database("intake")
    async with intake_door(dsn) as door:
        old, new = await answered(door, Level.CLEAR), await answered(door, Level.CLEAR)
        long_ago = first_id(datetime.now(UTC) - timedelta(days=32))
        await door.pool.execute("update report set id = $2 where id = $1", old, long_ago)
        await door.pool.execute("update verdict set report_id = $2 where report_id = $1", old, long_ago)
    async with intake_door(dsn, reports_kept_days=31) as door, asyncio.timeout(60):
        while await with_details(door) != {new}:  # noqa: ASYNC110 - it tells nobody when it is through
            await asyncio.sleep(0.05)


def test_details_are_kept_for_a_month_at_least() -> None:
    assert app.Settings.model_fields["reports_kept_days"].default is None
    with pytest.raises(ValidationError, match="reports_kept_days"):
        app.Settings(reports_kept_days=30)
