"""`python -m tests.bench.deadlines`: how late deadlines are followed up, with two replicas and one killed on the way.

A real PostgreSQL, two notifier replicas as processes, no broker. What is measured is the database's own: the time at
which a transaction was committed, against the time at which its deadline was due.
"""

import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx2
from rich.console import Console
from rich.table import Table

from deploy.local import postgres
from deploy.local.config import HOST, ROOT, free_port
from services.notifier.cases.verdicts import take_verdicts
from services.notifier.clock.clock import Deadlines
from shared.postgres import Pool, open_pool
from tests.parts import IDENTITY, KEY_BYTES, NOWHERE, DatabaseServer, database_server, officer_of
from tests.service.notifier.builders import a_verdict, an_account

CASES = int(os.environ.get("CASES", "2000"))
RACES = int(os.environ.get("RACES", "1000"))
WINDOW_SECONDS = 5.0
LEAD_SECONDS = 3.0
RACES_SECONDS = 20.0
RACE_BEFORE_MS, RACE_AFTER_MS = 80.0, 10.0
BRANCHES = ("ICBC-SZ-LH-001", "ICBC-SZ-LH-002", "ICBC-SZ-LH-003", "ICBC-SZ-LH-004", "ICBC-SZ-FT-001")
console = Console(highlight=False, width=110)


@asynccontextmanager
async def replica(
    dsn: str, folder: Path, number: int, module: Sequence[str] = ("services.notifier",), **more: str
) -> AsyncIterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Run a notifier as a process; yield its address once it answers. `more` is told to it besides."""
    port = free_port()
    told = {
        **os.environ,
        "DATABASE_URL": dsn,
        "KAFKA_BOOTSTRAP_SERVERS": NOWHERE,
        "HOST": HOST,
        "PORT": str(port),
        "IDENTITY_KEYS": f"i1:{KEY_BYTES}",
        "NARRATIVE_KEYS": f"n1:{KEY_BYTES}",
        "TOKEN_KEY": KEY_BYTES,
        **more,
    }
    with (folder / f"notifier-{number}.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: ASYNC220 - over in a moment
            [sys.executable, "-m", *module], cwd=ROOT, env=told, stdout=log, stderr=log
        )
        url = f"http://{HOST}:{port}"
        try:
            async with asyncio.timeout(30), httpx2.AsyncClient(timeout=2) as client:
                while not await _answers(client, url):
                    assert process.poll() is None, "the replica ended"
                    await asyncio.sleep(0.05)
            yield url, process
        finally:
            process.terminate()
            process.wait(20)


async def _answers(client: httpx2.AsyncClient, url: str) -> bool:
    with suppress(httpx2.HTTPError):
        return (await client.get(f"{url}/health/live")).status_code == 200
    return False


async def open_cases(pool: Pool, number: int) -> list[UUID]:
    """Open cases through the real handler, each on an account of its own; their clocks stand still."""
    case_ids: list[UUID] = []
    while len(case_ids) < number:
        page = [a_verdict(an_account(), BRANCHES[at % len(BRANCHES)]) for at in range(min(200, number - len(case_ids)))]
        taken = await take_verdicts(pool, IDENTITY, Deadlines(), page, datetime.now(UTC) + timedelta(hours=1))
        case_ids += [placed.case_id for placed in taken.placed]
    return case_ids


async def set_due(pool: Pool, case_ids: Sequence[UUID], window_seconds: float) -> datetime:
    """Let the first deadlines of cases come within a window that begins soon; return when it begins."""
    begins: datetime = await pool.fetchval(
        """
        with moved as (
            update deadline set due_at = now() + ($2 + random() * $3) * interval '1 second'
            where case_id = any($1::uuid[]) and state = 'running' returning due_at
        )
        select min(due_at) from moved
        """,
        list(case_ids),
        LEAD_SECONDS,
        window_seconds,
    )
    return begins


async def until_ended(pool: Pool, case_ids: Sequence[UUID]) -> None:
    """Return once the first deadline of each case has ended."""
    async with asyncio.timeout(120):
        while await pool.fetchval(  # noqa: ASYNC110
            "select count(*) from deadline where case_id = any($1::uuid[]) and step = 0 and state = 'running'",
            list(case_ids),
        ):
            await asyncio.sleep(0.1)


async def lateness(pool: Pool, case_ids: Sequence[UUID]) -> list[float]:
    """Return how many milliseconds after its time each missed first deadline was committed, sorted."""
    rows = await pool.fetch(
        """
        select extract(epoch from pg_xact_commit_timestamp(xmin) - due_at)::float8 * 1000 as late from deadline
        where case_id = any($1::uuid[]) and stage = 'acknowledge' and step = 0 and state = 'missed' order by 1
        """,
        list(case_ids),
    )
    return [row["late"] for row in rows]


async def told_times(pool: Pool, case_ids: Sequence[UUID]) -> Counter[int]:
    """Count the cases by how often they were escalated."""
    rows = await pool.fetch(
        """
        select c.id, count(a.id) as times from fraud_case c
        left join alert a on a.case_id = c.id and a.facts ->> 'kind' = 'escalated'
        where c.id = any($1::uuid[]) group by c.id
        """,
        list(case_ids),
    )
    return Counter(row["times"] for row in rows)


async def with_a_kill(dsn: str, folder: Path, pool: Pool, window_seconds: float) -> None:
    """Two replicas, all deadlines within a window, one replica killed in the middle of it."""
    case_ids = await open_cases(pool, CASES)
    async with replica(dsn, folder, 1), replica(dsn, folder, 2) as (_, victim):
        begins = await set_due(pool, case_ids, window_seconds)
        middle = begins + timedelta(seconds=window_seconds / 2 + 0.05)
        await asyncio.sleep((middle - datetime.now(UTC)).total_seconds())
        victim.kill()
        await until_ended(pool, case_ids)
    title = f"{len(case_ids):,} deadlines within {window_seconds:.0f} s, two replicas, one killed in the middle"
    show(title, await lateness(pool, case_ids))
    console.print("cases by the number of their escalations:", dict(await told_times(pool, case_ids)))
    # their next steps are no part of it
    await pool.execute("update deadline set state = 'met' where state = 'running'")


async def raced(pool: Pool, case_ids: Sequence[UUID], urls: Sequence[str], chance: random.Random) -> None:
    """Acknowledge cases at the replicas, in turn, around the very moment at which each would be escalated."""
    rows = await pool.fetch("select case_id, due_at from deadline where case_id = any($1::uuid[])", case_ids)
    due = {row["case_id"]: row["due_at"] for row in rows}
    headers = officer_of("SZ")
    async with httpx2.AsyncClient(timeout=20, limits=httpx2.Limits(max_connections=60)) as client:

        async def race(case_id: UUID, url: str) -> None:
            moment = due[case_id] + timedelta(milliseconds=chance.uniform(-RACE_BEFORE_MS, RACE_AFTER_MS))
            await asyncio.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))
            answer = await client.post(f"{url}/v1/cases/{case_id}/acknowledge", headers=headers)
            assert answer.status_code == 200, answer.text

        await asyncio.gather(*(race(case_id, urls[at % len(urls)]) for at, case_id in enumerate(case_ids)))


async def who_was_first(pool: Pool, case_ids: Sequence[UUID]) -> dict[str, int]:
    """Count how races ended, by the times of the commits."""
    row = await pool.fetchrow(
        """
        with raced as (
            select d.state = 'met' as met, d.due_at, pg_xact_commit_timestamp(o.xmin) as acknowledged,
                   pg_xact_commit_timestamp(a.xmin) as escalated
            from deadline d
            join timeline o on o.case_id = d.case_id and o.kind = 'acknowledged'
            left join alert a on a.case_id = d.case_id and a.facts ->> 'kind' = 'escalated'
            where d.case_id = any($1::uuid[]) and d.stage = 'acknowledge' and d.step = 0
        )
        select count(*) as races, count(*) filter (where met) as met, count(escalated) as escalated,
               count(*) filter (where met and escalated is not null) as both,
               count(*) filter (where not met and escalated is null) as neither,
               count(*) filter (where acknowledged < due_at) as timely,
               count(*) filter (where acknowledged < due_at and escalated is not null) as wrong,
               count(*) filter (where acknowledged < escalated) as after
        from raced
        """,
        list(case_ids),
    )
    assert row is not None
    return dict(row)


async def races(dsn: str, folder: Path, pool: Pool) -> None:
    """Race acknowledgements against deadlines, with two replicas."""
    case_ids = await open_cases(pool, RACES)
    async with replica(dsn, folder, 3) as (one, _), replica(dsn, folder, 4) as (other, _):
        await set_due(pool, case_ids, RACES_SECONDS)
        await raced(pool, case_ids, (one, other), random.Random())  # noqa: S311 - dice
    row = await who_was_first(pool, case_ids)
    console.print(f"races of an acknowledgement against its deadline: {row['races']:,}")
    console.print(f"  acknowledged first {row['met']:,}, escalated first {row['escalated']:,}")
    console.print(f"  both {row['both']}, neither {row['neither']}, escalated after an acknowledgement {row['after']}")
    console.print(f"  acknowledgements committed in time {row['timely']:,}, of them escalated {row['wrong']}")


def show(title: str, late: Sequence[float]) -> None:
    """Print the spread of a lateness in milliseconds."""
    cuts = statistics.quantiles(late, n=100)
    figures = {"p50": cuts[49], "p90": cuts[89], "p99": cuts[98], "max": late[-1]}
    console.print(title)
    table = Table(*figures)
    table.add_row(*(f"{value:.0f} ms" for value in figures.values()))
    console.print(table)


async def measure(server: DatabaseServer, folder: Path) -> None:
    await server.make_templates()
    dsn = await server.clone("notifier")
    pool = await open_pool(dsn, "notifier", most=3)
    try:
        await with_a_kill(dsn, folder, pool, WINDOW_SECONDS)
        await with_a_kill(dsn, folder, pool, 0)
        await races(dsn, folder, pool)
    finally:
        await pool.close()


def main() -> None:
    """Measure and print."""
    postgres.SETTINGS["track_commit_timestamp"] = "on"
    with tempfile.TemporaryDirectory(prefix="lanjie-deadlines-") as name, database_server(Path(name)) as server:
        asyncio.run(measure(server, Path(name)))


if __name__ == "__main__":
    main()
