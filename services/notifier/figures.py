"""Figures that take too long for a scrape, counted in the background by one replica at a time.

What takes longer is counted more seldom, so that counting never becomes a load of its own.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final, assert_never

import structlog

from services.notifier import figure_store
from services.notifier.figure_store import Name
from services.notifier.money import ledger_check
from services.notifier.table_metrics import PEOPLES
from shared.postgres import Pool, Row
from shared.tasks import forever

log = structlog.get_logger()

LOOK_EVERY_SECONDS: Final = 5.0
HELD: Final = timedelta(minutes=10)
"""A figure whose replica ended while it counted, or failed, is counted again after so long."""

REST: Final[Mapping[Name, tuple[float, int]]] = {
    Name.LEDGER: (300.0, 4),
    Name.MONEY_BY_TYPE: (15.0, 100),
    Name.MISSED: (15.0, 100),
}
"""How many seconds each rests once it is counted, at least; and how many times as long as the counting took."""

BEGINS: Final = timedelta(hours=1)
"""What was booked longer before the first check is left to `lanjie ledger verify`."""

OVERLAP: Final = timedelta(minutes=2)
"""A transaction that began before the last check may have ended after it; none lasts longer."""

STRETCH: Final = timedelta(minutes=10)
"""So much is checked at a time; where more is left, the next follows at once."""


@asynccontextmanager
async def counted(pool: Pool) -> AsyncIterator[None]:
    """Count for as long as the context lasts, each figure by itself: one takes seconds, another a minute."""

    def counting(name: Name) -> Callable[[], Awaitable[None]]:
        async def step() -> None:
            if not await look(pool, name):
                await asyncio.sleep(LOOK_EVERY_SECONDS)

        return step

    tasks = [asyncio.create_task(forever(counting(name))) for name in Name]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def look(pool: Pool, *names: Name) -> int:
    """Count what is due, of these or of all, unless another replica does; return how many figures that were.

    One that cannot be counted holds up no other: it is tried again after `HELD`.
    """
    due = await figure_store.claim(pool, names or tuple(Name), HELD)
    for row in due:
        try:
            await _renew(pool, row)
        except Exception:
            log.exception("step_failed", step=f"counting {row['name']}")
    return len(due)


async def _renew(pool: Pool, row: Row) -> None:
    """Count a figure that was claimed, and keep it."""
    began = time.monotonic()
    name, now = Name(row["name"]), row["at"]
    until = min(now, (row["counted_at"] or now) + STRETCH) if name is Name.LEDGER else now
    body = await _count(pool, name, json.loads(row["body"]), row["counted_at"], until)
    least, times = REST[name]
    rest = max(0.0 if until < now else least, (time.monotonic() - began) * times)
    await figure_store.keep(pool, name, body, until, timedelta(seconds=rest))


async def _count(
    pool: Pool, name: Name, before: Mapping[str, Any], counted_at: datetime | None, until: datetime
) -> object:
    match name:
        case Name.LEDGER:
            since = counted_at - OVERLAP if counted_at else until - BEGINS
            return await ledger_check.check(pool, before, since, until)
        case Name.MONEY_BY_TYPE:
            return await figure_store.money_by_type(pool)
        case Name.MISSED:
            return await figure_store.missed(pool, [stage.value for stage in PEOPLES])
        case _:
            assert_never(name)
