"""The clock's defaults."""

from datetime import timedelta

from services.notifier.app import Settings
from services.notifier.clock import STOP_LASTS, Deadlines
from tests.parts import KEY_BYTES


def test_an_alert_is_acknowledged_in_a_minute_ordered_in_five_and_answered_in_five() -> None:
    deadlines = Deadlines()
    assert deadlines.acknowledge == timedelta(seconds=60)
    assert (deadlines.order, deadlines.feedback) == (timedelta(minutes=5), timedelta(minutes=5))


def test_a_stop_lasts_48_hours() -> None:
    assert timedelta(hours=48) == STOP_LASTS


def test_the_settings_say_the_deadlines_in_seconds() -> None:
    settings = Settings(
        database_url="postgresql://",
        kafka_bootstrap_servers="",
        port=0,
        token_key=KEY_BYTES,
        identity_keys=f"i1:{KEY_BYTES}",
        narrative_keys=f"n1:{KEY_BYTES}",
        acknowledge_seconds=30,
        order_seconds=60,
        feedback_seconds=90,
    )
    assert settings.deadlines() == Deadlines(*(timedelta(seconds=seconds) for seconds in (30, 60, 90)))
