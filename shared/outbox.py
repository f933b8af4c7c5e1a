"""The outbox: what a transaction promises to say, and the relay that says it.

A handler writes its rows in its own transaction with `keep` and returns them; the caller hands them to
the relay once the commit is through. The relay publishes at once, and its sweep repeats what is overdue:
after a crash, while the broker is away, and for as long as an awaited answer is missing.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, cast
from uuid import UUID

import structlog
import uuid_utils.compat

from shared.events import Event
from shared.postgres import TRANSIENT, Connection, Pool
from shared.tasks import forever

log = structlog.get_logger()

UNSENT_AFTER_SECONDS: Final = 5.0
"""A row this old that awaits no answer was not published, or its deletion was lost."""

REPEAT_AFTER_SECONDS: Final = 15.0
"""An answer usually takes milliseconds; after this long the question is put again."""

LONGEST_REPEAT_SECONDS: Final = 300.0
SWEEP_EVERY_SECONDS: Final = 1.0
FORGET_EVERY_SECONDS: Final = 0.25
PAGE: Final = 500
MOST_HELD_IN_MEMORY: Final = 20_000
BATCHES_IN_FLIGHT: Final = 8

Send = Callable[[Sequence["Outgoing"]], Awaitable[list[UUID]]]
"""Publishes rows and returns the ids that the broker acknowledged."""


def new_id() -> UUID:
    """Mint a UUIDv7: unique anywhere, and ordered by time."""
    return uuid_utils.compat.uuid7()


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One event to publish. `id` is the CloudEvents id and never changes, however often it is sent.

    `reason` is for dead letters: where the record lay and why it was parked.
    """

    id: UUID
    topic: str
    key: str
    type: str
    payload: bytes
    traceparent: str = ""
    awaits_answer: bool = False
    reason: str = ""


def outgoing(event: Event, event_id: UUID, *, traceparent: str = "", awaits_answer: bool = False) -> Outgoing:
    """Turn an event into the row that will be published."""
    return Outgoing(
        id=event_id,
        topic=event.topic,
        key=event.key(),
        type=event.type,
        payload=event.model_dump_json().encode(),
        traceparent=traceparent,
        awaits_answer=awaits_answer,
    )


async def keep(connection: Connection, rows: Sequence[Outgoing]) -> None:
    """Write rows in the caller's transaction. A row that is there already stays as it is."""
    if not rows:
        return
    await connection.execute(
        """
        insert into outbox (id, topic, key, type, payload, traceparent, awaits_answer, reason, due_at)
        select u.*, now() + case when u.awaits_answer then $9::float8 else $10::float8 end * interval '1 second'
        from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::boolean[], $8::text[])
             as u (id, topic, key, type, payload, traceparent, awaits_answer, reason)
        on conflict (id) do nothing
        """,
        [row.id for row in rows],
        [row.topic for row in rows],
        [row.key for row in rows],
        [row.type for row in rows],
        [row.payload for row in rows],
        [row.traceparent for row in rows],
        [row.awaits_answer for row in rows],
        [row.reason for row in rows],
        REPEAT_AFTER_SECONDS,
        UNSENT_AFTER_SECONDS,
    )


async def answered(connection: Connection, ids: Sequence[UUID]) -> None:
    """End the obligations whose answers are back."""
    if ids:
        await connection.execute("delete from outbox where id = any($1::uuid[])", list(ids))


async def unanswered(pool: Pool, ids: Sequence[UUID]) -> list[Outgoing]:
    """Return the rows among `ids` that are still in the outbox, to be published again at once."""
    rows = await pool.fetch(
        """
        select id, topic, key, type, payload, traceparent, awaits_answer, reason
        from outbox where id = any($1::uuid[])
        """,
        list(ids),
    )
    return [Outgoing(**dict(row)) for row in rows]


async def oldest_unsent_seconds(pool: Pool) -> float:
    """How long the oldest row that awaits no answer has been waiting for the broker."""
    value = await pool.fetchval(
        "select coalesce(extract(epoch from now() - min(created_at)), 0)::float8 from outbox where not awaits_answer"
    )
    return cast("float", value)


class Relay:
    """Publishes what the outbox holds: fresh rows at once, overdue rows by a sweep."""

    def __init__(self, pool: Pool, send: Send) -> None:
        self._pool = pool
        self._send = send
        self._fresh: deque[Outgoing] = deque()
        self._wake = asyncio.Event()
        self._said: list[UUID] = []
        self._slots = asyncio.Semaphore(BATCHES_IN_FLIGHT)
        self._in_flight: set[asyncio.Task[set[UUID]]] = set()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to publish and to sweep."""
        steps = (self._publish_fresh, self._forget_said, self._sweep_overdue)
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
            await self._forget()

    def publish_soon(self, rows: Iterable[Outgoing]) -> None:
        """Publish rows that are committed. Beyond what memory should hold, the sweep will find them."""
        room = MOST_HELD_IN_MEMORY - len(self._fresh)
        self._fresh.extend(row for row, _ in zip(rows, range(room), strict=False))
        self._wake.set()

    async def _publish_fresh(self) -> None:
        await self._wake.wait()
        self._wake.clear()
        while self._fresh:
            await self._slots.acquire()
            page = [self._fresh.popleft() for _ in range(min(PAGE, len(self._fresh)))]
            task = asyncio.create_task(self._publish(page))
            self._in_flight.add(task)
            task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[set[UUID]]) -> None:
        self._in_flight.discard(task)
        self._slots.release()
        if not task.cancelled() and task.exception():
            log.error("publishing_failed", exc_info=task.exception())

    async def _publish(self, page: Sequence[Outgoing]) -> set[UUID]:
        sent = set(await self._send(page))
        self._said.extend(row.id for row in page if row.id in sent and not row.awaits_answer)
        return sent

    async def _forget_said(self) -> None:
        await asyncio.sleep(FORGET_EVERY_SECONDS)
        if self._said:
            await self._forget()

    async def _forget(self) -> None:
        said = self._said[:]
        await self._pool.execute("delete from outbox where id = any($1::uuid[])", said)
        del self._said[: len(said)]

    async def _sweep_overdue(self) -> None:
        await asyncio.sleep(SWEEP_EVERY_SECONDS)
        while await self._sweep_page():
            pass

    async def _sweep_page(self) -> bool:
        """Publish one page of overdue rows; return whether there may be more that can be published now."""
        rows = await self._pool.fetch(
            """
            update outbox set due_at = now() + $2::float8 * interval '1 second'
            where id in (select id from outbox where due_at <= now() order by due_at limit $1 for update skip locked)
            returning id, topic, key, type, payload, traceparent, awaits_answer, reason
            """,
            PAGE,
            UNSENT_AFTER_SECONDS,
        )
        if not rows:
            return False
        page = [Outgoing(**dict(row)) for row in rows]
        sent = await self._publish(page)
        await self._postpone([row.id for row in page if row.awaits_answer and row.id in sent])
        return len(rows) == PAGE and bool(sent)

    async def _postpone(self, ids: Sequence[UUID]) -> None:
        if not ids:
            return
        await self._pool.execute(
            """
            update outbox set attempts = attempts + 1,
                   due_at = now() + least($2::float8 * 2 ^ least(attempts, 10), $3::float8) * interval '1 second'
            where id = any($1::uuid[])
            """,
            list(ids),
            REPEAT_AFTER_SECONDS,
            LONGEST_REPEAT_SECONDS,
        )
