"""A decision table is read as people read it: the first row that fits speaks."""

import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rules.features import DEFAULTS
from tests.unit.rules.builders import a_visit, judged, pack_of, spoken


def table(inputs: list[str], *rows: list[Any], **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a table whose rows weigh 1, 2, 3, ..."""
    written = [{"when": cells, "weight": number} for number, cells in enumerate(rows, 1)]
    return {"id": "some-table", "title": "表", "why": "因为", "inputs": inputs, "rows": written, **fields}


def speaking(tables: list[dict[str, Any]], *cues: str, **facts: Any) -> set[str]:  # noqa: ANN401
    """Return the rows that speak."""
    return spoken(judged(pack_of(tables=tables), a_visit("", "", *cues), **facts))


AGES = table(["payer.age"], [">= 70"], ["60..69"], ["-5..-1"], [5], ["!= 30"], ["-"])


@pytest.mark.parametrize(
    ("age", "row"), [(90, 1), (70, 1), (69, 2), (60, 2), (59, 5), (-1, 3), (-5, 3), (5, 4), (30, 6)]
)
def test_the_first_row_that_fits_speaks_and_no_other(age: int, row: int) -> None:
    assert speaking([AGES], payer_age=age) == {f"some-table.{row}"}


def test_a_table_of_which_no_row_fits_is_silent() -> None:
    assert speaking([table(["payer.age"], [">= 70"])], payer_age=69) == set()


MIXED = table(
    ["cue.hurried", "transfer.channel", "payer.age"],
    [True, "'atm'", "-"],
    [False, "in ['atm', 'counter_cash']", "< 20"],
    ["-", "-", "< 20"],
)


@pytest.mark.parametrize(
    ("cues", "channel", "age", "rows"),
    [
        (("hurried",), "atm", 50, {"some-table.1"}),
        ((), "counter_cash", 19, {"some-table.2"}),
        (("hurried",), "counter_cash", 19, {"some-table.3"}),
        ((), "counter_transfer", 19, {"some-table.3"}),
        ((), "atm", 50, set()),
    ],
)
def test_booleans_texts_lists_and_dashes_are_read(
    cues: tuple[str, ...], channel: str, age: int, rows: set[str]
) -> None:
    assert speaking([MIXED], *cues, transfer_channel=channel, payer_age=age) == rows


@pytest.mark.parametrize(
    ("cues", "age", "rows"),
    [
        ((), 5, set()),
        ((), 70, set()),
        (("hurried",), 5, {"some-table.1"}),
        (("hurried",), 70, {"some-table.1"}),
        (("hurried",), 40, {"some-table.2"}),
    ],
)
def test_a_choice_within_a_cell_stays_in_its_cell(cues: tuple[str, ...], age: int, rows: set[str]) -> None:
    chosen = table(["payer.age", "cue.hurried"], ["< 10 || payer.age > 60", True], ["11..59", "-"])
    assert speaking([chosen], *cues, payer_age=age) == rows


@pytest.mark.parametrize(("cues", "rows"), [(("hurried",), {"some-table.2"}), ((), {"some-table.3"})])
def test_an_input_may_be_an_expression(cues: tuple[str, ...], rows: set[str]) -> None:
    either = table(["cue.hurried || cue.on_phone", "payer.age + 1"], [True, 99], [True, 41], [False, "> 40"])
    assert speaking([either], *cues, payer_age=40) == rows


def test_a_row_has_a_reason_of_its_own_or_that_of_the_table() -> None:
    own = table(["payer.age"], [1], [2])
    own["rows"][0]["why"] = "{payer.age}岁"
    pack = pack_of(tables=[own])
    assert [judged(pack, payer_age=age).verdict.findings[0].why for age in (1, 2)] == ["1岁", "因为"]


def test_two_tables_that_ask_different_things_both_speak() -> None:
    tables = [table(["payer.age"], ["> 5"]), table(["transfer.amount_yuan"], ["> 5"], id="other-table")]
    assert speaking(tables, payer_age=6, transfer_amount_yuan=6) == {"some-table.1", "other-table.1"}


INPUTS = {
    "payer.age": st.integers(-1, 5),
    "transfer.channel": st.sampled_from(["atm", "counter_cash"]),
    "payee.personal": st.booleans(),
}
CELLS: dict[str, st.SearchStrategy[str]] = {
    "payer.age": st.one_of(
        st.integers(-1, 5).map(str),
        st.tuples(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.integers(-1, 5)).map("{0[0]} {0[1]}".format),
        st.tuples(st.integers(-1, 2), st.integers(2, 5)).map("{0[0]}..{0[1]}".format),
        st.just("-"),
    ),
    "transfer.channel": st.sampled_from(["'atm'", "!= 'atm'", "in ['atm']", "-"]),
    "payee.personal": st.sampled_from(["true", "false", "-"]),
}


COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "in": lambda value, known: value in known,
}


def fits(cell: str, value: Any) -> bool:  # noqa: ANN401
    """Read a cell in plain Python."""
    match cell.split():
        case ["-"]:
            return True
        case ["true"] | ["false"]:
            return bool(value) is (cell == "true")
        case [sign, bound]:
            other: Any = {"'atm'": "atm", "['atm']": ["atm"]}[bound] if "atm" in bound else int(bound)
            return COMPARED[sign](value, other)
        case _ if ".." in cell:
            low, high = cell.split("..")
            return value in range(int(low), int(high) + 1)
        case _:
            return str(value) == cell.strip("'")


rows = st.lists(st.tuples(*CELLS.values()).filter(lambda row: set(row) != {"-"}), min_size=1, max_size=4, unique=True)


@given(rows, st.lists(st.fixed_dictionaries(INPUTS), min_size=1, max_size=8))
def test_a_table_means_what_a_plain_reading_of_it_means(
    cells: list[tuple[str, ...]], asked: list[dict[str, Any]]
) -> None:
    pack = pack_of(tables=[table(list(INPUTS), *map(list, cells))])
    for facts in asked:
        first = next(
            (
                number
                for number, row in enumerate(cells, 1)
                if all(fits(cell, facts[one]) for one, cell in zip(INPUTS, row, strict=True))
            ),
            None,
        )
        assert spoken(pack.judge({**DEFAULTS, **facts}, a_visit())) == ({f"some-table.{first}"} if first else set())
