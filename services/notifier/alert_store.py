"""notifier's SQL for alerts: the stream officers follow, and the deliveries to webhooks."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.postgres import Connection, Pool

STREAM_LOCK = 7_261_001
"""Advisory lock: positions are handed out and committed by one transaction at a time."""


@dataclass(frozen=True, slots=True)
class Alert:
    """What a unit is told of a report, or of a case as a whole: masked facts only.

    `roles` narrows whom of the unit it is for; empty means whoever is on duty.
    """

    id: UUID
    case_id: UUID
    report_id: UUID | None
    unit: str
    path: str
    facts: dict[str, Any]
    created_at: datetime
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that is to be tried now. `removed`: its webhook was, while the alert was on its way to it."""

    alert_id: UUID
    webhook_id: UUID
    attempts: int
    url: str
    sealed_secret: str
    facts: dict[str, Any]
    created_at: datetime
    removed: bool


async def insert_alerts(connection: Connection, alerts: Sequence[Alert]) -> None:
    """Add alerts to the stream, and a delivery for each webhook of the unit or the nearest unit above with one."""
    await connection.execute("select pg_advisory_xact_lock($1)", STREAM_LOCK)
    await connection.execute(
        """
        insert into alert (id, case_id, report_id, unit, path, facts, created_at, roles)
        select u.id, u.case_id, u.report_id, u.unit, u.path, u.facts, u.created_at, string_to_array(u.roles, ',')
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::jsonb[], $7::timestamptz[],
                    $8::text[]) as u (id, case_id, report_id, unit, path, facts, created_at, roles)
        """,
        [alert.id for alert in alerts],
        [alert.case_id for alert in alerts],
        [alert.report_id for alert in alerts],
        [alert.unit for alert in alerts],
        [alert.path for alert in alerts],
        [json.dumps(alert.facts, ensure_ascii=False) for alert in alerts],
        [alert.created_at for alert in alerts],
        [",".join(alert.roles) for alert in alerts],
    )
    await connection.execute(
        """
        insert into delivery (id, message_id, target_id, case_id, facts, state, created_at, due_at)
        select gen_random_uuid(), ranked.alert_id, ranked.target_id, ranked.case_id, ranked.facts, 'pending', now(),
               now()
        from (
            select a.id as alert_id, a.case_id, a.facts, t.id as target_id,
                   rank() over (partition by a.id order by length(u.path) desc) as distance
            from unnest($1::uuid[], $2::text[], $3::uuid[], $4::jsonb[]) as a (id, path, case_id, facts)
            join unit u on starts_with(a.path, u.path)
            join target t on t.unit = u.code and t.removed_at is null
        ) ranked
        where ranked.distance = 1
        """,
        [alert.id for alert in alerts],
        [alert.path for alert in alerts],
        [alert.case_id for alert in alerts],
        [json.dumps(alert.facts, ensure_ascii=False) for alert in alerts],
    )


async def newest_position(pool: Pool) -> int:
    """Return the position of the newest alert."""
    found: int = await pool.fetchval("select coalesce(max(position), 0) from alert")
    return found


async def alerts_after(pool: Pool, path: str, position: int, most: int) -> list[tuple[int, dict[str, Any]]]:
    """Return a subtree's alerts after a position, in order."""
    rows = await pool.fetch(
        """
        select position, facts from alert where position > $2 and starts_with(path, $1) order by position limit $3
        """,
        path,
        position,
        most,
    )
    return [(row["position"], json.loads(row["facts"])) for row in rows]


async def claim_due(pool: Pool, most: int, lease_seconds: float) -> list[Due]:
    """Take deliveries that are due. Whoever takes one has it for the lease; then it is due again."""
    rows = await pool.fetch(
        """
        with taken as (
            update delivery set attempts = attempts + 1, due_at = now() + $2::float8 * interval '1 second'
            where id in (
                select id from delivery where state = 'pending' and due_at <= now()
                order by due_at limit $1 for update skip locked
            )
            returning message_id, target_id, attempts, facts, created_at
        )
        select t.message_id as alert_id, t.target_id as webhook_id, t.attempts, w.address as url, w.sealed_secret,
               t.facts, t.created_at, w.removed_at is not null as removed
        from taken t join target w on w.id = t.target_id
        """,
        most,
        lease_seconds,
    )
    return [Due(**{**dict(row), "facts": json.loads(row["facts"])}) for row in rows]


async def settle(pool: Pool, due: Due, state: str, reason: str | None, again_in_seconds: float) -> None:
    """Write how a try ended: delivered, dead, or pending again after a while."""
    await pool.execute(
        """
        update delivery
        set state = $3, last_reason = $4, due_at = now() + $5::float8 * interval '1 second',
            settled_at = case when $3 <> 'pending' then now() end
        where message_id = $1 and target_id = $2 and state = 'pending'
        """,
        due.alert_id,
        due.webhook_id,
        state,
        reason,
        again_in_seconds,
    )


async def waiting_deliveries(pool: Pool) -> int:
    """Count the deliveries that are not done."""
    found: int = await pool.fetchval("select count(*) from delivery where state = 'pending'")
    return found
