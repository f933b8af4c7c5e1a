"""One screen that reads the alert stream: what it gets next, from memory or, when it comes back late, the database."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import structlog

from services.notifier.alerting import alert_store
from services.notifier.alerting.tail import Frame, Tail, frame
from shared.postgres import TRANSIENT, Pool

log = structlog.get_logger()

FRAMES_AT_ONCE: Final = 64
"""What one send holds at most: it bounds the memory of a reader who does not take it."""


def _uncounted(_what: object) -> None:
    """Count nothing."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Who counts: how long alerts took from their creation to a reader (seconds), and why a reader was let go.

    Reasons: stuck (does not take what is sent), behind (takes it too slowly), access (may no longer see it),
    database (could not catch up).
    """

    delayed: Callable[[float], object] = _uncounted
    dropped: Callable[[str], object] = _uncounted


@dataclass(slots=True, eq=False)
class Reader:
    """One open stream. `path` is the subtree it shows, `token` what it was opened with, `hang_up` ends its connection.

    Alerts up to `position` are handed over; those up to `history` were there before it came. It is `live` while it
    reads from memory, and `idle` while nothing is there for it. Monotonic seconds: `trusted_until` it may be shown
    alerts, at `handed_at` it was handed something, and is `sending` until that is taken.
    """

    path: str
    token: bytes
    hang_up: Callable[[], object]
    position: int
    history: int
    trusted_until: float = 0.0
    handed_at: float = field(default_factory=time.monotonic)
    sending: bool = False
    idle: bool = False
    live: bool = False
    ended: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self, nothing_up_to: int) -> None:
        """Let it look for more. What an idle reader was not woken for, up to a position, was not for it."""
        if self.idle:
            self.idle = False
            self.position = max(self.position, nothing_up_to)
        self.news.set()

    def end(self) -> None:
        """Let its stream end."""
        self.ended = True
        self.news.set()


@dataclass(frozen=True, slots=True)
class Source:
    """Where readers read: the newest alerts in memory, older ones in the database, a few readers at a time there."""

    pool: Pool
    tail: Tail
    heartbeat_seconds: float
    catching_up: asyncio.Semaphore
    counts: Counts


def drop(reader: Reader, reason: str, counts: Counts) -> None:
    """Let a reader go; it may come back with its last id."""
    if not reader.ended:
        counts.dropped(reason)
        log.info("reader_dropped", reason=reason)
    reader.end()


async def read(source: Source, reader: Reader) -> AsyncGenerator[bytes]:
    """Yield a reader's alerts as server-sent events until it ends."""
    # screens that a restart sends away come back one by one, not all at once
    text: bytes | None = f"retry: {1000 + secrets.randbelow(2000)}\nid: {reader.position}\n\n".encode()
    while text is not None:
        reader.handed_at, reader.sending = time.monotonic(), True
        yield text
        reader.sending = False
        text = await _next(source, reader)


async def _next(source: Source, reader: Reader) -> bytes | None:
    """Wait for what is to be sent next: alerts, or a sign of life; nothing where the stream ends."""
    while not reader.ended:
        reader.news.clear()
        if frames := await _after(source, reader):
            if await _may_see(reader):
                return _hand_over(source.counts, reader, frames)
        elif time.monotonic() - reader.handed_at >= source.heartbeat_seconds:
            return f"id: {reader.position}\n: still here\n\n".encode()
        elif reader.live and not reader.ended:
            reader.idle = True
            await reader.news.wait()
    return None


async def _after(source: Source, reader: Reader) -> list[Frame]:
    if reader.position >= source.tail.since:
        reader.live = True
        frames = source.tail.after(reader.position, reader.path, FRAMES_AT_ONCE)
        if not frames:
            reader.position = max(reader.position, source.tail.newest)
        return frames
    if reader.live:
        drop(reader, "behind", source.counts)
        return []
    return await _from_the_database(source, reader)


async def _from_the_database(source: Source, reader: Reader) -> list[Frame]:
    seen = source.tail.newest
    try:
        async with source.catching_up:
            page = await alert_store.alerts_after(source.pool, reader.path, reader.position, FRAMES_AT_ONCE)
    except TRANSIENT:
        drop(reader, "database", source.counts)
        return []
    if not page:
        reader.position = seen
    return [frame(one.position, one.path, one.created_at, one.facts) for one in page]


async def _may_see(reader: Reader) -> bool:
    """Wait for the next check of the officer's access where the last is too old to trust."""
    while not reader.ended and time.monotonic() >= reader.trusted_until:
        reader.news.clear()
        await reader.news.wait()
    return not reader.ended


def _hand_over(counts: Counts, reader: Reader, frames: list[Frame]) -> bytes:
    reader.position = frames[-1].position
    if frames[0].position > reader.history:
        counts.delayed(max(0.0, (datetime.now(UTC) - frames[0].created_at).total_seconds()))
    return b"".join(one.text for one in frames)
