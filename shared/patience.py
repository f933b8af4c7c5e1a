"""Work that is tried again for as long as it fails for a passing reason."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import chain, repeat
from typing import Final

import asyncpg
import structlog

from shared.postgres import TRANSIENT

log = structlog.get_logger()

RETRY_SECONDS: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
COLLISIONS: Final = (asyncpg.TransactionRollbackError,)
"""Two transactions met, and PostgreSQL undid ours: the other one is through in a moment."""
COLLISIONS_IN_A_ROW: Final = 5
COLLISION_SECONDS: Final = 0.02


async def step_aside(collision: int) -> None:
    """Wait after the so-manieth collision in a row: milliseconds, at random, so that two do not meet again."""
    await asyncio.sleep(random.uniform(0, COLLISION_SECONDS * collision))  # noqa: S311 - not a secret


class Patience:
    """Does work until it succeeds, or until `ended`; `waiting_out` while something it needs is away."""

    def __init__(self, group: str, ended: asyncio.Event) -> None:
        self._group = group
        self._ended = ended
        self.waiting_out = False

    async def until_done(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it; where it fails for a passing reason, wait and do it again, for as long as it takes.

        Raises what the work raises for a lasting reason, and `CancelledError` once we are told to end.
        """
        collisions = 0
        waits = chain(RETRY_SECONDS, repeat(RETRY_SECONDS[-1]))
        while True:
            try:
                await work()
            except TRANSIENT as error:
                if isinstance(error, COLLISIONS) and collisions < COLLISIONS_IN_A_ROW:
                    collisions += 1
                    await step_aside(collisions)
                    continue
                await self._wait_out(error, next(waits))
            else:
                self.waiting_out = False
                return

    async def _wait_out(self, error: Exception, seconds: float) -> None:
        self.waiting_out = True
        log.warning("will_try_again", group=self._group, error=type(error).__name__, seconds=seconds)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)
            raise asyncio.CancelledError
