"""The clock's defaults."""

from datetime import timedelta

from services.notifier.clock import STOP_LASTS, Deadlines, Stage, Urgency


def test_an_alert_is_to_be_acknowledged_in_a_minute() -> None:
    assert Deadlines().span("SZ", Urgency.URGENT, Stage.ACKNOWLEDGE) == timedelta(seconds=60)


def test_a_stop_lasts_48_hours() -> None:
    assert timedelta(hours=48) == STOP_LASTS
