"""Who is on duty: shifts, the holes between them, a rotation. Pure.

A shift is on from `starts_at` until just before `ends_at`. Several officers may be on at once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

COLUMNS: Final = ("unit", "officer", "starts_at", "ends_at")
LONGEST: Final = timedelta(days=7)
"""A longer shift is a slip of the pen."""
MOST_DAYS: Final = 366
MOST_HOURS: Final = 48


@dataclass(frozen=True, slots=True)
class Shift:
    """One officer (by name) on duty for one unit."""

    unit: str
    officer: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which nobody is on duty."""

    since: datetime
    until: datetime


def on_duty(shifts: Iterable[Shift], now: datetime) -> list[Shift]:
    """Return the shifts that are on."""
    return [shift for shift in shifts if shift.starts_at <= now < shift.ends_at]


def next_change(shifts: Iterable[Shift], now: datetime) -> datetime | None:
    """Return when somebody next comes or goes."""
    return min((at for shift in shifts for at in (shift.starts_at, shift.ends_at) if at > now), default=None)


def gaps(shifts: Iterable[Shift], since: datetime, until: datetime) -> list[Gap]:
    """Return the times between `since` and `until` in which nobody is on duty, in order."""
    found, covered = [], since
    for shift in sorted(shifts, key=lambda one: one.starts_at):
        if shift.starts_at >= until:
            break
        if shift.starts_at > covered:
            found.append(Gap(covered, shift.starts_at))
        covered = max(covered, shift.ends_at)
    return [*found, Gap(covered, until)] if covered < until else found


def rotation(unit: str, officers: Sequence[str], first: datetime, days: int, hours: int) -> list[Shift]:
    """Return shifts of `hours` for officers in turn, one at a time, from `first` on for `days`; the last is cut there.

    Raises `ValueError` where that is no rotation.
    """
    if not officers or len(set(officers)) < len(officers) or not all(officers):
        raise ValueError("name each officer of the rotation once")
    if not 1 <= days <= MOST_DAYS or not 1 <= hours <= MOST_HOURS:
        raise ValueError(f"a rotation lasts 1 to {MOST_DAYS} days, with shifts of 1 to {MOST_HOURS} hours")
    length, until = timedelta(hours=hours), first + timedelta(days=days)
    turns = -(-timedelta(days=days) // length)
    return [
        Shift(unit, officers[turn % len(officers)], first + turn * length, min(first + (turn + 1) * length, until))
        for turn in range(turns)
    ]


def read_roster(rows: Iterable[Mapping[str | None, object]]) -> list[Shift]:
    """Read the lines of a roster's CSV (unit,officer,starts_at,ends_at), the first of which is line 2.

    Raises `ValueError` that names every line that is wrong, and why.
    """
    shifts: list[Shift] = []
    wrong: list[str] = []
    for number, row in enumerate(rows, start=2):
        try:
            shifts.append(_shift(row))
        except ValueError as error:
            wrong.append(f"line {number}: {error}")
    wrong += [f"line {line + 2}: {why}" for line, why in sorted(overlaps(shifts).items())] if not wrong else []
    if wrong:
        raise ValueError("\n".join(wrong))
    return shifts


def overlaps(shifts: Sequence[Shift]) -> dict[int, str]:
    """Return which of these shifts (by index) begin before the same officer's earlier one among them has ended."""
    found: dict[int, str] = {}
    latest: dict[str, tuple[datetime, int]] = {}
    for index, shift in sorted(enumerate(shifts), key=lambda one: one[1].starts_at):
        ends, other = latest.get(shift.officer, (shift.starts_at, index))
        if shift.starts_at < ends:
            found[index] = f"{shift.officer} has another shift then (line {other + 2})"
        latest[shift.officer] = max((ends, other), (shift.ends_at, index))
    return found


def _shift(row: Mapping[str | None, object]) -> Shift:
    if set(row) != set(COLUMNS) or not all(isinstance(value, str) for value in row.values()):
        raise ValueError(f"a line has the columns {', '.join(COLUMNS)}")
    unit, officer, starts, ends = (str(row[column]).strip() for column in COLUMNS)
    if not unit or not officer:
        raise ValueError("names a unit and an officer")
    starts_at, ends_at = _moment(starts), _moment(ends)
    if not timedelta() < ends_at - starts_at <= LONGEST:
        raise ValueError(f"a shift ends after it starts, and within {LONGEST.days} days")
    return Shift(unit, officer, starts_at, ends_at)


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError("a time is written with its offset, as 2026-12-01T08:00:00+08:00")
    return at
