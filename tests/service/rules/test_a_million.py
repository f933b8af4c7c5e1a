"""After a million reports a batch is judged as it was after none: through indexes, by a few pages a report."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from asyncpg.connection import LoggedQuery

from services.rules.upkeep import keep_up
from shared.events import ReportFiled
from shared.outbox import answered
from shared.postgres import Pool, open_pool
from tests.parts import DatabaseServer
from tests.service.rules.builders import (
    HINT,
    NOW,
    SCAM,
    a_disposition,
    a_filed_report,
    an_outcome,
    apply,
    dispose,
    take,
)

SEEN = """
    insert into sighting (report_id, payee_token, payer_token, payer_person_token, bank, branch, amount_fen, filed_at,
                          level)
    select uuidv7($1::timestamptz - now() - n * interval '2 seconds'),
           case when n % 5 = 0 then 'hot-' || n % 997 else 'payee-' || n % 700000 end,
           case when n % 9 = 0 then 'payer' else 'payer-' || n % 900000 end, 'person-' || n % 800000,
           'BANK' || n % 15, 'B' || n % 1500, 100, $1::timestamptz - n * interval '2 seconds', 2 * (n % 2)
    from generate_series(1000000, 1, -1) n
"""

JUDGED = """
    insert into verdict (report_id, version, filed_at, id, level, score, judged_at, facts, event, traceparent)
    select report_id, 1, filed_at, report_id, 'clear', 0, filed_at, '{}', '', '' from sighting
"""

ENDED = """
    insert into aftermath (report_id, disposition, disposition_at)
    select report_id, 'cancelled', filed_at from sighting where bank = 'BANK3'
"""

COUNTED = """
    insert into branch_day select 'B' || n % 1500, '2026-11-22'::date - n / 1500, array_fill(1, array[25]),
                                  array_fill(1, array[121])
    from generate_series(0, 45000) n
"""

FOUND = """
    insert into outcome (id, case_id, finding, payee_token, decided_at, applied_at)
    select uuidv7(), uuidv7(), 'confirmed', 'payee-' || 30 * n, now(), now() from generate_series(1, 20000) n
"""

WITHDRAWN = """
    insert into outcome (id, case_id, finding, payee_token, decided_at, applied_at, withdraws)
    select uuidv7(), case_id, finding, payee_token, now(), now(), id from outcome order by id limit 5000
"""

LISTED = """
    insert into list_entry (id, subject, token, condition, reason, author, source, case_id, starts_at, noticed)
    select id, 'payee', payee_token, 'overridable_block', '', '', 'outcome', case_id, decided_at, true from outcome
    where withdraws is null
"""

SIZE = 200


async def _fill(dsn: str) -> None:
    pool = await open_pool(dsn, "rules", most=2)
    for days in (30, 0):
        await keep_up(pool, NOW - timedelta(days=days))
    async with pool.acquire() as connection:
        await connection.execute("set synchronous_commit = off; set enable_seqscan = on", timeout=200)
        await connection.execute(SEEN, NOW - timedelta(hours=2), timeout=200)
        for statement in (JUDGED, ENDED, COUNTED, FOUND, WITHDRAWN, LISTED, "analyze"):
            await connection.execute(statement, timeout=200)
    await pool.close()


@pytest.fixture(scope="module")
def full(server: DatabaseServer) -> str:
    """Return a database after a million reports of 23 days, a fifth of them on some hot accounts."""
    dsn = asyncio.run(server.clone("rules"))
    asyncio.run(_fill(dsn))
    return dsn


@pytest.fixture
async def pool(full: str) -> AsyncIterator[Pool]:
    opened = await open_pool(full, "rules", most=2)
    yield opened
    await opened.close()


def reports(batch: int, size: int = SIZE) -> list[ReportFiled]:
    """Return reports as they come, two in ten on hot accounts, one in nine of one and the same payer."""
    return [
        a_filed_report(
            ("", HINT, SCAM)[n % 3],
            payee_token=f"hot-{n}" if n % 5 == 0 else f"payee-{batch * size + n}",
            payer_token="payer" if n % 9 == 0 else f"payer-{batch * size + n}",
            payer_person_token=f"person-{batch * size + n}",
            branch=f"B{n % 50}",
            filed_at=NOW + timedelta(seconds=batch, microseconds=n),
        )
        for n in range(size)
    ]


@asynccontextmanager
async def heard(pool: Pool) -> AsyncIterator[list[LoggedQuery]]:
    """Hear every statement, whichever connection puts it."""
    queries: list[LoggedQuery] = []
    async with AsyncExitStack() as stack:
        for connection in [await stack.enter_async_context(pool.acquire()) for _ in range(pool.get_max_size())]:
            connection.add_query_logger(queries.append)
    yield queries


async def plan(pool: Pool, query: LoggedQuery) -> dict[str, Any]:
    top: dict[str, Any] = json.loads(await pool.fetchval(f"explain (format json) {query.query}", *query.args))[0]
    return top["Plan"]  # type: ignore[no-any-return]


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from nodes(child)


def planned(queries: Sequence[LoggedQuery]) -> list[LoggedQuery]:
    """Leave what has a plan, each statement once."""
    words = ("select", "with", "insert", "update", "delete")
    ours = {one.query: one for one in queries if one.query.lstrip().startswith(words) and "pg_catalog" not in one.query}
    return list(ours.values())


@pytest.mark.timeout(300)
async def test_no_statement_reads_a_whole_table(pool: Pool) -> None:
    async with heard(pool) as queries:
        taken = await take(pool, reports(0), NOW)
        again = await take(pool, reports(0)[:1] + [one.event.report for one in taken.fresh[:20]], NOW)
        await apply(pool, *(an_outcome(f"hot-{n}") for n in range(5)))
        await dispose(pool, *(a_disposition(one.event.report) for one in taken.fresh[:20]))
        async with pool.acquire() as connection:
            await answered(connection, [row.id for row in taken.rows])
    assert (len(taken.fresh), len(again.rows) > 20) == (SIZE, True)
    statements = planned(queries)
    assert len(statements) > 15
    for query in statements:
        for node in nodes(await plan(pool, query)):
            assert node["Node Type"] != "Seq Scan", query.query
            assert "Index Name" not in node or "Index Cond" in node, query.query


async def pages(pool: Pool) -> int:
    """How many pages of tables and indexes were looked at so far, as soon as all connections have told."""
    async with AsyncExitStack() as stack:
        for connection in [await stack.enter_async_context(pool.acquire()) for _ in range(pool.get_max_size())]:
            await connection.execute("select pg_stat_force_next_flush()")
            await connection.execute("select")
    number: int = await pool.fetchval(
        """
        select sum(heap_blks_hit + heap_blks_read + coalesce(idx_blks_hit + idx_blks_read, 0))::bigint
        from pg_statio_user_tables where schemaname = 'rules'
        """
    )
    return number


@pytest.mark.timeout(300)
async def test_a_report_costs_a_bounded_number_of_pages(pool: Pool) -> None:
    before = await pages(pool)
    for batch in range(1, 4):
        assert len((await take(pool, reports(batch), NOW + timedelta(seconds=batch))).fresh) == SIZE
    assert (await pages(pool) - before) / (3 * SIZE) < 200
