"""A metric is written down once: name, meaning, question, and what bounds its labels."""

from enum import StrEnum

import pytest
from prometheus_client import generate_latest

from shared.events import Level
from shared.metrics import BANKS, Metric, Question, Shelf, one_of, show
from shared.runtime_metrics import RuntimeMetrics


class Wide(StrEnum):
    """Nine values: two labels of them are more than 64 series."""

    A, B, C, D, E, F, G, H, I = "abcdefghi"  # noqa: E741 - a letter is a letter


@pytest.fixture
def shelf() -> Shelf:
    return Shelf("tests")


def lines(shelf: Shelf) -> list[str]:
    return [line for line in generate_latest(shelf.registry).decode().splitlines() if not line.startswith("#")]


def test_what_has_never_happened_is_0_where_all_it_could_be_is_known(shelf: Shelf) -> None:
    shelf.counter("x_total", "Things", "how many?", Question.RULES, level=one_of(Level))
    assert lines(shelf) == [f'x_total{{level="{level}"}} 0.0' for level in Level]


def test_no_series_is_made_up_for_a_bank_or_for_more_choices_than_a_page_can_hold(shelf: Shelf) -> None:
    shelf.counter("x_total", "Things", "how many?", Question.RULES, level=one_of(Level), bank=BANKS)
    shelf.counter("y_total", "Things", "how many?", Question.RULES, one=one_of(Wide), other=one_of(Wide))
    assert lines(shelf) == []


def test_what_was_shown_before_and_is_no_more_goes(shelf: Shelf) -> None:
    gauge = shelf.gauge("x", "Things", "how many?", Question.LATE, kind=one_of("ab"), unit=BANKS)
    show(gauge, {("a", "SZ"): 3, ("b", "SZ"): 1}, [("a", ""), ("b", "")])
    show(gauge, {("a", "SZ"): 2}, [("a", ""), ("b", "")])
    assert lines(shelf) == ['x{kind="a",unit=""} 0.0', 'x{kind="b",unit=""} 0.0', 'x{kind="a",unit="SZ"} 2.0']


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("lanjie_money_yuan", "yuan (CNY)"),
        ("process_cpu_seconds_total", "seconds"),
        ("lanjie_ledger_checked_timestamp_seconds", "seconds since 1970 (UTC)"),
        ("process_resident_memory_bytes", "bytes"),
        ("lanjie_build_info", "always 1"),
        ("lanjie_verdicts_total", "number"),
    ],
)
def test_the_name_says_the_unit(name: str, unit: str) -> None:
    assert Metric(name, "gauge", "", "", Question.MONEY, {}).unit == unit


def test_every_process_says_which_software_it_is_and_what_it_takes() -> None:
    registry = RuntimeMetrics("rules").registry
    text = generate_latest(registry).decode()
    assert 'lanjie_build_info{python="3.' in text
    assert 'service="rules"' in text
    for name in ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"):
        value = registry.get_sample_value(name)
        assert value is not None
        assert value > 0
    assert "_created" not in text
