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


async def insert_alerts(connection: Connection, alerts: Sequence[Alert]) -> None:
    """Add alerts to the stream, with a delivery for each target they go to: units' own and officers'."""
    await connection.execute("select pg_advisory_xact_lock($1)", STREAM_LOCK)
    await _add_to_stream(connection, alerts)
    await _deliver_to_units(connection, alerts)
    await _deliver_to_officers(connection, alerts)


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


async def _deliver_to_units(connection: Connection, alerts: Sequence[Alert]) -> None:
    """Deliver to the targets of the unit, or of the nearest unit above that has any."""
    await connection.execute(
        """
        insert into delivery (id, message_id, target_id, case_id, facts, state, created_at, due_at)
        select gen_random_uuid(), ranked.alert_id, ranked.target_id, ranked.case_id, ranked.facts, 'pending', now(),
               now() + ranked.delay_seconds * interval '1 second'
        from (
            select a.id as alert_id, a.case_id, a.facts, t.id as target_id, t.delay_seconds,
                   rank() over (partition by a.id order by above.depth desc) as distance
            from unnest($1::uuid[], $2::uuid[], $3::jsonb[], $4::text[]) as a (id, case_id, facts, path)
            cross join unnest(string_to_array(trim(both '/' from a.path), '/')) with ordinality as above (unit, depth)
            join target t on t.unit = above.unit and t.removed_at is null
        ) ranked
        where ranked.distance = 1
        """,
        [alert.id for alert in alerts],
        [alert.case_id for alert in alerts],
        [json.dumps(alert.facts, ensure_ascii=False) for alert in alerts],
        [alert.path for alert in alerts],
    )


async def _deliver_to_officers(connection: Connection, alerts: Sequence[Alert]) -> None:
    """Deliver to officers' own targets, each after its delay: to those on duty for the unit, else to all of the unit.

    An alert for roles goes to the unit's officers who have them, on duty or not. Where nobody of the unit can be
    reached, the same is asked of the next unit above. Of a case that has been taken on, only the first step is told:
    the later ones are for alerts that nobody answers.
    """
    await connection.execute(
        """
        with a as (
            select u.id, u.case_id, u.facts, string_to_array(u.roles, ',') as roles,
                   string_to_array(trim(both '/' from u.path), '/') as units
            from unnest($1::uuid[], $2::uuid[], $3::jsonb[], $4::text[], $5::text[])
                 as u (id, case_id, facts, path, roles)
        ),
        called as (
            select a.id, above.depth, s.officer, true as on_duty
            from a cross join unnest(a.units) with ordinality as above (unit, depth)
            -- not now(): that is from before the stream's lock, and a hand-over may have come first
            join shift s on s.unit = above.unit and s.starts_at <= statement_timestamp()
                            and s.ends_at > statement_timestamp()
            where a.roles = '{}'
            union all
            select a.id, above.depth, o.id, false
            from a cross join unnest(a.units) with ordinality as above (unit, depth)
            join officer o on o.unit = above.unit and o.revoked_at is null
            where a.roles = '{}' or o.role = any(a.roles)
        ),
        ranked as (
            select a.id, a.case_id, a.facts, t.id as target_id, t.delay_seconds,
                   min(t.delay_seconds) over (partition by a.id, t.officer) as first_step,
                   rank() over (partition by a.id order by c.depth desc, c.on_duty desc) as distance
            from called c join a on a.id = c.id
            -- an officer who has moved elsewhere since the roster was made does not see the case
            join officer o on o.id = c.officer and o.revoked_at is null and o.role <> 'auditor'
                              and o.unit = any(a.units)
            join target t on t.officer = o.id and t.removed_at is null
        )
        insert into delivery (id, message_id, target_id, case_id, facts, state, created_at, due_at)
        select gen_random_uuid(), r.id, r.target_id, r.case_id, r.facts, 'pending', now(),
               now() + r.delay_seconds * interval '1 second'
        from ranked r join fraud_case f on f.id = r.case_id
        where r.distance = 1 and (f.status = 'open' or r.delay_seconds = r.first_step)
        """,
        [alert.id for alert in alerts],
        [alert.case_id for alert in alerts],
        [json.dumps(alert.facts, ensure_ascii=False) for alert in alerts],
        [alert.path for alert in alerts],
        [",".join(alert.roles) for alert in alerts],
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
