"""Two replicas at the same moment, and a report that is judged again: one case, no visit missed, no deadlock."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.notifier.alerting import alert_store
from shared.events import DispositionCounted, DispositionOutcome, Level
from shared.postgres import Pool, RawConnection, open_pool
from tests.service.notifier.builders import (
    a_disposition,
    a_verdict,
    an_account,
    connected,
    count,
    judged_again,
    money,
    patiently,
    said,
    take,
    until,
)

ACCOUNTS = 20


@pytest.fixture
async def other_pool(dsn: str) -> AsyncIterator[Pool]:
    """Yield the pool of another replica on the same database."""
    opened = await open_pool(dsn, "notifier", most=6)
    yield opened
    await opened.close()


async def waiting(connection: RawConnection, number: int) -> None:
    """Wait until so many statements wait for a lock."""

    async def so_many() -> bool:
        found: int = await connection.fetchval("select count(*) from pg_locks where not granted")
        return found == number

    await until(so_many)


async def test_a_second_version_heard_by_two_replicas_at_once_opens_one_case(pool: Pool, other_pool: Pool) -> None:
    first = a_verdict(level=Level.CAUTION)
    await take(pool, first)
    again = judged_again(first)
    both = await asyncio.gather(take(pool, again), take(other_pool, again))
    assert sorted(len(taken.placed) for taken in both) == [0, 1]
    assert all(taken.rows for taken in both), "each delivery is answered"
    for table in ("fraud_case", "alert"):
        assert await pool.fetchval(f"select count(*) from {table}") == 1


async def test_both_versions_heard_by_two_replicas_at_once_open_one_case(pool: Pool, other_pool: Pool) -> None:
    for _ in range(5):
        first = a_verdict(an_account(), level=Level.CAUTION)
        both = await asyncio.gather(patiently(pool, first), patiently(other_pool, judged_again(first)))
        assert sum(len(taken.placed) for taken, _ in both) == 1
        assert sum(len(taken.new) for taken, _ in both) == 1
    assert await pool.fetchval("select count(*) from fraud_case") == 5
    assert await pool.fetchval("select count(*) from report where version = 2 and case_id is not null") == 5


async def test_a_visit_that_is_counted_while_its_report_is_moved_is_told_to_the_case(dsn: str, pool: Pool) -> None:
    first = a_verdict(level=Level.CAUTION, amount_fen=1_000)
    await take(pool, first)
    async with connected(dsn) as connection:
        await connection.execute("select pg_advisory_lock($1)", alert_store.STREAM_LOCK)
        moving = asyncio.create_task(take(pool, judged_again(first)))
        await waiting(connection, 1)  # the report is in its case, not yet committed
        counting = asyncio.create_task(count(pool, a_disposition(first, DispositionOutcome.ALREADY_SENT)))
        await waiting(connection, 2)
        await connection.execute("select pg_advisory_unlock($1)", alert_store.STREAM_LOCK)
        taken, rows = await asyncio.gather(moving, counting)
    [event] = said(rows, DispositionCounted)
    assert event.case_id == taken.placed[0].case_id
    assert await pool.fetchval("select count(*) from timeline where kind = 'disposition'") == 1
    assert await pool.fetchval("select case_id from ledger where kind = 'lost'") == event.case_id


async def test_a_report_that_is_moved_while_its_visit_is_counted_takes_the_visit_along(
    dsn: str, pool: Pool, other_pool: Pool
) -> None:
    first, known = a_verdict(an_account(), level=Level.CAUTION, amount_fen=1_000), a_verdict(an_account())
    await take(pool, first, known)
    async with connected(dsn) as connection:
        async with connection.transaction():
            await connection.execute("select from fraud_case for update")
            visits = a_disposition(first, DispositionOutcome.ALREADY_SENT), a_disposition(known)
            counting = asyncio.create_task(count(pool, *visits))
            await waiting(connection, 1)  # for the other report's case; this report is held still
            moving = asyncio.create_task(take(other_pool, judged_again(first)))
            await waiting(connection, 2)
        _, taken = await asyncio.gather(counting, moving)
    [event] = said(taken.rows, DispositionCounted)
    assert (event.disposition_id, event.case_id) == (visits[0].disposition_id, taken.placed[0].case_id)
    assert await pool.fetchval("select sum(fen) from ledger where kind = 'lost' and case_id is not null") == 1_000
    assert (await money(pool))["lost"] == 1_000


async def test_replicas_that_hear_the_same_second_versions_in_opposite_order_do_not_lock_each_other_out(
    pool: Pool, other_pool: Pool
) -> None:
    accounts = [an_account() for _ in range(ACCOUNTS)]
    alerts = [a_verdict(account, amount_fen=1) for account in accounts]
    quiet = [a_verdict(account, level=Level.CLEAR, amount_fen=10) for account in accounts]
    await take(pool, *alerts, *quiet)
    visits = [a_disposition(verdict) for verdict in (*alerts, *quiet)]
    for version in (2, 3):
        again = [judged_again(verdict, version=version) for verdict in (*alerts, *quiet)]
        await asyncio.gather(
            take(pool, *again),
            take(other_pool, *reversed(again)),
            count(pool, *visits),
            count(other_pool, *reversed(visits)),
        )
    assert await pool.fetchval("select count(*) from alert") == 2 * ACCOUNTS
    assert await money(pool) == {"reported": 11 * ACCOUNTS, "averted": 11 * ACCOUNTS}
    assert await pool.fetchval("select count(*) from timeline where kind = 'judged_again'") == 4 * ACCOUNTS
    assert await pool.fetchval("select count(*) from timeline where kind = 'disposition'") == 2 * ACCOUNTS


async def test_cases_that_are_told_of_second_versions_are_locked_in_one_order_with_those_told_of_visits(
    dsn: str, pool: Pool, other_pool: Pool
) -> None:
    accounts = [an_account(), an_account()]
    opening, joining = ([a_verdict(account) for account in accounts] for _ in range(2))
    await take(pool, *opening, *joining)
    async with connected(dsn) as connection:
        async with connection.transaction():
            await connection.execute("select from fraud_case where payee_token = $1 for update", opening[0].key())
            counting = asyncio.create_task(count(pool, *map(a_disposition, opening)))
            await waiting(connection, 1)
            telling = asyncio.create_task(take(other_pool, *(judged_again(verdict) for verdict in reversed(joining))))
            await waiting(connection, 2)
        await asyncio.gather(counting, telling)
    rows = await pool.fetch("select kind, count(*) from timeline group by kind")
    assert {row["kind"]: row["count"] for row in rows} == {
        "opened": 2,
        "joined": 2,
        "disposition": 2,
        "judged_again": 2,
    }
