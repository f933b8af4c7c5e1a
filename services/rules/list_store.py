"""rules' SQL for the analysts' lists: entries that force or forbid an alert, each with reason, author and expiry."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from services.rules.conditions import ConditionKind, Subject
from services.rules.locks import lock_payees
from shared.postgres import AnyConnection, Row

ENTRIES_AT_ONCE: Final = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """What an analyst enters: whom it is about (a token), what it does and why, from when until when."""

    id: UUID
    subject: Subject
    token: str
    kind: ConditionKind
    scam_type: str | None
    reason: str
    author: str
    starts_at: datetime
    expires_at: datetime | None = None


async def add_entries(connection: AnyConnection, entries: Sequence[Entry]) -> int:
    """Add entries; return how many were not there yet, by their ids. Takes the locks of the tokens."""
    await lock_payees(connection, [entry.token for entry in entries], exclusive=True)
    added = await connection.fetch(
        """
        insert into list_entry (id, subject, token, condition, scam_type, reason, author, source, starts_at,
                                expires_at)
        select u.id, u.subject, u.token, u.condition, u.scam_type, u.reason, u.author, 'analyst', u.starts_at,
               u.expires_at
        from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                    $8::timestamptz[], $9::timestamptz[])
             as u (id, subject, token, condition, scam_type, reason, author, starts_at, expires_at)
        order by u.id
        on conflict (id) do nothing returning id
        """,
        [entry.id for entry in entries],
        [entry.subject.value for entry in entries],
        [entry.token for entry in entries],
        [entry.kind.value for entry in entries],
        [entry.scam_type for entry in entries],
        [entry.reason for entry in entries],
        [entry.author for entry in entries],
        [entry.starts_at for entry in entries],
        [entry.expires_at for entry in entries],
    )
    return len(added)


async def newly_blocked(connection: AnyConnection, at: datetime) -> list[str]:
    """Return some payees that blocks came into force on by `at` since this was last asked, by anyone.

    They count as asked for when the caller's transaction commits. Ask again until there are none.
    """
    rows = await connection.fetch(
        """
        with begun as (
            select id from list_entry where not noticed and starts_at <= $1
            order by starts_at limit $2 for update skip locked
        ),
        noticed as (
            update list_entry set noticed = true where id in (select id from begun)
            returning subject, token, condition, ended_at, expires_at
        )
        select distinct token from noticed
        where subject = 'payee' and condition <> 'override' and ended_at is null
              and coalesce(expires_at > $1, true)
        order by token
        """,
        at,
        ENTRIES_AT_ONCE,
    )
    return [row["token"] for row in rows]


async def end_entries(
    connection: AnyConnection, by: str, at: datetime, *, ids: Sequence[UUID] = (), token: str | None = None
) -> int:
    """End entries by their ids, and all of a token, whoever made them; return how many were in force."""
    ended = await connection.fetch(
        """
        update list_entry set ended_at = $1, ended_by = $2
        where ended_at is null and (id = any($3::uuid[]) or token = $4) returning id
        """,
        at,
        by,
        list(ids),
        token,
    )
    return len(ended)


async def entries(connection: AnyConnection, active_at: datetime | None, limit: int) -> list[Row]:
    """Return entries for a table, the latest first: all that ever were, or those in force at a moment."""
    return await connection.fetch(
        """
        select id, subject, token, condition, scam_type, reason, author, source, case_id, starts_at, expires_at,
               ended_at, ended_by, created_at
        from list_entry
        where $1::timestamptz is null
              or (starts_at <= $1 and coalesce(expires_at > $1, true) and coalesce(ended_at > $1, true))
        order by created_at desc, id desc limit $2
        """,
        active_at,
        limit,
    )
