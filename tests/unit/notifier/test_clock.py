"""The clock's defaults."""

from datetime import timedelta

from services.notifier.app import Settings
from services.notifier.clock import STOP_LASTS, Deadlines
from tests.parts import KEY_BYTES


def test_an_alert_is_to_be_acknowledged_in_a_minute() -> None:
    assert Deadlines().acknowledge == timedelta(seconds=60)


def test_a_stop_lasts_48_hours() -> None:
    assert timedelta(hours=48) == STOP_LASTS


def test_the_settings_say_the_deadline_in_seconds() -> None:
    settings = Settings(
        database_url="postgresql://",
        kafka_bootstrap_servers="",
        port=0,
        identity_keys=f"i1:{KEY_BYTES}",
        narrative_keys=f"n1:{KEY_BYTES}",
        acknowledge_seconds=30,
    )
    assert settings.deadlines() == Deadlines(acknowledge=timedelta(seconds=30))
