"""However much lies there, what happens all the time reads a few rows, found through an index."""

import time
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from uuid import UUID

import pytest
import pytest_asyncio
from prometheus_client import generate_latest

from services.notifier import figure_store, figures
from services.notifier.alerting import alert_store, delivery_store
from services.notifier.alerting.channels.limits import limits_of
from services.notifier.cases import inbox_store
from services.notifier.clock import clock_store, escalation
from services.notifier.metrics import Metrics
from services.notifier.upkeep import keep_up
from shared.events import DispositionOutcome, VerdictReached
from shared.postgres import open_pool
from tests.parts import TOKENS, DatabaseServer
from tests.service.notifier.builders import a_disposition, a_verdict, connected, count, now, office, take
from tests.service.notifier.reach import reachable_unit
from tests.service.plans import FILLING, Full, explain_all, read_by_index, statements

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACCOUNTS = [f"6217{number:015}" for number in range(997)]
REPORTS = """
    insert into report (id, bank, branch, unit, level, score, amount_fen, filed_at, case_id, verdict, alike,
                        observed_at)
    select uuidv7(), 'ICBC', 'ICBC-SZ-LH-001', 'SZ-LH-CZ', case when c.id is null then 'clear' else 'alert' end, 50,
           100, at, c.id, case when c.id is not null then '{}'::bytea end,
           'payer-' || n / 3 || ' payee-' || n % 100000 || ' 100', at
    from (select n, now() - n * interval '5 seconds' as at from generate_series(1, 1000000) n) n
    left join (select id, row_number() over (order by id) as number from fraud_case) c
      on n.n <= 200000 and c.number = 1 + n.n % 997
    order by n desc
"""
OF_CASES = (
    """
    insert into timeline (id, case_id, at, kind, actor, text)
    select uuidv7(), case_id, filed_at, 'joined', 'lanjie', 'x' from report where case_id is not null
    """,
    """
    insert into alert (id, case_id, report_id, unit, path, facts, created_at)
    select uuidv7(), case_id, id, 'SZ-LH-CZ', '/SZ/SZ-LH/SZ-LH-CZ/', '{}', filed_at from report
    where case_id is not null order by filed_at
    """,
    """
    insert into delivery (id, message_id, target_id, case_id, facts, state, created_at, due_at, settled_at)
    select uuidv7(), a.id, t.id, a.case_id, '{}', 'delivered', a.created_at, a.created_at, a.created_at
    from alert a cross join target t on conflict do nothing
    """,
    """
    insert into deadline (id, case_id, stage, due_at, state, ended_at)
    select uuidv7(), case_id, 'acknowledge', created_at, 'missed', created_at from alert
    """,
    """
    insert into ledger (id, cause, kind, fen, bank, unit, report_id, booked_at)
    select uuidv7(), id, 'reported', amount_fen, bank, unit, id, filed_at from report where case_id is not null
    on conflict do nothing
    """,
    """
    insert into disposition (id, report_id, outcome, amount_fen, recorded_at)
    select uuidv7(), id, 'cancelled', amount_fen, filed_at from report where case_id is null limit 100000
    """,
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def full(server: DatabaseServer) -> AsyncIterator[Full]:
    """Fill a database: 997 open cases of 200 reports, and 800,000 reports in none."""
    dsn = await server.clone("notifier")
    async with connected(dsn) as connection:
        await explain_all(connection)
    pool = await open_pool(dsn, "notifier", most=4)
    await reachable_unit(pool, "SZ-LH-CZ")
    await take(pool, *(of(account) for account in ACCOUNTS))
    async with connected(dsn) as connection:
        await connection.execute(FILLING)
        for statement in (REPORTS, *OF_CASES):
            await connection.execute(statement)
        await connection.execute("select brin_summarize_new_values('alert_by_time')")
        await connection.execute("analyze")
    yield Full(pool, server.local.folder / "postgres.log")
    await pool.close()


def of(account: str) -> VerdictReached:
    """A report on an account by a payer of its own."""
    verdict = a_verdict(account)
    payer = TOKENS.of("account", str(verdict.verdict_id))
    return verdict.model_copy(update={"report": verdict.report.model_copy(update={"payer_token": payer})})


SMALL = {"unit", "branch", "officer", "target", "shift", "outbox", "deadline_rule", "ledger_total", "figure"}
"""What is not longer for a million reports."""


async def test_a_verdict_on_a_case_of_two_hundred_reports_reads_a_page_or_two_a_row(full: Full) -> None:
    batch = [of(account) for account in ACCOUNTS[:200]]
    plans = await full.plans_of(lambda: take(full.pool, *batch))
    for word in ("into report", "into alert", "into delivery", "into ledger", "update fraud_case"):
        assert word in statements(plans)
    read_by_index(plans, 200 * 40, SMALL)


async def test_a_verdict_heard_again_and_one_that_joins_a_case_at_work_read_no_more_than_their_own(full: Full) -> None:
    again = [of(account) for account in ACCOUNTS[200:250]]
    await take(full.pool, *again)
    await full.pool.execute("update fraud_case set status = 'acknowledged' where payee_token = any($1)", tokens(again))
    batch = [*again, *(of(account) for account in ACCOUNTS[200:250])]
    plans = await full.plans_of(lambda: take(full.pool, *batch))
    assert "bank_order" in statements(plans), "whether an order is due was asked"
    read_by_index(plans, 100 * 40, SMALL)


def tokens(verdicts: Sequence[VerdictReached]) -> list[str]:
    return [verdict.report.payee_token for verdict in verdicts]


async def test_what_a_visit_changes_is_found_in_the_pages_of_its_case(full: Full) -> None:
    verdicts = [of(account) for account in ACCOUNTS[300:305]]
    await take(full.pool, *verdicts)
    events = [a_disposition(verdict, DispositionOutcome.ALREADY_SENT) for verdict in verdicts]
    plans = await full.plans_of(lambda: count(full.pool, *events))
    assert "into disposition" in statements(plans)
    read_by_index(plans, len(events) * 200 * 30, SMALL)


async def test_an_officers_page_reads_as_many_cases_as_it_shows(full: Full) -> None:
    plans = await full.plans_of(lambda: inbox_store.inbox(full.pool, "/SZ/SZ-LH/", None, None, 20))
    read_by_index(plans, 20 * 600, SMALL)
    plans = await full.plans_of(lambda: inbox_store.inbox(full.pool, "/SZ/", None, now() - timedelta(hours=1), 20))
    read_by_index(plans, 20 * 600, SMALL)


async def test_a_screen_that_follows_alerts_reads_what_is_new(full: Full) -> None:
    newest = await alert_store.newest_position(full.pool)
    plans = await full.plans_of(lambda: alert_store.alerts_after(full.pool, "/", newest - 50, 500))
    plans += await full.plans_of(lambda: alert_store.newest_position(full.pool))
    read_by_index(plans, 200, SMALL)


async def test_looking_for_what_is_due_reads_what_is_due(full: Full) -> None:
    nobody: list[UUID] = []
    plans = await full.plans_of(lambda: clock_store.next_due(full.pool, nobody))
    plans += await full.plans_of(lambda: Metrics().tables.refresh(full.pool))
    plans += await full.plans_of(lambda: delivery_store.claim_due(full.pool, 10, 30, limits_of(6), {}))
    read_by_index(plans, 4_000, SMALL)
    plans = await full.plans_of(lambda: escalation.fire(office(full.pool), now() + timedelta(minutes=2), 20))
    assert "update deadline" in statements(plans)
    read_by_index(plans, 20 * 300, SMALL)


async def test_forgetting_reads_what_it_forgets(full: Full) -> None:
    before = now() - timedelta(seconds=5 * 199_900)
    plans = await full.plans_of(lambda: keep_up(full.pool, before, 50))
    assert await full.pool.fetchval("select count(*) from delivery where settled_at < $1", before) == 0
    read_by_index(plans, 5_000, SMALL)


async def test_a_scrape_costs_little_processor_and_counting_what_costs_more_is_not_part_of_it(full: Full) -> None:
    await full.pool.execute("update figure set due_at = 'infinity' where name = 'ledger'")
    assert await figures.look(full.pool) == 2
    metrics = Metrics()
    await metrics.tables.refresh(full.pool)
    began = time.process_time()
    for _ in range(5):
        await metrics.tables.refresh(full.pool)
        generate_latest(metrics.registry)
    assert (time.process_time() - began) / 5 < 0.1
    found = await figure_store.all_figures(full.pool)
    assert sum(found.money_by_type.values()) == await full.pool.fetchval("select sum(fen) from ledger")
