"""Shifts: who is on, when that changes, where nobody is, a rotation, a roster's file."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.duty.duty import Gap, Shift, gaps, next_change, on_duty, overlaps, read_roster, rotation

START = datetime(2026, 12, 1, 0, tzinfo=UTC)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def shift(since: float, until: float, officer: str = "甲") -> Shift:
    return Shift("SZ-LH-CZ", officer, at(since), at(until))


def roster(*lines: str) -> list[Shift]:
    return read_roster(csv.DictReader(io.StringIO("\n".join(("unit,officer,starts_at,ends_at", *lines)))))


def test_a_shift_is_on_from_its_start_until_just_before_its_end() -> None:
    day, night = shift(0, 12), shift(12, 24, "乙")
    assert on_duty([day, night], at(0)) == [day]
    assert on_duty([day, night], at(12)) == [night]
    assert on_duty([day, night], at(24)) == []


def test_several_officers_are_on_at_once() -> None:
    both = [shift(0, 12), shift(6, 18, "乙")]
    assert on_duty(both, at(7)) == both


def test_the_next_change_is_whoever_comes_or_goes_first() -> None:
    assert next_change([shift(0, 12), shift(6, 18, "乙")], at(1)) == at(6)
    assert next_change([shift(0, 12)], at(1)) == at(12)
    assert next_change([shift(0, 12)], at(12)) is None


def test_gaps_are_the_times_that_no_shift_covers() -> None:
    shifts = [shift(30, 40), shift(2, 12), shift(8, 20, "乙"), shift(10, 11, "丙")]
    assert gaps(shifts, at(0), at(36)) == [Gap(at(0), at(2)), Gap(at(20), at(30))]
    assert gaps([], at(0), at(1)) == [Gap(at(0), at(1))]
    assert gaps([shift(-5, 50)], at(0), at(36)) == []


Hours = st.integers(0, 60)


@given(st.lists(st.tuples(Hours, st.integers(1, 20)), max_size=8), Hours)
def test_an_hour_is_in_a_gap_exactly_when_nobody_is_on_duty(spans: list[tuple[int, int]], hour: int) -> None:
    shifts = [shift(since, since + length) for since, length in spans]
    found = gaps(shifts, at(0), at(61))
    assert any(gap.since <= at(hour) < gap.until for gap in found) is (on_duty(shifts, at(hour)) == [])
    assert found == sorted(found, key=lambda gap: gap.since)


def test_a_rotation_takes_turns_and_leaves_no_gap() -> None:
    shifts = rotation("SZ-LH-CZ", ["甲", "乙", "丙"], START, 2, 12)
    assert [one.officer for one in shifts] == ["甲", "乙", "丙", "甲"]
    assert gaps(shifts, at(0), at(48)) == []
    assert overlaps(shifts) == {}


def test_the_last_shift_of_a_rotation_ends_with_it() -> None:
    shifts = rotation("SZ-LH-CZ", ["甲", "乙"], START, 1, 10)
    assert [(one.starts_at, one.ends_at) for one in shifts] == [(at(0), at(10)), (at(10), at(20)), (at(20), at(24))]


@pytest.mark.parametrize(
    ("officers", "days", "hours"),
    [([], 1, 12), (["甲", "甲"], 1, 12), (["甲", ""], 1, 12), (["甲"], 0, 12), (["甲"], 367, 12), (["甲"], 1, 0)],
)
def test_what_is_no_rotation_is_refused(officers: list[str], days: int, hours: int) -> None:
    with pytest.raises(ValueError, match="rotation"):
        rotation("SZ-LH-CZ", officers, START, days, hours)


def test_a_roster_is_read_with_its_offsets() -> None:
    found = roster("SZ-LH-CZ, 陆峥 ,2026-12-01T08:00:00+08:00,2026-12-01T20:00:00+08:00")
    assert found == [Shift("SZ-LH-CZ", "陆峥", at(0), at(12))]


GOOD = "SZ-LH-CZ,陆峥,2026-12-01T08:00:00+08:00,2026-12-01T20:00:00+08:00"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("SZ-LH-CZ,陆峥,2026-12-02T08:00:00,2026-12-02T20:00:00+08:00", "with its offset"),
        ("SZ-LH-CZ,陆峥,tomorrow,2026-12-02T20:00:00+08:00", "with its offset"),
        ("SZ-LH-CZ,陆峥,2026-12-02T20:00:00+08:00,2026-12-02T20:00:00+08:00", "ends after it starts"),
        ("SZ-LH-CZ,陆峥,2026-12-02T20:00:00+08:00,2027-12-02T20:00:00+08:00", "within 7 days"),
        ("SZ-LH-CZ,,2026-12-02T08:00:00+08:00,2026-12-02T20:00:00+08:00", "a unit and an officer"),
        ("SZ-LH-CZ,陆峥,2026-12-02T08:00:00+08:00", "the columns"),
        ("SZ-LH-CZ,陆峥,2026-12-02T08:00:00+08:00,2026-12-02T20:00:00+08:00,more", "the columns"),
        ("SZ-LH-DM,陆峥,2026-12-01T19:59:59+08:00,2026-12-02T08:00:00+08:00", "another shift then .line 2."),
    ],
)
def test_a_line_that_is_no_shift_is_named(line: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"^line 3: .*{why}"):
        roster(GOOD, line)


def test_every_wrong_line_is_named() -> None:
    with pytest.raises(ValueError, match=r"(?s)^line 2: .*\nline 4: ") as refused:
        roster("x,y,z,z", GOOD, "x,,z,z")
    assert "line 3" not in str(refused.value)
