"""Duty: rosters put up, shifts handed over, who is on. One function a use case, one transaction each."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from services.notifier import people_store
from services.notifier.alerting import alert_store
from services.notifier.duty import duty, duty_store
from services.notifier.duty.duty import Shift
from services.notifier.duty.duty_requests import DutyView, GapView, HandedOver, HandOver, ShiftView, UnitDuty
from services.notifier.office import Office
from services.notifier.people_store import Officer
from shared.errors import FieldProblem, conflict, invalid, not_found
from shared.postgres import Pool, RawConnection

LOOK_AHEAD: Final = timedelta(days=7)


async def put_up(connection: RawConnection, shifts: Sequence[Shift], place: str = "line") -> int:
    """Put shifts on the roster, all or none; those that are there already stay. Return how many are new.

    Raises `ValueError` that names every shift that cannot be, by its line (the first is 2) or its place in a row.
    """
    async with connection.transaction():
        first = 2 if place == "line" else 1
        wrong = [f"{place} {index + first}: {why}" for index, why in await duty_store.obstacles(connection, shifts)]
        if wrong:
            raise ValueError("\n".join(wrong))
        return await duty_store.add_shifts(connection, shifts)


async def hand_over(office: Office, officer: Officer, asked: HandOver, now: datetime) -> HandedOver:
    """End the caller's running shift and begin the successor's, until the same end. Twice is once.

    The successor is told of what the unit was alerted of and nobody has acknowledged.
    """
    try:
        async with office.pool.acquire() as connection, connection.transaction():
            mine = await duty_store.end_running(connection, officer.id, now)
            if mine is None:
                done = await duty_store.handed_over(connection, officer.id, asked.to, now)
                if done is None:
                    raise conflict("You are not on duty now, so there is no shift to hand over.")
                on_duty = ShiftView(officer=done["officer"], since=done["starts_at"], until=done["ends_at"])
                return HandedOver(shift_id=done["id"], unit=done["unit"], handed_over_by=officer.name, on_duty=on_duty)
            begun = await duty_store.begin_instead(connection, mine, asked.to, now)
            if begun is None:
                problem = "is no officer of the unit on duty who may decide"
                raise invalid(FieldProblem(field="to", message=problem))
            actor = f"officer:{officer.name}"
            await people_store.audit(connection, office.identity, actor, "handed_over", begun, asked.note)
            await alert_store.tell_successor(connection, begun)
    except asyncpg.ExclusionViolationError:
        raise conflict("The officer named has a shift of their own in that time; end yours when it ends.") from None
    on_duty = ShiftView(officer=asked.to, since=now, until=mine["until"])
    return HandedOver(shift_id=begun, unit=mine["unit"], handed_over_by=officer.name, on_duty=on_duty)


async def shown(pool: Pool, officer: Officer, unit: str | None, now: datetime) -> DutyView:
    """Return the duty of the officer's subtree, or of a unit in it and those below; refuse any other unit."""
    path = officer.path if unit is None else await people_store.path_of(pool, unit)
    if path is None or not path.startswith(officer.path):
        raise not_found("unit")
    return DutyView(units=await roster(pool, path, now, now + LOOK_AHEAD))


async def roster(connection: Pool | RawConnection, path: str, now: datetime, until: datetime) -> list[UnitDuty]:
    """Return the duty of a subtree from now until then."""
    units = await duty_store.units_on_roster(connection, path, now)
    shifts = await duty_store.shifts_between(connection, [unit["code"] for unit in units], now, until)
    return [
        UnitDuty(
            unit=unit["code"],
            name=unit["name"],
            on_duty=[
                ShiftView(officer=shift.officer, since=shift.starts_at, until=shift.ends_at)
                for shift in duty.on_duty(shifts[unit["code"]], now)
            ],
            next_change=duty.next_change(shifts[unit["code"]], now),
            gaps=[GapView(since=gap.since, until=gap.until) for gap in duty.gaps(shifts[unit["code"]], now, until)],
        )
        for unit in units
    ]
