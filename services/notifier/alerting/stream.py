"""The alert stream: one look at the table for all screens, each of which may leave and take it up again."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final

from services.notifier import people_store
from services.notifier.alerting import alert_store
from services.notifier.alerting.alert_store import Posted
from services.notifier.alerting.reader import Counts, Reader, Source, drop, read
from services.notifier.alerting.tail import Tail, frame, subtrees
from shared.access import TRUST_SECONDS
from shared.postgres import Pool
from shared.tasks import forever
from shared.tracing import note, on

PAGE: Final = 500
CATCHING_UP_AT_ONCE: Final = 2
"""However many screens come back at once, the pool's other connections stay free for decisions."""
PAUSE_A_READER_SECONDS: Final = 0.0001
LONGEST_PAUSE_SECONDS: Final = 0.1
STOPPING_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the stream looks for alerts and checks access, and how long it waits for what (seconds).

    `drain`: for a reader to take what was sent. `kept`: how many alerts stay in memory at least.
    """

    look_every: float = 0.1
    check_every: float = 0.5
    tend_every: float = 0.25
    heartbeat: float = 15.0
    drain: float = 10.0
    kept: int = 5000


class AlertStream:
    """Reads the alerts once, keeps the newest, and wakes the readers whose subtree they are in."""

    def __init__(
        self, pool: Pool, stopping: Callable[[], bool], pace: Pace | None = None, counts: Counts | None = None
    ) -> None:
        self._pool = pool
        self._stopping = stopping
        self._pace = pace or Pace()
        self._counts = counts or Counts()
        self._tail = Tail(self._pace.kept)
        catching_up = asyncio.Semaphore(CATCHING_UP_AT_ONCE)
        self._source = Source(pool, self._tail, self._pace.heartbeat, catching_up, self._counts)
        self._readers: dict[str, set[Reader]] = {}
        self._hint = asyncio.Event()
        self._unchecked = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Take up the newest alerts, so that screens that come back find them in memory; begin to look."""
        newest = await alert_store.newest_position(self._pool)
        self._tail.begin(max(0, newest - self._pace.kept))
        await self._read()
        self._loops = [asyncio.create_task(forever(step)) for step in (self._look, self._check, self._tend)]

    async def close(self) -> None:
        """Stop looking."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    def announce(self) -> None:
        """Look at once: alerts were committed here."""
        self._hint.set()

    def connected(self) -> int:
        """Return how many readers there are."""
        return sum(map(len, self._readers.values()))

    async def reader(self, path: str, token: bytes, after: int | None, hang_up: Callable[[], object]) -> Reader:
        """Return a reader of a subtree's alerts after a position; from now on, where none is given.

        A position that was never handed out comes from a database that is gone: there too it goes on from now.
        """
        newest = self._tail.newest
        if after is None or after > newest:
            newest = await alert_store.newest_position(self._pool)
        return Reader(path, token, hang_up, newest if after is None else min(after, newest), newest)

    async def follow(self, reader: Reader) -> AsyncGenerator[bytes]:
        """Yield a reader's alerts as server-sent events until it is let go or the server stops.

        What is yielded was checked, within the last second, to be the officer's to see.
        """
        self._readers.setdefault(reader.path, set()).add(reader)
        self._unchecked.set()
        try:
            async with aclosing(read(self._source, reader)) as texts:
                async for text in texts:
                    yield text
        finally:
            reader.end()
            self._readers[reader.path].discard(reader)
            if not self._readers[reader.path]:
                del self._readers[reader.path]

    def _all(self) -> list[Reader]:
        return [reader for readers in self._readers.values() for reader in readers]

    async def _look(self) -> None:
        self._hint.clear()
        pause = _pause(await self._read())
        await asyncio.sleep(pause)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pace.look_every - pause):
                await self._hint.wait()

    async def _read(self) -> int:
        """Take in what is new and wake the readers it is for; return how many."""
        woken = 0
        while True:
            before = self._tail.newest
            page = await alert_store.alerts_after(self._pool, "/", before, PAGE)
            self._tail.append([frame(one.position, one.path, one.created_at, one.facts) for one in page])
            if on() and self._loops:
                _record(page)
            for path in {subtree for one in {one.path for one in page} for subtree in subtrees(one)}:
                for reader in self._readers.get(path, ()):
                    reader.wake(before)
                    woken += 1
            if len(page) < PAGE:
                return woken

    async def _check(self) -> None:
        """Check all readers' access together: twice as often as it must be, and at once when one comes."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pace.check_every):
                await self._unchecked.wait()
        self._unchecked.clear()
        began, readers = time.monotonic(), self._all()
        paths = await people_store.paths_of_tokens(self._pool, {reader.token for reader in readers}) if readers else {}
        for reader in readers:
            if paths.get(reader.token) != reader.path:
                drop(reader, "access", self._counts)
            elif time.monotonic() >= reader.trusted_until:
                reader.news.set()  # it may have waited for this
            reader.trusted_until = began + TRUST_SECONDS
        await asyncio.sleep(_pause(len(readers)))

    async def _tend(self) -> None:
        """End streams when the server stops, hang up on readers who take nothing, give silent ones a sign of life."""
        await asyncio.sleep(self._pace.tend_every)
        now, stopping = time.monotonic(), self._stopping()
        patience = min(STOPPING_SECONDS, self._pace.drain) if stopping else self._pace.drain
        for reader in self._all():
            waited = now - reader.handed_at
            if stopping:
                reader.end()
            if reader.sending and waited >= patience:
                drop(reader, "stuck", self._counts)
                reader.hang_up()
            elif reader.idle and waited >= self._pace.heartbeat:
                reader.wake(self._tail.newest)


def _record(page: Sequence[Posted]) -> None:
    """Record that alerts are on the stream: once a replica, however many screens follow it."""
    for one in page:
        trace = json.loads(one.facts).get("traceparent") or ""
        note("stream alert", trace, int(one.created_at.timestamp() * 1e9), {})


def _pause(readers: int) -> float:
    """Return how long to wait before something is done for many readers again: the next time takes more at once."""
    return min(readers * PAUSE_A_READER_SECONDS, LONGEST_PAUSE_SECONDS)
