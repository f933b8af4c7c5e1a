"""notifier's SQL for deliveries on their way: who takes which, how they ended, how their targets fare."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from services.notifier.alerting.channels.limits import AHEAD, Channel, Limits
from services.notifier.alerting.channels.message import ACKNOWLEDGED, ALERT
from shared.postgres import Connection, Pool

FAILURES_CLOSE: Final = 5
"""So many failures in a row, and a target is left alone for a while."""


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that is to be tried now.

    `removed`: its target was, or its officer revoked, while the message was on its way. `probe`: its target had failed
    often; this try shows whether it is back. `owner` is the kind of owner: unit, officer or bank.
    """

    id: UUID
    message_id: UUID
    target_id: UUID
    type: str
    attempts: int
    facts: dict[str, Any]
    created_at: datetime
    channel: Channel
    owner: str
    address: str
    sealed_secret: str | None
    removed: bool
    probe: bool


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a try ended: the delivery's state, why, and (pending) in how many seconds it is due again."""

    delivery_id: UUID
    state: str
    reason: str | None = None
    again_in_seconds: float = 0


@dataclass(frozen=True, slots=True)
class Health:
    """What some tries say of a target: `failed` in a row at the end, whether it `worked` before them.

    `pause_seconds`: it asks to be left alone so long; that is no failure.
    """

    target_id: UUID
    worked: bool
    failed: int
    probe: bool
    pause_seconds: float = 0


async def claim_due(
    pool: Pool, most_targets: int, lease_seconds: float, limits: Mapping[Channel, Limits], rooms: Mapping[UUID, int]
) -> list[Due]:
    """Take deliveries that are due, of so many targets. Whoever takes one has it for the lease; then it is due again.

    A target that is left alone or has used up its pace gives nothing, except to end what a removed one, or one of an
    officer who was revoked, still had.
    One that failed often gives a single delivery, as a probe. `rooms` says how many more of a target are wanted here;
    of any other target, as many as its channel sends together.
    """
    rows = await pool.fetch(
        """
        with recursive waiting (target_id) as (
            -- from one target that has something pending to the next: never over all that is pending
            (select target_id from delivery where state = 'pending' order by target_id limit 1)
            union all
            select (select d.target_id from delivery d
                    where d.state = 'pending' and d.target_id > w.target_id order by d.target_id limit 1)
            from waiting w where w.target_id is not null
        ), ready as (
            select t.id, t.channel, t.address, t.sealed_secret, pace.every,
                   case when t.officer is not null then 'officer' when t.bank is not null then 'bank' else 'unit' end
                       as owner,
                   gone.at is not null as removed,
                   t.failures >= $3::integer and gone.at is null as probe,
                   case when pace.together > 1 then pace.together when t.failures >= $3::integer then 1
                        else coalesce(lane.room, $9::integer) end as take
            from waiting w join target t on t.id = w.target_id
            join unnest($4::text[], $5::float8[], $6::float8[], $7::integer[]) as pace (channel, every, slack, together)
              on pace.channel = t.channel
            left join unnest($8::uuid[], $10::integer[]) as lane (target_id, room) on lane.target_id = t.id
            left join officer o on o.id = t.officer
            cross join lateral (select coalesce(t.removed_at, o.revoked_at) as at) gone
            cross join lateral (
                select d.due_at from delivery d
                where d.target_id = t.id and d.state = 'pending' and d.due_at <= now() order by d.due_at limit 1
            ) oldest
            where coalesce(lane.room, 1) > 0
              and (gone.at is not null
                   or (coalesce(t.closed_until, '-infinity') <= now()
                       and coalesce(t.paced_until, '-infinity') <= now() + pace.slack * interval '1 second'))
            order by oldest.due_at limit $1
            for no key update of t skip locked
        ), picked as (
            select due.id, r.id as target_id from ready r cross join lateral (
                select d.id from delivery d
                where d.target_id = r.id and d.state = 'pending' and d.due_at <= now()
                order by d.due_at limit r.take for update skip locked
            ) due
        ), reserved as (
            update target t
            set paced_until = case when r.every > 0
                    then greatest(t.paced_until, now()) + r.every * interval '1 second' else t.paced_until end,
                closed_until = case when r.probe then now() + $2::float8 * interval '1 second' else t.closed_until end
            from ready r where t.id = r.id and not r.removed and (r.every > 0 or r.probe)
        ), taken as (
            update delivery d set attempts = d.attempts + 1, due_at = now() + $2::float8 * interval '1 second'
            from picked p where d.id = p.id
            returning d.id, d.message_id, d.target_id, d.type, d.attempts, d.facts, d.created_at
        )
        select t.*, r.channel, r.owner, r.address, r.sealed_secret, r.removed, r.probe
        from taken t join ready r on r.id = t.target_id
        order by t.created_at, t.id
        """,
        most_targets,
        lease_seconds,
        FAILURES_CLOSE,
        [channel.value for channel in limits],
        [one.every for one in limits.values()],
        [one.every * (one.burst - 1) for one in limits.values()],
        [one.together for one in limits.values()],
        list(rooms),
        AHEAD,
        list(rooms.values()),
    )
    return [Due(**{**dict(row), "facts": json.loads(row["facts"]), "channel": Channel(row["channel"])}) for row in rows]


async def settle(
    pool: Pool, settlements: Sequence[Settlement], health: Sequence[Health], first_rest: float, longest_rest: float
) -> set[UUID]:
    """Write how tries ended, and how their targets fare. Return which of the targets are left alone now.

    The rest is `first_rest` seconds at the fifth failure in a row and twice as long after each probe that fails.
    """
    ordered = sorted(settlements, key=lambda one: one.delivery_id)
    rows = await pool.fetch(
        """
        with settled as (
            update delivery d
            set state = u.state, last_reason = u.reason, due_at = now() + u.again * interval '1 second',
                settled_at = case when u.state <> 'pending' then now() end
            from unnest($1::uuid[], $2::text[], $3::text[], $4::float8[]) as u (id, state, reason, again)
            where d.id = u.id and d.state = 'pending'
        ), judged as (
            select t.id, h.probe, h.worked, h.failed, h.pause, t.failures as before,
                   case when h.worked then least(h.failed, $10::integer)
                        when t.failures < $10::integer then least(t.failures + h.failed, $10::integer)
                        when h.probe then least(t.failures + h.failed, 1000)
                        else t.failures end as failures
            from target t
            join unnest($5::uuid[], $6::boolean[], $7::integer[], $8::boolean[], $9::float8[])
                as h (target_id, worked, failed, probe, pause) on h.target_id = t.id
            where t.failures > 0 or t.closed_until is not null or h.failed > 0 or h.pause > 0
            order by t.id for no key update of t
        )
        update target t
        set failures = j.failures,
            closed_until = case
                when j.pause > 0 then now() + j.pause * interval '1 second'
                when j.failures >= $10::integer and j.failed > 0 and (j.before < $10::integer or j.probe)
                    then now() + interval '1 second'
                         * least($11::float8 * 2 ^ least(j.failures - $10::integer, 20), $12::float8)
                when j.worked and j.failed = 0 then null
                else t.closed_until end
        from judged j where t.id = j.id
        returning t.id, t.closed_until > now() as closed
        """,
        [one.delivery_id for one in ordered],
        [one.state for one in ordered],
        [one.reason for one in ordered],
        [one.again_in_seconds for one in ordered],
        [one.target_id for one in health],
        [one.worked for one in health],
        [one.failed for one in health],
        [one.probe for one in health],
        [one.pause_seconds for one in health],
        FAILURES_CLOSE,
        first_rest,
        longest_rest,
    )
    return {row["id"] for row in rows if row["closed"]}


async def give_back(pool: Pool, delivery_ids: Sequence[UUID]) -> None:
    """Make deliveries that were taken and not tried due again, as if they had not been taken."""
    await pool.execute(
        """
        update delivery set due_at = now(), attempts = greatest(attempts - 1, 0)
        where id in (
            select id from delivery where id = any($1::uuid[]) and state = 'pending' order by id for update
        )
        """,
        list(delivery_ids),
    )


async def hasten(pool: Pool, target_ids: Sequence[UUID]) -> None:
    """Make what targets failed to take due at once: they are back."""
    await pool.execute(
        """
        update delivery set due_at = now()
        where id in (
            select id from delivery
            where target_id = any($1::uuid[]) and state = 'pending' and attempts > 0 and due_at > now()
            order by id for update skip locked
        )
        """,
        list(target_ids),
    )


async def moot(connection: Connection, case_ids: Sequence[UUID]) -> int:
    """End what still asks officers at their own targets to take cases on: somebody has. Return how many.

    Units' and banks' targets are told all the same; so is everybody of what an acknowledgement does not answer.
    """
    rows = await connection.fetch(
        """
        update delivery set state = 'moot', settled_at = now()
        where id in (
            select d.id from delivery d join target t on t.id = d.target_id and t.officer is not null
            where d.case_id = any($1::uuid[]) and d.state = 'pending' and d.type = $2
              and d.facts ->> 'kind' = any($3::text[])
            order by d.id for update of d  -- the same order as settling has, so that neither waits for the other's rows
        )
        returning id
        """,
        list(case_ids),
        ALERT,
        list(ACKNOWLEDGED),
    )
    return len(rows)


async def waiting_deliveries(pool: Pool) -> int:
    """Count the deliveries that are not done."""
    found: int = await pool.fetchval("select count(*) from delivery where state = 'pending'")
    return found


async def resting_targets(pool: Pool) -> dict[str, int]:
    """Count the targets that failed so often that they are left alone, by channel."""
    rows = await pool.fetch(
        "select channel, count(*) as number from target where failures >= $1 and removed_at is null group by channel",
        FAILURES_CLOSE,
    )
    return {row["channel"]: row["number"] for row in rows}
