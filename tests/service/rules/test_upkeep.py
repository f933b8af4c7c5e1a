"""Partitions are made in time, and what is past its time is forgotten."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from services.rules import branch_store, store, upkeep
from services.rules.upkeep import keep_up, wanted
from shared.postgres import Pool
from shared.tally import first_id
from tests.service.rules.builders import (
    INSTANT,
    NOW,
    a_disposition,
    a_filed_report,
    a_verdict,
    ago,
    dispose,
    see,
    until_waiting,
)

FAR_ON = datetime(2031, 7, 30, 5, tzinfo=UTC)
"""A Wednesday long after all partitions that the migration made."""


async def partitions(pool: Pool) -> set[str]:
    sql = (
        "select relname from pg_inherits i join pg_class c on c.oid = i.inhrelid where inhparent = 'verdict'::regclass"
    )
    return {row["relname"] for row in await pool.fetch(sql)}


async def rows_in(pool: Pool, table: str) -> int:
    number: int = await pool.fetchval(f"select count(*) from {table}")
    return number


def test_months_begin_on_the_first_at_midnight_utc_across_the_turn_of_the_year() -> None:
    parts = list(wanted(datetime(2026, 12, 31, 23, 30, tzinfo=UTC)))
    assert [part.name for part in parts] == ["verdict_202612", "verdict_202701", "verdict_202702"]
    assert [part.begins for part in parts[1:]] == [part.ends for part in parts[:-1]]
    assert (parts[0].begins, parts[-1].ends) == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 3, 1, tzinfo=UTC))


async def test_a_new_database_has_the_partitions_of_now(pool: Pool) -> None:
    assert {part.name for part in wanted(datetime.now(UTC))} <= await partitions(pool)


async def test_the_first_upkeep_makes_the_partitions_and_the_second_finds_them_there(pool: Pool) -> None:
    first = await keep_up(pool, FAR_ON)
    assert first.created == ("verdict_203107", "verdict_203108", "verdict_203109")
    assert set(first.created) <= await partitions(pool)
    assert (await keep_up(pool, FAR_ON)).created == ()


async def test_two_replicas_may_keep_up_at_once(pool: Pool, other_pool: Pool) -> None:
    done = await asyncio.gather(*(keep_up(one, FAR_ON) for one in (pool, other_pool) * 2))
    assert sorted(name for one in done for name in one.created) == sorted(part.name for part in wanted(FAR_ON))


async def test_verdicts_that_came_before_their_partition_move_into_it_and_stay_known(pool: Pool) -> None:
    early = a_filed_report(filed_at=FAR_ON - timedelta(hours=1))
    await see(pool, early)
    assert await rows_in(pool, "verdict_default") == 1
    await keep_up(pool, FAR_ON)
    assert (await rows_in(pool, "verdict_default"), await rows_in(pool, "verdict_203107")) == (0, 1)
    async with pool.acquire() as connection:
        [verdict] = await store.latest_verdicts(connection, [early])
    assert verdict["report_id"] == early.report_id


async def test_verdicts_on_their_way_while_their_partition_is_made_arrive_in_it(pool: Pool, other_pool: Pool) -> None:
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await store.insert_verdicts(connection, [a_verdict(a_filed_report(filed_at=FAR_ON))])
        making = asyncio.create_task(keep_up(other_pool, FAR_ON))
        await until_waiting(pool, 1)
        judging = asyncio.create_task(see(other_pool, a_filed_report(filed_at=FAR_ON)))
        await until_waiting(pool, 2)
        await transaction.commit()
    await asyncio.gather(making, judging)
    assert (await rows_in(pool, "verdict_203107"), await rows_in(pool, "verdict_default")) == (2, 0)


async def test_sightings_are_forgotten_after_35_days_and_their_reports_still_not_judged_again(pool: Pool) -> None:
    old = a_filed_report(filed_at=FAR_ON)
    await see(pool, old, a_filed_report(filed_at=FAR_ON + timedelta(hours=1)))
    await keep_up(pool, FAR_ON + timedelta(days=35))
    assert await rows_in(pool, "sighting") == 2
    done = await keep_up(pool, FAR_ON + timedelta(days=35) + INSTANT)
    assert done.deleted == 1
    assert await rows_in(pool, "sighting") == 1
    assert await see(pool, old) == set()
    assert await rows_in(pool, "verdict") == 2


async def test_more_old_sightings_than_are_deleted_at_once_all_go(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "PAGE", 3)
    await see(pool, *(a_filed_report(filed_at=ago(days=36)) for _ in range(7)))
    assert (await keep_up(pool, NOW)).deleted == 7 + 1
    assert await rows_in(pool, "sighting") == 0


async def test_verdicts_are_kept_for_ever_unless_one_says_for_how_long(pool: Pool) -> None:
    await keep_up(pool, FAR_ON)
    await see(pool, a_filed_report(filed_at=FAR_ON), a_filed_report(filed_at=ago(days=4000)))
    years_on = FAR_ON + timedelta(days=3000)
    await keep_up(pool, years_on)
    assert await rows_in(pool, "verdict") == 2
    done = await keep_up(pool, years_on, timedelta(days=2000))
    assert "verdict_203107" in done.dropped
    assert done.deleted == 1
    assert await rows_in(pool, "verdict") == 0


async def test_what_became_of_a_report_is_kept_as_long_as_its_verdict_and_a_month_more(pool: Pool) -> None:
    report = a_filed_report(report_id=first_id(FAR_ON), filed_at=FAR_ON)
    await see(pool, report)
    await dispose(pool, a_disposition(report))
    kept = timedelta(days=100)
    ends = FAR_ON + kept + timedelta(days=31)
    await keep_up(pool, ends)
    await keep_up(pool, ends, kept)
    assert (await rows_in(pool, "verdict"), await rows_in(pool, "aftermath")) == (0, 1)
    await keep_up(pool, ends + timedelta(milliseconds=1), kept)
    assert await rows_in(pool, "aftermath") == 0


async def test_a_partition_goes_only_when_all_of_it_is_past_its_time(pool: Pool) -> None:
    await keep_up(pool, FAR_ON)
    ends, kept = datetime(2031, 8, 1, tzinfo=UTC), timedelta(days=100)
    assert "verdict_203107" not in (await keep_up(pool, ends + kept - INSTANT, kept)).dropped
    assert "verdict_203107" in (await keep_up(pool, ends + kept, kept)).dropped


async def test_branches_days_are_forgotten_when_no_window_reaches_them(pool: Pool) -> None:
    reports = [a_filed_report(filed_at=ago(days=days)) for days in (7, 31, 32)]
    async with pool.acquire() as connection:
        await branch_store.count_branches(connection, reports)
    assert (await keep_up(pool, NOW)).deleted == 1
    assert await rows_in(pool, "branch_day") == 2
