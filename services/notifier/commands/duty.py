"""`lanjie notifier roster-…`: who is on duty, from a file, by rotation, and as it stands."""

import csv
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.notifier import people_store
from services.notifier.clock.clock import BEIJING
from services.notifier.duty import duties, duty, duty_store
from services.notifier.duty.duty import Shift
from services.notifier.duty.duty_requests import UnitDuty
from shared.command import connected, run
from shared.postgres import RawConnection

console = Console(highlight=False, soft_wrap=True)

Unit = Annotated[str, typer.Argument(help="Unit code.")]


def roster_load(file: Annotated[Path, typer.Argument(help="CSV: unit,officer,starts_at,ends_at.")]) -> None:
    """Put the shifts of a file on the roster, all or none; those that are there already stay as they are."""

    async def work() -> None:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            shifts = duty.read_roster(csv.DictReader(lines))
        await _put_up(shifts, "line")

    run(work)


def roster_rotate(
    unit: Unit,
    officers: Annotated[str, typer.Option(help="Names in the order of their turns, with commas.")],
    from_: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day, in Beijing.")],
    days: Annotated[int, typer.Option(help="For how many days.")],
    shift_hours: Annotated[int, typer.Option(help="How long each is on.")] = 12,
    at: Annotated[str, typer.Option(help="When the first comes, in Beijing.")] = "08:00",
) -> None:
    """Put officers on the roster in turn, one at a time. Call it again with others to have several on at once."""

    async def work() -> None:
        first = _beijing(from_.date(), time.fromisoformat(at))
        names = [name.strip() for name in officers.split(",")]
        await _put_up(duty.rotation(unit, names, first, days, shift_hours), "shift")

    run(work)


def roster_remove(
    unit: Unit,
    from_: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day, in Beijing.")],
    officer: Annotated[str | None, typer.Option(help="Only this officer's.")] = None,
) -> None:
    """Take shifts that have not begun off the roster."""

    async def work() -> None:
        since = max(_beijing(from_.date(), time()), datetime.now(UTC))
        async with connected("notifier") as connection:
            removed = await duty_store.remove_shifts(connection, unit, officer, since)
        typer.echo(f"removed {removed} shifts")

    run(work)


def roster_show(
    unit: Unit,
    days: Annotated[int, typer.Option(min=1, max=duty.MOST_DAYS, help="For how many days from now.")] = 7,
) -> None:
    """Show a unit's shifts and its gaps, and those of the units below it. Times are Beijing's."""

    async def work() -> None:
        now = datetime.now(UTC)
        async with connected("notifier") as connection:
            path = await people_store.path_of(connection, unit)
            if path is None:
                raise ValueError(f"there is no unit {unit}")
            for one in await duties.roster(connection, path, now, now + timedelta(days=days)):
                await _show(connection, one, now, now + timedelta(days=days))

    run(work)


async def _put_up(shifts: Sequence[Shift], place: str) -> None:
    async with connected("notifier") as connection:
        new = await duties.put_up(connection, shifts, place)
    typer.echo(f"{new} new shifts, {len(shifts) - new} there already")


async def _show(connection: RawConnection, one: UnitDuty, now: datetime, until: datetime) -> None:
    shifts = (await duty_store.shifts_between(connection, [one.unit], now, until))[one.unit]
    table = Table("from", "until", "on duty", box=None, pad_edge=False)
    held = [(shift.starts_at, shift.ends_at, shift.officer) for shift in shifts]
    missing = [(gap.since, gap.until, "") for gap in one.gaps]
    for since, ends, officer in sorted([*held, *missing]):
        if officer:
            table.add_row(_clock(since), _clock(ends), escape(officer), style="green" if since <= now < ends else None)
        else:
            table.add_row(_clock(since), _clock(ends), "nobody", style="bold red")
    console.print(f"\n[bold]{one.unit}[/] {escape(one.name)}")
    console.print(table)


def _beijing(day: date, at: time) -> datetime:
    return datetime.combine(day, at.replace(tzinfo=None), tzinfo=BEIJING)


def _clock(at: datetime) -> str:
    return f"{at.astimezone(BEIJING):%m-%d %a %H:%M}"
