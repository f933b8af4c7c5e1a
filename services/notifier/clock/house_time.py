"""The time of the house: the database's, since a replica's own clock may be wrong and deadlines are counted by both.

A deadline that one replica starts is followed up by another, at the database's time. If each went by the clock of
its machine, one that is an hour ahead would have a case escalated an hour late.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.postgres import Pool

ASK_EVERY_SECONDS: Final = 5.0


async def wall_time() -> datetime:
    """Return the time of this machine's clock."""
    return datetime.now(UTC)


class HouseTime:
    """Tells the database's time. It is asked for every few seconds; in between, this process counts on from it."""

    def __init__(self, pool: Pool, every_seconds: float = ASK_EVERY_SECONDS) -> None:
        self._pool = pool
        self._every_seconds = every_seconds
        self._told: tuple[datetime, float] | None = None

    async def now(self) -> datetime:
        """Return the time. Fails as a query does while the database is away and nothing is known that is fresh."""
        if self._told is None or time.monotonic() - self._told[1] >= self._every_seconds:
            asked = time.monotonic()
            at = await self._pool.fetchval("select clock_timestamp()")
            self._told = at, (asked + time.monotonic()) / 2
        at, then = self._told
        return at + timedelta(seconds=time.monotonic() - then)
