"""`python -m tests.bench.state`: what rules' memory weighs after a million reports, and what it costs then.

Fills a scratch database by SQL with reports of thirty days: most accounts seen once or twice, some hot. Then
asks what the judge asks, batch by batch, on it and on an empty one; each batch is undone after it was timed.
REPORTS says how many reports.
"""

import asyncio
import hashlib
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import asyncpg
from rich.console import Console
from rich.table import Table

from services.rules import branch_store, past_store, store
from services.rules.locks import lock_payees
from services.rules.upkeep import keep_up
from shared.events import Advice, Level, ReportFiled, RuleFinding, VerdictReached
from shared.outbox import new_id, outgoing
from shared.postgres import Connection, Pool, migrate, open_pool
from tests.parts import IDENTITY, NARRATIVE, DatabaseServer, database_server
from tests.service.rules.builders import a_filed_report

REPORTS: Final = int(os.environ.get("REPORTS", "1000000"))
CHUNK: Final = 50_000
RUNS: Final = 5
SIZES: Final = (1, 100, 500)
PAYEES, HOT, PAYERS, BRANCHES, BANKS = 600_000, 2_000, 800_000, 1_500, 15
"""Accounts there are; a tenth of the reports is on hot ones, some fifty each."""

NOW: Final = datetime.now(UTC)
console = Console(highlight=False, width=110)

Tried = Callable[[Connection, list[ReportFiled]], Awaitable[object]]

MAKE_SIGHTINGS: Final = f"""
    insert into sighting (report_id, payee_token, payer_token, payer_person_token, bank, branch, amount_fen, filed_at,
                          level, disposition)
    select gen_random_uuid(), substr(md5('payee' || payee), 1, 24), substr(md5('payer' || payer), 1, 24),
           case when payer % 8 > 0 then substr(md5('person' || payer * 5 / 6), 1, 24) end,
           'BANK' || branch % {BANKS}, 'BANK' || branch % {BANKS} || '-SZ-' || branch,
           floor(exp(11.5 + 1.8 * gauss))::bigint, filed_at, level, case when level > 0 then 'cancelled' end
    from (
        select case when random() < 0.1 then floor(random() * {HOT}) else {HOT} + floor(random() * {PAYEES}) end::int
                   as payee,
               floor(random() * {PAYERS})::int as payer,
               floor({BRANCHES} * random() * random())::int as branch,
               greatest(-3, least(3, sqrt(-2 * ln(1 - random())) * cos(6.283 * random()))) as gauss,
               $1::timestamptz - ($2::float8 + random() * $3::float8) * interval '1 second' as filed_at,
               case when n % 20 = 0 then 2 when n % 7 = 0 then 1 else 0 end as level
        from generate_series(1, $4::int) as n
    ) drawn
    order by filed_at
"""

MAKE_VERDICTS: Final = """
    insert into verdict (report_id, version, filed_at, id, level, score, scam_type, judged_at, pack_version, pack_hash,
                         facts, event, traceparent)
    select report_id, 1, filed_at, gen_random_uuid(),
           case level when 0 then 'clear' when 1 then 'caution' else 'alert' end, level * 40,
           case when level > 0 then 'safe_account' end, filed_at, 1,
           'b0b7f1c2e3d4a5968778695a4b3c2d1e0f1a2b3c4d5e6f708192a3b4c5d6e7f8',
           jsonb_build_object('transfer.amount_yuan', amount_fen / 100, 'payee.personal', true, 'payer.age', 63,
                              'time.hour', 10, 'time.weekday', 3, 'payee.reports_7d', level, 'payee.reports_30d', level,
                              'payer.reports_30d', 1, 'branch.reports_24h', 30, 'branch.amount_percentile', 62),
           -- the sealed part differs from row to row and cannot be compressed
           (select string_agg(uuid_send(gen_random_uuid()), '') from generate_series(1, $4::int)
            where report_id is not null) || $3::bytea,
           '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    from sighting where filed_at > $1 and filed_at <= $2
"""


def _up_to(places: int, place: str) -> str:
    """Count each branch's day up to each of so many places."""
    return f"""
        select branch, day, array_agg(up_to order by n)
        from (
            select branch, day, n,
                   coalesce(sum(reports) over (partition by branch, day order by n), 0)::integer as up_to
            from (select distinct branch, (filed_at at time zone 'UTC')::date as day from sighting) d
            cross join generate_series(0, {places}) n
            left join (select branch, (filed_at at time zone 'UTC')::date as day, ({place})::integer + 1 as n,
                              count(*) as reports from sighting group by 1, 2, 3) c using (branch, day, n)
        ) counted
        group by branch, day
    """


REMEMBER: Final = (
    f"""
    insert into branch_day
    select branch, day, hours, amounts
    from ({_up_to(24, "extract(hour from filed_at at time zone 'UTC')")}) h (branch, day, hours)
    join ({_up_to(120, "least(119, floor(10 * log(amount_fen::float8)))")}) a (branch, day, amounts) using (branch, day)
    """,
    """
    insert into aftermath (report_id, disposition, disposition_at)
    select report_id, disposition, filed_at from sighting where disposition is not null
    """,
    f"""
    insert into outcome (id, case_id, finding, scam_type, payee_token, decided_at, applied_at)
    select gen_random_uuid(), gen_random_uuid(), case when n % 9 = 0 then 'unfounded' else 'confirmed' end,
           'safe_account', substr(md5('payee' || n * 7 % {PAYEES}), 1, 24), now(), now()
    from generate_series(1, 20000) n
    """,
    """
    insert into list_entry (id, subject, token, condition, reason, author, source, case_id, starts_at, expires_at)
    select gen_random_uuid(), 'payee', payee_token, 'overridable_block', '公安机关确认涉诈', '公安机关', 'outcome',
           case_id, decided_at, decided_at + interval '1 year'
    from outcome where finding = 'confirmed'
    """,
)


def an_event(report: ReportFiled) -> VerdictReached:
    """Return a verdict as long as they are: some findings, some advice."""
    findings = tuple(
        RuleFinding(rule=f"rule-{place}", weight=25, why="客户提到安全账户、洗钱，与所填用途不符") for place in range(3)
    )
    lines = ("是谁让您来转这笔钱的？现在是不是有人在电话里教您怎么说？", "公检法机关没有安全账户，请先挂断电话。")
    return VerdictReached(
        verdict_id=new_id(),
        version=1,
        level=Level.ALERT,
        score=75,
        scam_type="safe_account",
        findings=findings,
        advice=Advice(ask=lines, say=lines, do=lines),
        pack="standard@1",
        judged_at=NOW,
        report=report,
    )


def a_batch(size: int) -> list[ReportFiled]:
    """Return reports filed now, drawn as the stored ones were."""
    return [_a_report() for _ in range(size)]


def _a_report() -> ReportFiled:
    draw = random.Random(new_id().bytes)  # noqa: S311 - no secret
    payee = draw.randrange(HOT) if draw.random() < 0.1 else HOT + draw.randrange(PAYEES)
    payer = draw.randrange(PAYERS)
    branch = int(BRANCHES * draw.random() * draw.random())
    report_id = new_id()
    return a_filed_report(
        report_id=report_id,
        payee_token=_token(f"payee{payee}"),
        payer_token=_token(f"payer{payer}"),
        payer_person_token=_token(f"person{payer * 5 // 6}") if payer % 8 else None,
        bank=f"BANK{branch % BANKS}",
        branch=f"BANK{branch % BANKS}-SZ-{branch}",
        amount_fen=max(1, int(draw.lognormvariate(11.5, 1.8))),
        filed_at=NOW,
        observed_at=NOW,
        identity=IDENTITY.seal("x" * 300, str(report_id)),
        narrative=NARRATIVE.seal("x" * 180, str(report_id)),
    )


def _token(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:24]


async def fill(pool: Pool) -> None:
    """Fill a database with reports of thirty days, oldest first, as time would have done."""
    sample = an_event(_a_report())
    text = sample.model_dump_json().encode()
    sealed = len(sample.report.identity) + len(sample.report.narrative)
    chunks = max(1, REPORTS // CHUNK)
    span = timedelta(days=30).total_seconds() / chunks
    for place in reversed(range(chunks)):
        ends = NOW - timedelta(seconds=place * span)
        await pool.execute(MAKE_SIGHTINGS, NOW, place * span, span, REPORTS // chunks, timeout=600)
        begins = ends - timedelta(seconds=span)
        await pool.execute(MAKE_VERDICTS, begins, ends, text[: len(text) - sealed], sealed // 16, timeout=600)
    for statement in REMEMBER:
        await pool.execute(statement, timeout=600)


async def sizes(pool: Pool) -> list[tuple[str, int, float, float]]:
    """Return tables with their rows, and how many MB they and their indexes take, partitions added up."""
    rows = await pool.fetch(
        """
        select coalesce(i.inhparent::regclass, c.oid::regclass)::text as name,
               sum(greatest(c.reltuples, 0))::bigint as rows,
               (sum(pg_table_size(c.oid)) / 2 ^ 20)::float8 as table_mb,
               (sum(pg_indexes_size(c.oid)) / 2 ^ 20)::float8 as index_mb
        from pg_class c left join pg_inherits i on i.inhrelid = c.oid
        where c.relnamespace = 'rules'::regnamespace and c.relkind = 'r'
        group by 1 order by 3 desc
        """
    )
    return [(row["name"], row["rows"], row["table_mb"], row["index_mb"]) for row in rows if row["rows"] > 0]


async def insert(connection: Connection, batch: list[ReportFiled]) -> object:
    """Remember a batch, as judging does first."""
    await lock_payees(connection, [report.payee_token for report in batch], exclusive=False)
    return await store.insert_sightings(connection, batch)


async def keep(connection: Connection, batch: list[ReportFiled]) -> None:
    """Keep the verdicts of a batch."""
    events = [an_event(report) for report in batch]
    judged = [store.Judged(event, outgoing(event, event.verdict_id), 1, "hash", {}) for event in events]
    await store.insert_verdicts(connection, judged)


STEPS: Final[dict[str, Tried]] = {
    "lock, insert sightings": insert,
    "pasts": past_store.pasts,
    "conditions": lambda connection, batch: past_store.conditions(connection, batch, NOW),
    "insert verdicts": keep,
    "count branches": branch_store.count_branches,
}


async def times(pool: Pool) -> dict[tuple[int, str], list[float]]:
    """Time each step in ms, for batches of each size; not the first ones, which plan."""
    taken: dict[tuple[int, str], list[float]] = {}
    async with pool.acquire() as connection:
        for size in SIZES:
            for run in range(-2, RUNS):
                for step, spent in (await _timed(connection, a_batch(size))).items():
                    if run >= 0:
                        taken.setdefault((size, step), []).append(spent)
    return taken


async def _timed(connection: Connection, batch: list[ReportFiled]) -> dict[str, float]:
    spent = {}
    transaction = connection.transaction()
    await transaction.start()
    for name, step in STEPS.items():
        began = time.perf_counter()
        await step(connection, batch)
        spent[name] = (time.perf_counter() - began) * 1000
    await transaction.rollback()
    return spent | {"all": sum(spent.values())}


async def database(server: DatabaseServer, name: str) -> Pool:
    """Make a migrated database with the partitions of the last weeks."""
    admin = await asyncpg.connect(server.dsn("postgres"))
    await admin.execute(f"create database bench_{name}")
    await admin.close()
    dsn = server.dsn(f"bench_{name}")
    await asyncio.to_thread(migrate, dsn, "rules")
    pool = await open_pool(dsn, "rules", most=2)
    for days in (35, 0):
        await keep_up(pool, NOW - timedelta(days=days))
    return pool


async def measure(server: DatabaseServer) -> None:
    """Measure and print."""
    empty, full = await database(server, "empty"), await database(server, "full")
    began = time.monotonic()
    await fill(full)
    await full.execute("vacuum analyze", timeout=600)
    await full.execute("checkpoint")
    console.print(f"{REPORTS} reports generated in {time.monotonic() - began:.0f} s")
    table = Table(title=f"State after {REPORTS} reports in 30 days")
    for column in ("table", "rows", "table MB", "indexes MB"):
        table.add_column(column, justify="left" if column == "table" else "right")
    for name, rows, table_mb, index_mb in await sizes(full):
        table.add_row(name, f"{rows:,}", f"{table_mb:,.1f}", f"{index_mb:,.1f}")
    console.print(table)
    before, after = await times(empty), await times(full)
    table = Table(title=f"Batches, ms: median of {RUNS} (least-most)")
    for column in ("reports", "step", "empty", "full", "times"):
        table.add_column(column, justify="left" if column == "step" else "right")
    for (size, step), taken in before.items():
        both = [taken, after[size, step]]
        words = [f"{statistics.median(one):.2f} ({min(one):.2f}-{max(one):.2f})" for one in both]
        ratio = statistics.median(both[1]) / statistics.median(both[0])
        table.add_row(str(size), step, *words, f"{ratio:.2f}", end_section=step == "all")
    console.print(table)
    await empty.close()
    await full.close()


def main() -> None:
    """Run a server of its own, measure, stop it."""
    console.print(f"{platform.platform()}, {os.cpu_count()} processors; embedded PostgreSQL")
    with tempfile.TemporaryDirectory() as folder, database_server(Path(folder)) as server:
        asyncio.run(measure(server))


if __name__ == "__main__":
    main()
