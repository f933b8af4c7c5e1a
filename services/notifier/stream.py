"""The alert stream: server-sent events that an officer's screen can leave and take up again."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Final

from services.notifier import alert_store
from shared.postgres import Pool
from shared.tasks import forever

LOOK_EVERY_SECONDS: Final = 0.3
HEARTBEAT_SECONDS: Final = 15.0
PAGE: Final = 200


class AlertStream:
    """Wakes the connections when there are new alerts.

    What this process commits is announced at once; what another replica commits is seen by one look at
    the newest position for all connections.
    """

    def __init__(self, pool: Pool, stopping: Callable[[], bool]) -> None:
        self._pool = pool
        self._stopping = stopping
        self._news = asyncio.Condition()
        self._newest = 0
        self._looker: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to look."""
        self._newest = await alert_store.newest_position(self._pool)
        self._looker = asyncio.create_task(forever(self._look))

    async def close(self) -> None:
        """Stop looking."""
        if self._looker:
            self._looker.cancel()
            await asyncio.gather(self._looker, return_exceptions=True)

    async def announce(self) -> None:
        """Look at once: alerts were committed here."""
        newest = await alert_store.newest_position(self._pool)
        async with self._news:
            if newest > self._newest:
                self._newest = newest
                self._news.notify_all()

    async def follow(
        self, path: str, after: int | None, still_in: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[bytes]:
        """Yield a subtree's alerts after a position (from now on, where none is given) as SSE text.

        `still_in` is asked before alerts are shown: whether the officer may still see this subtree.
        """
        position = self._newest if after is None else after
        yield f"retry: 2000\nid: {position}\n\n".encode()
        silent = 0.0
        while not self._stopping():
            seen = self._newest
            page = await alert_store.alerts_after(self._pool, path, position, PAGE)
            if page and not await still_in():
                return
            for position, facts in page:
                yield f"id: {position}\nevent: alert\ndata: {json.dumps(facts, ensure_ascii=False)}\n\n".encode()
            if len(page) == PAGE:
                continue
            position = max(position, seen)
            silent = 0.0 if page else silent
            if await self._wait(seen):
                continue
            silent += LOOK_EVERY_SECONDS
            if silent >= HEARTBEAT_SECONDS:
                silent = 0.0
                yield f"id: {position}\n: still here\n\n".encode()

    async def _wait(self, seen: int) -> bool:
        """Return whether there is news; give up after a moment, to see whether the server stops."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY_SECONDS), self._news:
                await self._news.wait_for(lambda: self._newest > seen)
        return self._newest > seen

    async def _look(self) -> None:
        await asyncio.sleep(LOOK_EVERY_SECONDS)
        await self.announce()
