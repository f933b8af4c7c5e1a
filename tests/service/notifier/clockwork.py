"""Time in tests: deadlines are followed up as if it were later, and the database says what came of it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from services.notifier.clock import escalation
from services.notifier.clock.escalation import Fired
from services.notifier.clock.watch import Watch
from services.notifier.metrics import Metrics
from shared.outbox import Outgoing
from shared.postgres import Pool
from tests.service.notifier.builders import a_verdict, an_account, now, office, take

AT_ONCE = 500


async def fire(pool: Pool, after: timedelta = timedelta(0)) -> Fired:
    """Follow up what is due after a while."""
    return await escalation.fire(office(pool), now() + after, AT_ONCE)


async def open_cases(pool: Pool, number: int, branch: str = "ICBC-SZ-LH-001") -> list[UUID]:
    """Open cases, each on an account of its own."""
    taken = await take(pool, *(a_verdict(an_account(), branch) for _ in range(number)))
    return [placed.case_id for placed in taken.placed]


async def deadlines(pool: Pool, case_id: UUID | str, stage: str) -> list[tuple[int, str]]:
    """The steps of a stage's deadlines and their states, in order."""
    rows = await pool.fetch(
        "select step, state from deadline where case_id = $1 and stage = $2 order by started_at, step desc",
        UUID(str(case_id)),
        stage,
    )
    return [(row["step"], row["state"]) for row in rows]


async def alerts(pool: Pool, case_id: UUID | str, *kinds: str) -> list[dict[str, Any]]:
    """The alerts of a case of these kinds, in order."""
    rows = await pool.fetch(
        """
        select unit, path, roles, facts ->> 'kind' as kind, facts ->> 'order_id' as order_id from alert
        where case_id = $1 and facts ->> 'kind' = any($2::text[]) order by position
        """,
        UUID(str(case_id)),
        list(kinds),
    )
    return [dict(row) for row in rows]


async def lines(pool: Pool, case_id: UUID | str, kind: str) -> list[str]:
    """What a case's timeline tells of one kind."""
    rows = await pool.fetch(
        "select text from timeline where case_id = $1 and kind = $2 order by id", UUID(str(case_id)), kind
    )
    return [row["text"] for row in rows]


def watching(pool: Pool, metrics: Metrics, said: list[Outgoing] | None = None, woken: list[int] | None = None) -> Watch:
    """A watch as every replica has one: what it publishes goes to `said`, and `woken` grows as it wakes the screens."""

    heard: list[Outgoing] = [] if said is None else said

    async def alerted() -> None:
        if woken is not None:
            woken.append(1)

    return Watch(office(pool), metrics, heard.extend, alerted)
