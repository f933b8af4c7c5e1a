"""The clock's defaults, and whose rule counts."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.notifier.clock.clock import LONGEST_WAIT, STOP_LASTS, Deadlines, Stage, Urgency, wait_after

PARENTS = {"SZ": None, "SZ-LH": "SZ", "SZ-LH-CZ": "SZ-LH"}


def test_an_alert_is_to_be_acknowledged_in_a_minute() -> None:
    assert Deadlines().span("SZ", Urgency.URGENT, Stage.ACKNOWLEDGE) == timedelta(seconds=60)


def test_a_stop_lasts_48_hours() -> None:
    assert timedelta(hours=48) == STOP_LASTS


def test_a_unit_goes_by_its_own_rule_and_else_by_that_of_the_nearest_unit_above() -> None:
    rules = {
        ("SZ", Urgency.URGENT, Stage.ACKNOWLEDGE): timedelta(seconds=50),
        ("SZ-LH", Urgency.URGENT, Stage.ACKNOWLEDGE): timedelta(seconds=40),
    }
    deadlines = Deadlines(rules, PARENTS)
    assert deadlines.span("SZ-LH-CZ", Urgency.URGENT, Stage.ACKNOWLEDGE) == timedelta(seconds=40)
    assert deadlines.span("SZ", Urgency.URGENT, Stage.ACKNOWLEDGE) == timedelta(seconds=50)
    assert deadlines.span("SZ-LH-CZ", Urgency.NORMAL, Stage.ACKNOWLEDGE) == timedelta(minutes=5)


@given(st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=30)), st.integers(0, 1_000))
def test_waits_grow_up_to_an_hour_and_are_never_shorter_than_the_stage_itself(span: timedelta, times: int) -> None:
    wait = wait_after(span, times)
    assert span <= wait <= max(span, LONGEST_WAIT)
    assert wait_after(span, times + 1) >= wait


def test_repetitions_come_after_twice_four_times_and_eight_times_the_span() -> None:
    minute = timedelta(minutes=1)
    assert [wait_after(minute, times) / minute for times in (0, 1, 2, 3, 9)] == [1, 2, 4, 8, 60]
