"""Orders and what banks say to them: in part, again, out of order, late, contradicted, corrected; exact to the fen.

Random lives of cases go through the real handlers, several at once, while deadlines fire; each counts its money coin
by coin. What the ledger has booked must be that, and what anybody reckons from the facts anew.
"""

from typing import Final

from shared.postgres import open_pool
from tests.bench.coins import KINDS
from tests.bench.torture import WORKERS, torture
from tests.faults.database import own_server
from tests.faults.play import Outcome, Play

SEEDS: Final = (1, 2)


async def play(run: Play) -> Outcome:
    """Live many lives; compare each kind of money, and each case, with what it should be."""
    async with own_server(run.folder) as server:
        dsn = await server.clone("notifier")
        pool = await open_pool(dsn, "notifier", most=WORKERS * 2 + 2)
        try:
            lived = await torture(pool, dsn, 2_000 if run.long else 100, run.seed)
        finally:
            await pool.close()
    outcome = Outcome(lived.events.total())
    for kind in KINDS:
        expected, booked = lived.expected[kind], lived.booked[kind]
        outcome.lost += max(0, expected - booked)
        outcome.doubled += max(0, booked - expected)
        if expected != booked:
            outcome.broken.append(f"{booked} fen are {kind} in the ledger, {expected} by the coins")
    outcome.broken += [f"the ledger differs from the facts: {one}" for one in lived.verified.differences]
    outcome.figures = {
        "cases": lived.verified.cases,
        "orders": lived.verified.orders,
        "feedback": lived.events["feedback"],
        "heard again": lived.events["again"],
        "entries": lived.verified.entries,
        "fen": lived.booked.total(),
    }
    return outcome
