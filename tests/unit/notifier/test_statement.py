"""The monthly statement: its months, its changes in percent, its cells."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from services.notifier.money import statement
from services.notifier.money.statement import Line, period


def test_months_begin_and_end_at_midnight_in_beijing() -> None:
    about = period("2026-10", None)
    assert about.starts_at == datetime(2026, 9, 30, 16, tzinfo=UTC)
    assert about.ends_at == datetime(2026, 10, 31, 16, tzinfo=UTC)
    assert str(about) == "2026-10"


def test_several_months_are_compared_with_as_many_before_and_with_the_same_of_a_year_before() -> None:
    about = period("2016-01", "2016-06")
    assert (str(about), str(about.before), str(about.year_before)) == (
        "2016-01 至 2016-06",
        "2015-07 至 2015-12",
        "2015-01 至 2015-06",
    )


@pytest.mark.parametrize("text", ["2026-13", "2026-00", "2026-1", "26-10", "2026-10\n", "２０２６-10", "2026/10", ""])
def test_what_is_not_a_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a month"):
        period(text, None)


def test_a_last_month_before_the_first_is_refused() -> None:
    with pytest.raises(ValueError, match="2026-09 is before 2026-10"):
        period("2026-10", "2026-09")


@pytest.mark.parametrize(
    ("now", "base", "percent"),
    [(143, 200, "-28.5"), (3, 2, "50.0"), (2, 2, "0.0"), (1, 3, "-66.7"), (5, 0, ""), (0, 0, ""), (1, -2, "150.0")],
)
def test_a_change_is_in_percent_of_what_was_and_empty_where_there_was_nothing(
    now: int, base: int, percent: str
) -> None:
    assert statement.change(now, base) == percent


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_text_that_a_spreadsheet_would_take_for_a_formula_is_made_a_text(name: str) -> None:
    line = Line(name, name, name, Counter(), Counter(), Counter())
    [cells] = statement.rows(period("2026-10", None), [line])
    assert cells[1:4] == [f"'{name}"] * 3


def test_every_figure_has_its_column_and_amounts_are_in_yuan_with_two_places() -> None:
    line = Line("SZ", "深圳", "", Counter(reports=3, stopped=1_234_567), Counter(stopped=-5), Counter(reports=4))
    [cells] = statement.rows(period("2026-10", None), [line])
    named = dict(zip(statement.header(), cells, strict=True))
    assert (named["报告数"], named["报告数上期"], named["报告数环比（%）"], named["报告数同比（%）"]) == (
        "3",
        "4",
        "-25.0",
        "",
    )
    assert (named["止付金额（元）"], named["止付金额（元）上年同期"]) == ("12345.67", "-0.05")
    assert len(named) == 4 + 9 * 5
