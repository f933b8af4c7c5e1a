"""The relay says what the outbox holds.

It publishes fresh rows at once. Its sweep publishes what is overdue: after a crash, once the broker is back, and for
as long as an awaited answer is missing.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final
from uuid import UUID

import structlog

from shared.outbox import Outgoing, claim_repeats, claim_unsent, forget, mark_unsent
from shared.postgres import TRANSIENT, Pool
from shared.tasks import forever

log = structlog.get_logger()

SWEEP_EVERY_SECONDS: Final = 1.0
MOST_REPEATS_A_SWEEP: Final = 500
"""While the consumers are behind, nothing is lost and all is overdue: repeating it all would only add to their load."""

NOTE_EVERY_SECONDS: Final = 0.25
GATHER_SECONDS: Final = 0.01
"""Pages follow each other at this distance at least; a row that comes alone is published at once."""

PAGE: Final = 500
PAGES_AT_ONCE: Final = 4
MOST_HELD_IN_MEMORY: Final = 20_000
BATCHES_IN_FLIGHT: Final = 4
"""A broker has one request of ours in hand at a time; while it has, rows gather for fuller ones."""

Send = Callable[[Sequence[Outgoing]], Awaitable[list[UUID]]]
"""Publishes rows and returns the ids that the broker acknowledged."""


class Relay:
    """Publishes what the outbox holds: fresh rows at once, overdue rows by a sweep."""

    def __init__(self, pool: Pool, send: Send) -> None:
        self._pool = pool
        self._send = send
        self._fresh: deque[Outgoing] = deque()
        self._wake = asyncio.Event()
        self._publish_at = 0.0
        self._said: list[UUID] = []
        self._missed: list[UUID] = []
        self._slots = asyncio.Semaphore(BATCHES_IN_FLIGHT)
        self._in_flight: set[asyncio.Task[bool]] = set()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to publish and to sweep."""
        steps = (self._publish_fresh, self._note_sent, self._sweep_overdue)
        self._tasks = [asyncio.create_task(forever(step)) for step in steps]

    async def stop(self) -> None:
        """Publish what is in hand, briefly, and stop; what stays unsaid stays in the outbox."""
        with suppress(TimeoutError):
            async with asyncio.timeout(3):
                while self._fresh or self._in_flight:
                    await asyncio.wait(self._in_flight or self._tasks, timeout=0.05)
        for task in (*self._tasks, *self._in_flight):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._in_flight, return_exceptions=True)
        with suppress(*TRANSIENT):
            await self._note()

    def publish_soon(self, rows: Sequence[Outgoing]) -> None:
        """Publish rows that are committed. Beyond what memory should hold, the sweep will find them."""
        room = max(0, MOST_HELD_IN_MEMORY - len(self._fresh))
        self._fresh.extend(rows[:room])
        self._missed.extend(row.id for row in rows[room:] if row.kept and row.awaits_answer)
        self._wake.set()

    async def _publish_fresh(self) -> None:
        await self._wake.wait()
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._publish_at - loop.time())  # what comes close behind goes along
        self._publish_at = loop.time() + GATHER_SECONDS
        self._wake.clear()
        while self._fresh:
            await self._slots.acquire()
            page = [self._fresh.popleft() for _ in range(min(PAGE, len(self._fresh)))]
            task = asyncio.create_task(self._publish(page))
            self._in_flight.add(task)
            task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[bool]) -> None:
        self._in_flight.discard(task)
        self._slots.release()
        if not task.cancelled() and task.exception():
            log.error("publishing_failed", exc_info=task.exception())

    async def _publish(self, page: Sequence[Outgoing]) -> bool:
        """Publish rows; return whether the broker took any. Those it did not take are tried again soon."""
        sent = set(await self._send(page))
        self._said.extend(row.id for row in page if row.kept and not row.awaits_answer and row.id in sent)
        self._missed.extend(row.id for row in page if row.kept and row.awaits_answer and row.id not in sent)
        return bool(sent)

    async def _note_sent(self) -> None:
        await asyncio.sleep(NOTE_EVERY_SECONDS)
        await self._note()

    async def _note(self) -> None:
        said, missed = self._said[:], self._missed[:]
        if said:
            await forget(self._pool, said)
            del self._said[: len(said)]
        if missed:
            await mark_unsent(self._pool, missed)
            del self._missed[: len(missed)]

    async def _sweep_overdue(self) -> None:
        await asyncio.sleep(SWEEP_EVERY_SECONDS)
        if await self._sweep_unsent(1):
            while await self._sweep_unsent(PAGES_AT_ONCE):
                pass
        if repeats := await claim_repeats(self._pool, MOST_REPEATS_A_SWEEP):
            await self._publish(repeats)

    async def _sweep_unsent(self, at_once: int) -> bool:
        """Publish pages of unsent rows side by side; return whether there may be more that can be published now."""
        pages = await asyncio.gather(*(claim_unsent(self._pool, PAGE) for _ in range(at_once)))
        sent = await asyncio.gather(*(self._publish(page) for page in pages if page))
        return any(len(page) == PAGE for page in pages) and all(sent)
