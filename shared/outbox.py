"""The outbox: what a transaction promises to say.

A handler writes its rows in its own transaction with `keep` and returns them; the caller hands them to
the relay (`shared.relay`) once the commit is through.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast
from uuid import UUID

import uuid_utils.compat

from shared.events import Event
from shared.postgres import Connection, Pool, Row

UNSENT_AFTER_SECONDS: Final = 5.0
"""A row this old that awaits no answer was not published, or its deletion was lost."""

REPEAT_AFTER_SECONDS: Final = 15.0
"""An answer usually takes milliseconds; after this long the question is put again."""

LONGEST_REPEAT_SECONDS: Final = 300.0


def new_id() -> UUID:
    """Mint a UUIDv7: unique anywhere, and ordered by time."""
    return uuid_utils.compat.uuid7()


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One event to publish. `id` is the CloudEvents id and never changes, however often it is sent.

    `reason` is for dead letters: where the record lay and why it was parked. `kept` says whether the row lies in
    the outbox. One that does not is an answer that is given again whenever the question is: it is published once.
    """

    id: UUID
    topic: str
    key: str
    type: str
    payload: bytes
    traceparent: str = ""
    awaits_answer: bool = False
    reason: str = ""
    kept: bool = True


def outgoing(
    event: Event, event_id: UUID, *, traceparent: str = "", awaits_answer: bool = False, kept: bool = True
) -> Outgoing:
    """Turn an event into the row that will be published."""
    return Outgoing(
        id=event_id,
        topic=event.topic,
        key=event.key(),
        type=event.type,
        payload=event.model_dump_json().encode(),
        traceparent=traceparent,
        awaits_answer=awaits_answer,
        kept=kept,
    )


async def keep(connection: Connection, rows: Sequence[Outgoing]) -> None:
    """Write the rows that are to be kept in the caller's transaction. A row that is there already stays as it is."""
    rows = [row for row in rows if row.kept]
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
    """How long the oldest row that the broker does not have has been waiting for it."""
    value = await pool.fetchval(
        """
        select coalesce(extract(epoch from now() - min(created_at)), 0)::float8
        from outbox where unsent or not awaits_answer
        """
    )
    return cast("float", value)


async def claim_unsent(pool: Pool, most: int) -> list[Outgoing]:
    """Take the oldest overdue rows that the broker does not have, or whose deletion was lost.

    They are not due again for as long as a row that was sent may take; what cannot be sent is marked so.
    """
    rows = await pool.fetch(
        """
        update outbox
        set unsent = false,
            due_at = now() + case when awaits_answer then $2::float8 else $3::float8 end * interval '1 second'
        where id in (select id from outbox where due_at <= now() and (unsent or not awaits_answer)
                     order by due_at limit $1 for update skip locked)
        returning id, topic, key, type, payload, traceparent, awaits_answer, reason
        """,
        most,
        REPEAT_AFTER_SECONDS,
        UNSENT_AFTER_SECONDS,
    )
    return _in_order(rows)


async def claim_repeats(pool: Pool, most: int) -> list[Outgoing]:
    """Take the rows that have been due the longest for a repetition, since their answers are missing."""
    rows = await pool.fetch(
        """
        update outbox
        set attempts = attempts + 1,
            due_at = now() + least($2::float8 * 2 ^ least(attempts, 10), $3::float8) * interval '1 second'
        where id in (select id from outbox where due_at <= now() and awaits_answer and not unsent
                     order by due_at limit $1 for update skip locked)
        returning id, topic, key, type, payload, traceparent, awaits_answer, reason
        """,
        most,
        REPEAT_AFTER_SECONDS,
        LONGEST_REPEAT_SECONDS,
    )
    return _in_order(rows)


async def forget(pool: Pool, ids: Sequence[UUID]) -> None:
    """Delete rows that are done: published, and nobody has to answer."""
    await pool.execute("delete from outbox where id = any($1::uuid[])", list(ids))


async def mark_unsent(pool: Pool, ids: Sequence[UUID]) -> None:
    """Note that the broker does not have these rows, so that they come before repetitions, and soon."""
    await pool.execute(
        """
        update outbox
        set unsent = true, attempts = greatest(attempts - 1, 0), due_at = now() + $2::float8 * interval '1 second'
        where id = any($1::uuid[])
        """,
        list(ids),
        UNSENT_AFTER_SECONDS,
    )


def _in_order(rows: Sequence[Row]) -> list[Outgoing]:
    """Return rows oldest first; their ids are made in the order of time."""
    return [Outgoing(**dict(row)) for row in sorted(rows, key=lambda row: cast("UUID", row["id"]))]
