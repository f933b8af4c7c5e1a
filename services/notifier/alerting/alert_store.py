"""notifier's SQL for alerts: the stream officers follow, and the deliveries to webhooks."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.notifier.alerting.channels.message import ACKNOWLEDGED
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
class Posted:
    """An alert in its place on the stream; `facts` as JSON on one line."""

    position: int
    path: str
    facts: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Way:
    """Where alerts for a path and roles go: a target, after a delay; `later` ones only while nobody has answered."""

    path: str
    roles: str
    target_id: UUID
    delay_seconds: int
    later: bool


async def insert_alerts(connection: Connection, alerts: Sequence[Alert]) -> None:
    """Add alerts to the stream, with a delivery for each target they go to: units' own and officers'."""
    await connection.execute("select pg_advisory_xact_lock($1)", STREAM_LOCK)
    await _add_to_stream(connection, alerts)
    asked = sorted({(alert.path, ",".join(alert.roles)) for alert in alerts})
    if ways := [*await _ways_to_units(connection, asked), *await _ways_to_officers(connection, asked)]:
        await _deliver(connection, [alert.id for alert in alerts], ways)


async def _add_to_stream(connection: Connection, alerts: Sequence[Alert]) -> None:
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


async def _ways_to_units(connection: Connection, asked: Sequence[tuple[str, str]]) -> list[Way]:
    """Return the targets of the unit that each path ends with, or of the nearest unit above that has any."""
    rows = await connection.fetch(
        """
        select path, roles, target_id, delay_seconds, false as later
        from (
            select a.path, a.roles, t.id as target_id, t.delay_seconds,
                   rank() over (partition by a.path, a.roles order by above.depth desc) as distance
            from unnest($1::text[], $2::text[]) as a (path, roles)
            cross join unnest(string_to_array(trim(both '/' from a.path), '/')) with ordinality as above (unit, depth)
            join target t on t.unit = above.unit and t.removed_at is null
        ) ranked
        where distance = 1
        """,
        [path for path, _ in asked],
        [roles for _, roles in asked],
    )
    return [Way(**dict(row)) for row in rows]


async def _ways_to_officers(connection: Connection, asked: Sequence[tuple[str, str]]) -> list[Way]:
    """Return officers' own targets: of those on duty for the unit, else of all of the unit, each after its delay.

    An alert for roles goes to the unit's officers who have them, on duty or not. Where nobody of the unit can be
    reached, the same is asked of the next unit above. Of a case that has been taken on, only the first step is told:
    the later ones are for alerts that nobody answers.
    """
    rows = await connection.fetch(
        """
        with a as (
            select u.path, u.roles as name, string_to_array(u.roles, ',') as roles,
                   string_to_array(trim(both '/' from u.path), '/') as units
            from unnest($1::text[], $2::text[]) as u (path, roles)
        ),
        called as (
            select a.*, above.depth, s.officer, true as on_duty
            from a cross join unnest(a.units) with ordinality as above (unit, depth)
            -- not now(): that is from before the stream's lock, and a hand-over may have come first
            join shift s on s.unit = above.unit and s.starts_at <= statement_timestamp()
                            and s.ends_at > statement_timestamp()
            where a.roles = '{}'
            union all
            select a.*, above.depth, o.id, false
            from a cross join unnest(a.units) with ordinality as above (unit, depth)
            join officer o on o.unit = above.unit and o.revoked_at is null
            where a.roles = '{}' or o.role = any(a.roles)
        ),
        ranked as (
            select c.path, c.name, t.id as target_id, t.delay_seconds,
                   min(t.delay_seconds) over (partition by c.path, c.name, t.officer) as first_step,
                   rank() over (partition by c.path, c.name order by c.depth desc, c.on_duty desc) as distance
            from called c
            -- an officer who has moved elsewhere since the roster was made does not see the case
            join officer o on o.id = c.officer and o.revoked_at is null and o.role <> 'auditor'
                              and o.unit = any(c.units)
            join target t on t.officer = o.id and t.removed_at is null
        )
        select path, name as roles, target_id, delay_seconds, delay_seconds > first_step as later
        from ranked where distance = 1
        """,
        [path for path, _ in asked],
        [roles for _, roles in asked],
    )
    return [Way(**dict(row)) for row in rows]


async def _deliver(connection: Connection, alert_ids: Sequence[UUID], ways: Sequence[Way]) -> None:
    await connection.execute(
        """
        insert into delivery (id, message_id, target_id, case_id, facts, state, created_at, due_at)
        select gen_random_uuid(), a.id, w.target_id, a.case_id, a.facts, 'pending', now(),
               now() + w.delay_seconds * interval '1 second'
        from alert a join fraud_case f on f.id = a.case_id
        join unnest($2::text[], $3::text[], $4::uuid[], $5::integer[], $6::boolean[])
             as w (path, roles, target_id, delay_seconds, later)
          on w.path = a.path and string_to_array(w.roles, ',') = a.roles
        where a.id = any($1::uuid[]) and (f.status = 'open' or not w.later)
        """,
        list(alert_ids),
        [way.path for way in ways],
        [way.roles for way in ways],
        [way.target_id for way in ways],
        [way.delay_seconds for way in ways],
        [way.later for way in ways],
    )


async def tell_successor(connection: Connection, shift_id: UUID) -> None:
    """Deliver to whoever's shift it is what its unit was told of cases nobody has acknowledged: the newest of each.

    Under the stream's lock, taken after the shift was written: alerts before it are found here, those after it find
    the shift.
    """
    await connection.execute("select pg_advisory_xact_lock($1)", STREAM_LOCK)
    await connection.execute(
        """
        insert into delivery (id, message_id, target_id, case_id, facts, state, created_at, due_at)
        select gen_random_uuid(), told.id, t.id, told.case_id, told.facts, 'pending', now(),
               now() + t.delay_seconds * interval '1 second'
        from (
            select distinct on (a.case_id) a.id, a.case_id, a.facts, s.officer
            from shift s cross join deadline d
            join fraud_case f on f.id = d.case_id and f.status = 'open'
            join alert a on a.case_id = f.id and a.unit = s.unit and a.roles = '{}' and a.facts ->> 'kind' = any($2)
                            and a.created_at >= coalesce(f.transferred_at, f.opened_at)
            where s.id = $1 and d.state = 'running' and d.stage = 'acknowledge'
            order by a.case_id, a.position desc
        ) told join target t on t.officer = told.officer and t.removed_at is null
        on conflict (message_id, target_id) do nothing
        """,
        shift_id,
        list(ACKNOWLEDGED),
    )


async def newest_position(pool: Pool) -> int:
    """Return the position of the newest alert."""
    found: int = await pool.fetchval("select coalesce(max(position), 0) from alert")
    return found


async def alerts_after(pool: Pool, path: str, position: int, most: int) -> list[Posted]:
    """Return a subtree's alerts after a position, in order."""
    rows = await pool.fetch(
        """
        select position, path, facts, created_at from alert
        where position > $2 and starts_with(path, $1) order by position limit $3
        """,
        path,
        position,
        most,
    )
    return [Posted(**dict(row)) for row in rows]
