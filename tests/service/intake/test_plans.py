"""However many reports there are, what happens all the time reads a few rows, found through an index."""

import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from services.intake import handlers, hearing, order_store, reconciling, report, store, tally_store
from services.intake.backlog import Backlog
from services.intake.disposition import Disposition
from services.intake.metrics import Metrics
from services.intake.report import Privacy, Report
from services.intake.store import Filing
from services.intake.upkeep import keep_up
from shared.events import DispositionCounted, DispositionOutcome, Level, OrderStatus, ReportsCounted
from shared.outbox import claim_repeats, claim_unsent, new_id, oldest_unsent_seconds, unanswered
from shared.postgres import open_pool
from shared.tally import Count, Gap, Stretch, first_id
from tests.parts import IDENTITY, NARRATIVE, TOKENS, DatabaseServer, a_key, a_report, bank_key
from tests.service.intake.counter import a_case, a_verdict, an_order
from tests.service.plans import FILLING, Full, explain_all, read_by_index, statements

pytestmark = pytest.mark.asyncio(loop_scope="module")

TABLES = (
    """
    insert into report (id, bank, idempotency_key, bank_reference, fingerprint, amount_fen, payee_token, filed_at,
                        event, traceparent)
    select uuidv7(at - now()), (array['ICBC', 'CCB', 'ABC'])[1 + n % 3], 'key-' || 2000000 - n, 'old-' || 2000000 - n,
           '', 100, 'payee-' || n % 100000, at, '{}', ''
    from (select n, now() - n * interval '5 seconds' as at from generate_series(1000000, 1, -1) n) n
    """,
    """
    insert into verdict (report_id, version, level, body, judged_at)
    select id, 1, case when filed_at < now() - interval '46 days' then 'alert' else 'clear' end, '{}', filed_at
    from report where filed_at < now() - interval '1 hour' order by id
    """,
    """
    insert into case_report (report_id, case_id)
    select report_id, uuidv7(judged_at - now()) from verdict where level = 'alert' order by report_id
    """,
    """
    insert into case_view (case_id, version, status, opened_at)
    select case_id, 1, 'open', now() from case_report order by case_id
    """,
    """
    insert into disposition (id, report_id, outcome, amount_fen, recorded_at)
    select uuidv7(filed_at - now()), id, 'cancelled', 1, filed_at from report order by id limit 500000
    """,
    """
    insert into bank_order (id, version, bank, case_id, status, amount_fen, ordered_at, event)
    select id, 1, bank, id, case when n > 199000 then 'pending' else 'executed' end, 1, filed_at, '{}'
    from (select *, row_number() over (order by id) as n from report order by id limit 200000) r
    """,
    """
    insert into outbox (id, topic, key, type, payload, traceparent, awaits_answer, unsent, due_at)
    select id, 't', payee_token, 'y', event, '', true, false, now() from report order by id desc limit 700
    """,
)
REFERENCE = {"bank", "bank_key", "branch", "cue"}
"""What is not longer for a million reports."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def full(server: DatabaseServer) -> AsyncIterator[Full]:
    """Fill a database: a million reports of two months, 700 of which wait for their answers."""
    dsn = await server.clone("intake")
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "intake"})
    await explain_all(connection)
    pool = await open_pool(dsn, "intake", most=4)
    await connection.execute(FILLING)
    for statement in (*TABLES, "vacuum analyze"):
        await connection.execute(statement)
    await connection.close()
    yield Full(pool, server.local.folder / "postgres.log")
    await pool.close()


def filings(number: int) -> list[Filing]:
    """Return reports on their way to disk."""
    privacy, now = Privacy(TOKENS, IDENTITY, NARRATIVE), datetime.now(UTC)
    bodies = [Report.model_validate_json(json.dumps(a_report())) for _ in range(number)]
    events = [report.filed(body, new_id(), "ICBC", privacy, now) for body in bodies]
    return [
        Filing(a_key(), body.bank_reference, report.fingerprint(body, TOKENS), event, "")
        for body, event in zip(bodies, events, strict=True)
    ]


async def test_filing_reads_a_few_pages_a_report_and_so_does_a_replay(full: Full) -> None:
    batch = filings(500)
    plans = await full.plans_of(lambda: handlers.file_reports(full.pool, batch))
    assert "into report" in statements(plans)
    read_by_index(plans, 500 * 40, REFERENCE)
    plans = await full.plans_of(lambda: handlers.file_reports(full.pool, batch))
    assert "join report r on r.bank" in statements(plans)
    read_by_index(plans, 500 * 40, REFERENCE)


async def some(full: Full, level: Level, number: int) -> list[UUID]:
    """Return reports of long ago."""
    rows = await full.pool.fetch(
        "select report_id from verdict where level = $1 order by report_id limit $2", level.value, number
    )
    return [row["report_id"] for row in rows]


async def test_what_a_bank_asks_of_one_report_is_found_in_a_few_pages(full: Full) -> None:
    alert, *_ = await some(full, Level.ALERT, 1)
    bank = await full.pool.fetchval("select bank from report where id = $1", alert)
    [newest] = await full.pool.fetch("select id, bank from report order by id desc limit 1")
    key = hashlib.sha256(bank_key("ICBC").encode()).digest()
    plans = await full.plans_of(lambda: store.report_status(full.pool, bank, alert))
    assert "bank_reference" in statements(plans)
    plans += await full.plans_of(lambda: store.judged(full.pool, [alert]))
    plans += await full.plans_of(lambda: store.bank_of_key(full.pool, key))
    plans += await full.plans_of(lambda: unanswered(full.pool, [alert]))
    said, now = Disposition(outcome=DispositionOutcome.CANCELLED, amount_fen=1), datetime.now(UTC)
    for _ in range(2):
        plans += await full.plans_of(
            lambda: handlers.record_disposition(full.pool, newest["bank"], newest["id"], said, now)
        )
    assert statements(plans).count("into disposition") == 2
    read_by_index(plans, 60, REFERENCE)


async def test_verdicts_cases_and_orders_are_heard_by_a_few_pages_each(full: Full) -> None:
    batch = [filing.event for filing in filings(200)]
    verdicts = [a_verdict(event, Level.ALERT if place % 2 else Level.CLEAR) for place, event in enumerate(batch)]
    cases = [a_case(*(event.report_id for event in batch[place::20])) for place in range(1, 20, 2)]
    counted = ReportsCounted(report_ids=tuple(event.report_id for event in batch[::2]))
    plans = await full.plans_of(lambda: hearing.hear(full.pool, [*verdicts, *cases, counted]))
    assert "into case_report" in statements(plans)
    assert "delete from outbox" in statements(plans)
    misplaced = a_case(*await some(full, Level.CLEAR, 100))
    again = DispositionCounted(disposition_id=new_id(), report_id=new_id(), case_id=None)
    plans += await full.plans_of(lambda: hearing.hear(full.pool, [again, *(an_order() for _ in range(100))]))
    assert "into bank_order" in statements(plans)
    async with full.pool.acquire() as connection:
        plans += await full.plans_of(lambda: store.judged_below_alert(connection, misplaced.report_ids))
    read_by_index(plans, 200 * 40, REFERENCE)


@pytest.mark.parametrize("status", [None, *OrderStatus])
async def test_a_page_of_orders_reads_as_many_as_it_shows_of_each_status(full: Full, status: str | None) -> None:
    async with full.pool.acquire() as connection:
        after = None
        for _ in range(2):
            plans = await full.plans_of(lambda: order_store.orders_of(connection, "ICBC", status, after, 100))  # noqa: B023
            read_by_index(plans, 100 * 3 * 6, REFERENCE)
            after = await connection.fetchval(
                "select id from bank_order where bank = 'ICBC' order by id offset 50000 limit 1"
            )


async def test_sweeps_and_looks_at_the_backlog_read_what_waits(full: Full) -> None:
    plans = await full.plans_of(lambda: claim_unsent(full.pool, 500))
    plans += await full.plans_of(lambda: claim_repeats(full.pool, 500))
    plans += await full.plans_of(lambda: oldest_unsent_seconds(full.pool))
    read_by_index(plans, 500 * 40, REFERENCE)
    waiting = await full.pool.fetchval("select count(*) from outbox")
    newest = max((await store.last_reports(full.pool)).values(), default=datetime.now(UTC) - timedelta(hours=1))
    plans = await full.plans_of(lambda: store.note_last_reports(full.pool, first_id(newest)))
    assert "last_report_at" in statements(plans)
    read_by_index(plans, 3600, REFERENCE)
    backlog = Backlog(full.pool, 1_000_000, Metrics().unanswered)
    plans = await full.plans_of(backlog.look)
    assert "select count" in statements(plans)
    read_by_index(plans, waiting + 100, REFERENCE)


async def test_a_round_of_the_reconciler_reads_what_it_counts(full: Full) -> None:
    now = datetime.now(UTC)
    windows = Stretch(now - timedelta(days=30), now - timedelta(days=30) + timedelta(hours=1)).windows()
    counts = {one.count for one in reconciling.SHARE.said} | {one.count for one in reconciling.SHARE.compared}
    async with full.pool.acquire() as connection:
        for count in counts:
            plans = await full.plans_of(lambda: count(connection, windows, now))  # noqa: B023
            if plans:
                read_by_index(plans, 360 * 40, REFERENCE)


async def test_putting_back_reads_the_windows_that_differ(full: Full) -> None:
    now = datetime.now(UTC)
    windows = Stretch(now - timedelta(days=60), now - timedelta(days=60) + timedelta(hours=1)).windows()
    gaps = [
        Gap(reconciling.SHARE.compared[0].what, now, first, last, Count(0, 2, 7), Count(0, 0, 0))
        for first, last in zip(windows.firsts[:50], windows.lasts[:50], strict=True)
    ]
    async with full.pool.acquire() as connection:
        for one in (
            tally_store.reports_in,
            tally_store.unanswered_in,
            tally_store.dispositions_in,
            tally_store.feedback_in,
        ):
            plans = await full.plans_of(lambda: one(connection, gaps))  # noqa: B023
            read_by_index(plans, 50 * 40, REFERENCE)


async def test_forgetting_reads_what_it_forgets(full: Full) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5 * 999_000)
    for _ in range(2):
        plans = await full.plans_of(lambda: keep_up(full.pool, before, 400))
        read_by_index(plans, 400 * 60, REFERENCE)
    assert not await full.pool.fetchval("select count(*) from report where event is not null and filed_at < $1", before)
