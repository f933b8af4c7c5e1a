"""`python -m tests.bench.torture --cases 1000 --seed 1`: random lives of cases, and what the ledger makes of them.

Four workers drive the lives through the real handlers, step by step, while a clock that runs fast lets holds run
out. Then `ledger verify` must find no difference, and the totals must be those that the lives count coin by coin.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import asyncpg
from rich.console import Console
from rich.table import Table

from services.notifier import people_store
from services.notifier.clock import escalation
from services.notifier.money import verifying
from services.notifier.money.verifying import Verified
from services.notifier.office import Office
from services.notifier.people_store import Officer
from shared.access import fingerprint
from shared.postgres import TRANSIENT, Pool, open_pool
from tests.bench.coins import KINDS
from tests.bench.lives import Life
from tests.parts import IDENTITY, TOKENS, DatabaseServer, database_server, officer_token

WORKERS: Final = 4
ROUNDS: Final = 20
SECOND_OFFICER_ABOVE_FEN: Final = 120
console = Console(highlight=False, width=110)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. Amounts in fen by kind."""

    events: Counter[str]
    verified: Verified
    expected: Counter[str]
    booked: Counter[str]
    seconds: float


async def torture(pool: Pool, dsn: str, cases: int, seed: int, rounds: int = ROUNDS) -> Outcome:
    """Live so many lives; return what the ledger says and what it should say."""
    chance = random.Random(seed)  # noqa: S311 - not a secret
    office = Office(pool, IDENTITY, TOKENS, second_officer_above_fen=SECOND_OFFICER_ABOVE_FEN)
    officers = [await _officer(pool, name) for name in ("秦若楠", "沈牧言")]
    events: Counter[str] = Counter()
    lives = [Life(office, officers, random.Random(chance.getrandbits(64)), events) for _ in range(cases)]  # noqa: S311
    began, now = time.perf_counter(), datetime.now(UTC) - timedelta(days=400)
    for number in range(rounds):
        chance.shuffle(lives)
        await _round(lives, now)
        now += timedelta(minutes=chance.choice((11, 11, 15, 30, 60, 60, 60 * 9, 60 * 40)))
        if number == rounds * 2 // 3:
            now += timedelta(days=190)
        events["deadline"] += await _run_clock(office, now, events)
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "notifier"})
    verified = await verifying.verify(connection)
    await connection.close()
    expected = sum((life.coins.money(now) for life in lives), Counter())
    rows = await pool.fetch("select kind, sum(fen)::bigint as fen from ledger_total group by kind")
    booked = +Counter({row["kind"]: row["fen"] for row in rows})
    return Outcome(events, verified, +expected, booked, time.perf_counter() - began)


async def _officer(pool: Pool, name: str) -> Officer:
    officer = await people_store.officer_of_token(pool, fingerprint(officer_token(name)))
    assert officer
    return officer


async def _round(lives: Sequence[Life], now: datetime) -> None:
    """Let every life take a step; several at a time."""
    waiting = list(lives)

    async def work() -> None:
        while waiting:
            await waiting.pop().steps(now)

    async with asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(work())


async def _run_clock(office: Office, now: datetime, events: Counter[str]) -> int:
    """Follow up all that is due, as two replicas do; what is in another's way is tried again."""

    async def replica() -> int:
        count, settled = 0, 1
        while settled:
            try:
                settled = len((await escalation.fire(office, now, 200)).settled)
            except TRANSIENT:
                events["tried again"] += 1
            else:
                count += settled
        return count

    fired = 0
    while more := sum(await asyncio.gather(replica(), replica())):
        fired += more
    return fired


def show(outcome: Outcome) -> None:
    """Print the figures."""
    found = outcome.verified
    console.print(", ".join(f"{number:,} {name}" for name, number in sorted(outcome.events.items())))
    console.print(
        f"{found.cases:,} cases, {found.reports:,} reports, {found.orders:,} orders, {found.entries:,} entries: "
        f"{len(found.differences):,} differences; {outcome.seconds:.0f} s"
    )
    for one in found.differences[:20]:
        console.print(f"{one.about}: {one.what}: {one.expected} expected, {one.found} found")
    table = Table("kind", "counted coin by coin (fen)", "booked (fen)")
    for kind in KINDS:
        table.add_row(kind, f"{outcome.expected[kind]:,}", f"{outcome.booked[kind]:,}")
    console.print(table)


async def main(server: DatabaseServer, cases: int, seed: int) -> int:
    """Run on a database of its own; return the exit code."""
    await server.make_templates()
    dsn = await server.clone("notifier")
    pool = await open_pool(dsn, "notifier", most=WORKERS * 2 + 2)
    outcome = await torture(pool, dsn, cases, seed)
    await pool.close()
    show(outcome)
    return int(bool(outcome.verified.differences) or outcome.expected != outcome.booked)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, database_server(Path(folder)) as running:
        raise SystemExit(asyncio.run(main(running, options.cases, options.seed)))
