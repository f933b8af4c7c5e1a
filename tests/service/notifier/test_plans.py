"""However much lies there, what happens all the time reads a few rows, found through an index."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from services.notifier.alerting import alert_store, delivery_store
from services.notifier.alerting.channels.limits import limits_of
from services.notifier.cases import inbox_store
from services.notifier.clock import clock_store, escalation
from services.notifier.upkeep import keep_up
from shared.events import DispositionOutcome, VerdictReached
from shared.postgres import Pool, RawConnection, open_pool
from tests.parts import TOKENS, DatabaseServer
from tests.service.notifier.builders import a_disposition, a_verdict, connected, count, now, office, take
from tests.service.notifier.reach import reachable_unit

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACCOUNTS = [f"6217{number:015}" for number in range(997)]
FULL = "set session_replication_role = replica"
"""Without triggers and foreign keys: the rows are what they should be."""

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


@dataclass(frozen=True, slots=True)
class Full:
    """A database with a million reports, and where its server writes the plans of what runs there."""

    pool: Pool
    log: Path

    async def plans_of(self, work: Callable[[], Awaitable[object]]) -> list[dict[str, Any]]:
        """Do it; return how the server ran each statement for it, those of foreign keys too."""
        begin = self.log.stat().st_size
        await work()
        text = self.log.read_bytes()[begin:].decode()
        told = re.split(r"^.*LOG:  duration: .* plan:$", text, flags=re.MULTILINE)[1:]
        read = json.JSONDecoder().raw_decode
        return [read(one.replace("\n\t", "\n").lstrip())[0] for one in told]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def full(server: DatabaseServer) -> AsyncIterator[Full]:
    """Fill a database: 997 open cases of 200 reports, and 800,000 reports in none."""
    dsn = await server.clone("notifier")
    async with connected(dsn) as connection:
        await _explain_all(connection)
    pool = await open_pool(dsn, "notifier", most=4)
    await reachable_unit(pool, "SZ-LH-CZ")
    await take(pool, *(of(account) for account in ACCOUNTS))
    async with connected(dsn) as connection:
        await connection.execute(f"set auto_explain.log_min_duration = -1; {FULL}")
        for statement in (REPORTS, *OF_CASES):
            await connection.execute(statement)
        await connection.execute("select brin_summarize_new_values('alert_by_time')")
        await connection.execute("analyze")
    yield Full(pool, server.local.folder / "postgres.log")
    await pool.close()


async def _explain_all(connection: RawConnection) -> None:
    name = await connection.fetchval("select current_database()")
    for setting in (
        "session_preload_libraries = 'auto_explain'",
        "auto_explain.log_min_duration = 0",
        "auto_explain.log_analyze = on",
        "auto_explain.log_buffers = on",
        "auto_explain.log_timing = off",
        "auto_explain.log_nested_statements = on",
        "auto_explain.log_format = json",
    ):
        await connection.execute(f"alter database {name} set {setting}")


def of(account: str) -> VerdictReached:
    """A report on an account by a payer of its own."""
    verdict = a_verdict(account)
    payer = TOKENS.of("account", str(verdict.verdict_id))
    return verdict.model_copy(update={"report": verdict.report.model_copy(update={"payer_token": payer})})


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from nodes(child)


SMALL = {"unit", "branch", "officer", "target", "shift", "outbox", "deadline_rule", "ledger_total"}
"""What is not longer for a million reports."""


def read_by_index(plans: Sequence[dict[str, Any]], most_pages: int) -> None:
    """Refuse a table read from end to end, an index walked so, and more pages than so many for one statement."""
    assert plans
    for plan in plans:
        for node in nodes(plan["Plan"]):
            if "Relation Name" in node and node["Relation Name"] not in SMALL:
                assert node["Node Type"] != "Seq Scan", plan["Query Text"]
                read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
                assert read * node["Actual Loops"] <= most_pages or node["Node Type"] == "ModifyTable", (
                    read,
                    node["Node Type"],
                    node["Relation Name"],
                    node.get("Index Name"),
                    plan["Query Text"],
                )
        pages = plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
        assert pages <= most_pages, (pages, plan["Query Text"])


def statements(plans: Sequence[dict[str, Any]]) -> str:
    return "\n".join(plan["Query Text"] for plan in plans)


async def test_a_verdict_on_a_case_of_two_hundred_reports_reads_a_page_or_two_a_row(full: Full) -> None:
    batch = [of(account) for account in ACCOUNTS[:200]]
    plans = await full.plans_of(lambda: take(full.pool, *batch))
    for word in ("into report", "into alert", "into delivery", "into ledger", "update fraud_case"):
        assert word in statements(plans)
    read_by_index(plans, most_pages=200 * 40)


async def test_a_verdict_heard_again_and_one_that_joins_a_case_at_work_read_no_more_than_their_own(full: Full) -> None:
    again = [of(account) for account in ACCOUNTS[200:250]]
    await take(full.pool, *again)
    await full.pool.execute("update fraud_case set status = 'acknowledged' where payee_token = any($1)", tokens(again))
    batch = [*again, *(of(account) for account in ACCOUNTS[200:250])]
    plans = await full.plans_of(lambda: take(full.pool, *batch))
    assert "bank_order" in statements(plans), "whether an order is due was asked"
    read_by_index(plans, most_pages=100 * 40)


def tokens(verdicts: Sequence[VerdictReached]) -> list[str]:
    return [verdict.report.payee_token for verdict in verdicts]


async def test_what_a_visit_changes_is_found_in_the_pages_of_its_case(full: Full) -> None:
    verdicts = [of(account) for account in ACCOUNTS[300:305]]
    await take(full.pool, *verdicts)
    events = [a_disposition(verdict, DispositionOutcome.ALREADY_SENT) for verdict in verdicts]
    plans = await full.plans_of(lambda: count(full.pool, *events))
    assert "into disposition" in statements(plans)
    read_by_index(plans, most_pages=len(events) * 200 * 30)


async def test_an_officers_page_reads_as_many_cases_as_it_shows(full: Full) -> None:
    plans = await full.plans_of(lambda: inbox_store.inbox(full.pool, "/SZ/SZ-LH/", None, None, 20))
    read_by_index(plans, most_pages=20 * 600)
    plans = await full.plans_of(lambda: inbox_store.inbox(full.pool, "/SZ/", None, now() - timedelta(hours=1), 20))
    read_by_index(plans, most_pages=20 * 600)


async def test_a_screen_that_follows_alerts_reads_what_is_new(full: Full) -> None:
    newest = await alert_store.newest_position(full.pool)
    plans = await full.plans_of(lambda: alert_store.alerts_after(full.pool, "/", newest - 50, 500))
    plans += await full.plans_of(lambda: alert_store.newest_position(full.pool))
    read_by_index(plans, most_pages=200)


async def test_looking_for_what_is_due_reads_what_is_due(full: Full) -> None:
    nobody: list[UUID] = []
    plans = await full.plans_of(lambda: clock_store.next_due(full.pool, nobody))
    plans += await full.plans_of(lambda: clock_store.overdue(full.pool, 5.0))
    plans += await full.plans_of(lambda: delivery_store.claim_due(full.pool, 10, 30, limits_of(6), {}))
    read_by_index(plans, most_pages=4_000)
    plans = await full.plans_of(lambda: escalation.fire(office(full.pool), now() + timedelta(minutes=2), 20))
    assert "update deadline" in statements(plans)
    read_by_index(plans, most_pages=20 * 300)


async def test_forgetting_reads_what_it_forgets(full: Full) -> None:
    before = now() - timedelta(seconds=5 * 199_900)
    plans = await full.plans_of(lambda: keep_up(full.pool, before, 50))
    assert await full.pool.fetchval("select count(*) from delivery where settled_at < $1", before) == 0
    read_by_index(plans, most_pages=5_000)
