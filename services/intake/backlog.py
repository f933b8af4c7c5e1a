"""How many reports and answers of banks wait for the rest of the chain, and when that is too many."""

import asyncio
import time
from http import HTTPStatus
from typing import Final

from prometheus_client import Gauge

from shared.errors import Refusal
from shared.postgres import Pool

LOOK_EVERY_SECONDS: Final = 1.0
REST_AFTER_LOOK: Final = 30
"""So many times as long as a look took it rests: counting a long backlog must not become a load of its own."""
RETRY_AFTER_SECONDS: Final = 10


class Backlog:
    """The door takes no new reports while `most` of what was promised is unanswered.

    It keeps the disk from filling while the chain is down for hours. What was accepted is not touched.
    """

    def __init__(self, pool: Pool, most: int, gauge: Gauge) -> None:
        self._pool = pool
        self._most = most
        self._gauge = gauge
        self._full = False

    def refuse_if_full(self) -> None:
        """Raise 503 where a report more would be too many."""
        if self._full:
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "Too many reports wait to be judged; send this again shortly.",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )

    async def look(self) -> None:
        """Count, and wait until it is time to count again."""
        began = time.monotonic()
        unanswered: int = await self._pool.fetchval(
            """
            select count(*) from (
                -- the two kinds apart, each by an index of its own: the table may be long and nearly empty
                select 1 from outbox where awaits_answer and not unsent
                union all
                select 1 from outbox where awaits_answer and unsent
                limit $1
            ) o
            """,
            self._most,
        )
        self._gauge.set(unanswered)
        self._full = unanswered >= self._most
        await asyncio.sleep(max(LOOK_EVERY_SECONDS, (time.monotonic() - began) * REST_AFTER_LOOK))
