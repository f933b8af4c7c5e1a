"""Each use case is cancelled at every await: whole or absent, nothing left open, and doing it again succeeds."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from shared.errors import Refusal
from shared.postgres import Pool, open_pool
from tests.faults.cancelling import cancelled
from tests.faults.database import own_server
from tests.faults.play import Outcome, Play
from tests.faults.use_cases import UseCase, Work, use_cases

SEEDS: Final = (3,)
CONNECTIONS: Final = 4
MOST_AWAITS: Final = 400
LATEST_SECONDS: Final = 0.003
PATIENCE_SECONDS: Final = 10.0
ROUNDS_LONG: Final = 10

TRACES: Final = frozenset({"audit"})
"""Tables that also say what was tried and refused."""


async def play(run: Play) -> Outcome:
    """Cancel at once, a moment later, and once more while the first cancelling is being cleaned up."""
    outcome = Outcome(operations=0)
    dice = random.Random(run.seed)  # noqa: S311 - a test's dice
    async with own_server(run.folder) as server:
        for case in use_cases():
            pool = await open_pool(await server.clone(case.service), case.service, most=CONNECTIONS)
            try:
                await _try(pool, case, outcome, dice, rounds=ROUNDS_LONG if run.long else 1)
            finally:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await pool.close()
    return outcome


async def _try(pool: Pool, case: UseCase, outcome: Outcome, dice: random.Random, *, rounds: int) -> None:
    """Learn what the use case leaves when nobody cancels it, then cancel it everywhere."""
    await case.work_on(pool, await case.prepared(pool))  # what the first one sets up for all others
    subject = await case.prepared(pool)
    before = await _rows(pool)
    await case.work_on(pool, subject)
    whole = _gained(before, await _rows(pool))
    awaits = 0
    for _ in range(rounds):
        for late, twice in ((None, False), (dice.uniform(0, LATEST_SECONDS), False), (None, True)):
            for at in range(1, MOST_AWAITS):
                steps = {at, at + dice.randint(1, 4)} if twice else {at}
                ended = await _once(pool, case, steps, late, whole, outcome)
                outcome.operations += 1
                if not ended:
                    awaits = max(awaits, at - 1)
                    break
    outcome.figures[case.name] = awaits


async def _once(
    pool: Pool,
    case: UseCase,
    steps: set[int],
    late: float | None,
    whole: Mapping[str, int],
    outcome: Outcome,
) -> bool:
    """Cancel one; return whether there was an await to cancel at."""
    where = f"{case.name}, cancelled at await {sorted(steps)}{' a moment late' if late else ''}"
    work: Work = case.work_on
    subject = await case.prepared(pool)
    before = await _rows(pool)
    _, awaits = await cancelled(work(pool, subject), steps, late)
    await _nothing_left_open(pool, where, outcome)
    gained = _gained(before, await _rows(pool))
    if gained not in ({}, whole):
        outcome.broken.append(f"{where}: left {dict(gained)}, which is neither nothing nor {dict(whole)}")
    with suppress(Refusal):  # it was done after all, and may not be done twice
        await work(pool, subject)
    if _but_traces(_gained(before, await _rows(pool))) != _but_traces(whole):
        outcome.broken.append(f"{where}: done again, it left {dict(gained)} and not {dict(whole)}")
    return awaits >= min(steps)


async def _nothing_left_open(pool: Pool, where: str, outcome: Outcome) -> None:
    """Wait until the connections are back and idle: giving one back goes on in the background."""
    sql = """
        select count(*) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'
    """
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while pool.get_idle_size() < pool.get_size() or await pool.fetchval(sql):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
    except TimeoutError:
        outcome.broken.append(
            f"{where}: {pool.get_size() - pool.get_idle_size()} connections are not back, or a transaction is open"
        )


async def _rows(pool: Pool) -> Counter[str]:
    """Count the rows of each table."""
    names = await pool.fetch(
        """
        select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = current_schema() and c.relkind in ('r', 'p') and not c.relispartition
        order by 1
        """
    )
    counts = " union all ".join(
        f"select '{row['relname']}' as name, count(*) as n from {row['relname']}" for row in names
    )
    return Counter({row["name"]: row["n"] for row in await pool.fetch(counts)})


def _gained(before: Counter[str], after: Counter[str]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def _but_traces(gained: Mapping[str, int]) -> dict[str, int]:
    return {name: number for name, number in gained.items() if name not in TRACES}
