"""notifier's SQL for duty: shifts, who has one, who may. One query a function, sets in, sets out."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.notifier.duty.duty import Shift
from shared.outbox import new_id
from shared.postgres import Connection, Pool, RawConnection, Row


async def add_shifts(connection: RawConnection | Connection, shifts: Sequence[Shift]) -> int:
    """Add shifts; one that is there already stays as it is, handed over or not. Return how many are new.

    Raises `asyncpg.ExclusionViolationError` where an officer would be on duty twice at a time.
    """
    rows = await connection.fetch(
        """
        insert into shift (id, unit, officer, starts_at, ends_at, planned_until)
        select u.id, u.unit, o.id, u.starts_at, u.ends_at, u.ends_at
        from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])
             as u (id, unit, officer, starts_at, ends_at)
        join officer o on o.name = u.officer
        on conflict (unit, officer, starts_at) do nothing returning id
        """,
        [new_id() for _ in shifts],
        *_columns(shifts),
    )
    return len(rows)


async def obstacles(connection: RawConnection | Connection, shifts: Sequence[Shift]) -> list[tuple[int, str]]:
    """Return which of these shifts (by index) cannot be, and why: no such unit, nobody to do it, on duty elsewhere."""
    rows = await connection.fetch(
        """
        select u.place - 1 as index, case
            when n.code is null then 'there is no unit ' || u.unit
            when o.id is null or not starts_with(n.path, home.path)
                then u.officer || ' is no officer of ' || u.unit || ' or of a unit above it'
            when o.revoked_at is not null then u.officer || ' is let in no longer'
            when o.role = 'auditor' then u.officer || ' is an auditor, who does not decide'
            else u.officer || ' has another shift then'
        end as why
        from unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[]) with ordinality
             as u (unit, officer, starts_at, ends_at, place)
        left join unit n on n.code = u.unit
        left join officer o on o.name = u.officer
        left join unit home on home.code = o.unit
        where n.code is null or o.id is null or o.revoked_at is not null or o.role = 'auditor'
           or not starts_with(n.path, home.path)
           or exists (
               select from shift s
               where s.officer = o.id and tstzrange(s.starts_at, s.ends_at) && tstzrange(u.starts_at, u.ends_at)
                 and (s.unit, s.starts_at, s.planned_until) <> (u.unit, u.starts_at, u.ends_at)
           )
        order by u.place
        """,
        *_columns(shifts),
    )
    return [(row["index"], row["why"]) for row in rows]


async def remove_shifts(connection: RawConnection, unit: str, officer: str | None, since: datetime) -> int:
    """Take shifts of a unit that have not begun by `since` off the roster, an officer's or everybody's."""
    rows = await connection.fetch(
        """
        delete from shift s using officer o
        where o.id = s.officer and s.unit = $1 and s.starts_at >= $3 and ($2::text is null or o.name = $2)
        returning s.id
        """,
        unit,
        officer,
        since,
    )
    return len(rows)


async def units_on_roster(connection: RawConnection | Pool, path: str, since: datetime) -> list[Row]:
    """Return a subtree's units, in the tree's order, that have officers who decide, or shifts that end later."""
    return await connection.fetch(
        """
        select u.code, u.name from unit u
        where starts_with(u.path, $1)
          and (exists (select from officer o where o.unit = u.code and o.revoked_at is null and o.role <> 'auditor')
               or exists (select from shift s where s.unit = u.code and s.ends_at > $2))
        order by u.path
        """,
        path,
        since,
    )


async def shifts_between(
    connection: RawConnection | Pool, units: Sequence[str], since: datetime, until: datetime
) -> dict[str, list[Shift]]:
    """Return the shifts of units that touch a time, by unit, in order.

    Not those of officers who since then were let in no longer, decide no longer, or do not see the unit any more.
    """
    rows = await connection.fetch(
        """
        select s.unit, o.name as officer, s.starts_at, s.ends_at
        from shift s join unit n on n.code = s.unit
        join officer o on o.id = s.officer and o.revoked_at is null and o.role <> 'auditor'
        join unit home on home.code = o.unit and starts_with(n.path, home.path)
        where s.unit = any($1::text[]) and s.ends_at > $2 and s.starts_at < $3
        order by s.starts_at, o.name
        """,
        list(units),
        since,
        until,
    )
    found: dict[str, list[Shift]] = {unit: [] for unit in units}
    for row in rows:
        found[row["unit"]].append(Shift(**dict(row)))
    return found


async def end_running(connection: Connection, officer: UUID, now: datetime) -> Row | None:
    """End an officer's running shift now. Return it as it was to be, or nothing where none runs or it is handed over.

    Whoever waited for the lock looks again, since the shift may have been handed over a moment later than its `now`.
    """
    await connection.execute(
        "select from shift where officer = $1 and starts_at < $2 and ends_at > $2 for update", officer, now
    )
    return await connection.fetchrow(
        """
        update shift s set ends_at = $2
        from (select id, ends_at from shift where officer = $1 and starts_at < $2 and ends_at > $2) old
        where s.id = old.id and not exists (select from shift n where n.handed_over_from = s.id)
        returning s.id, s.unit, old.ends_at as until
        """,
        officer,
        now,
    )


async def begin_instead(connection: Connection, shift: Row, successor: str, now: datetime) -> UUID | None:
    """Begin a shift in place of one that was ended. Return its id, or nothing where nobody of the unit has this name.

    Raises `asyncpg.ExclusionViolationError` where the successor is on duty in that time already.
    """
    found: UUID | None = await connection.fetchval(
        """
        insert into shift (id, unit, officer, starts_at, ends_at, planned_until, handed_over_from)
        select $1, $2, o.id, $3, $4, $4, $5 from officer o
        where o.name = $6 and o.unit = $2 and o.revoked_at is null and o.role <> 'auditor'
        returning id
        """,
        new_id(),
        shift["unit"],
        now,
        shift["until"],
        shift["id"],
        successor,
    )
    return found


async def handed_over(connection: Connection, officer: UUID, successor: str, now: datetime) -> Row | None:
    """Return the running shift that an officer has handed over to a successor."""
    return await connection.fetchrow(
        """
        select s.id, s.unit, o.name as officer, s.starts_at, s.ends_at
        from shift s join shift before on before.id = s.handed_over_from and before.officer = $1
        join officer o on o.id = s.officer and o.name = $2
        where s.ends_at > $3 order by s.starts_at desc limit 1
        """,
        officer,
        successor,
        now,
    )


async def unattended(pool: Pool) -> int:
    """Count the units that had or have a roster within a week and nobody on duty now."""
    found: int = await pool.fetchval(
        """
        select count(*) from (
            select s.unit from shift s join officer o on o.id = s.officer and o.revoked_at is null
            where s.ends_at > now() - interval '7 days' and s.starts_at < now() + interval '7 days'
            group by s.unit having not bool_or(s.starts_at <= now() and s.ends_at > now())
        ) empty
        """
    )
    return found


def _columns(shifts: Sequence[Shift]) -> tuple[list[str], list[str], list[datetime], list[datetime]]:
    return (
        [shift.unit for shift in shifts],
        [shift.officer for shift in shifts],
        [shift.starts_at for shift in shifts],
        [shift.ends_at for shift in shifts],
    )
