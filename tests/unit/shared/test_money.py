"""Money is a whole number of fen."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.money import LARGEST_AMOUNT_FEN, Fen, PositiveFen, yuan

MAYBE_NOTHING: TypeAdapter[int] = TypeAdapter(Fen)
SOMETHING: TypeAdapter[int] = TypeAdapter(PositiveFen)


@pytest.mark.parametrize(
    ("fen", "text"),
    [
        (0, "0.00"),
        (1, "0.01"),
        (10, "0.10"),
        (99, "0.99"),
        (100, "1.00"),
        (9_800_000, "98,000.00"),
        (123_456_789, "1,234,567.89"),
        (-30_050, "-300.50"),
        (LARGEST_AMOUNT_FEN, "10,000,000,000.00"),
        (2**63 - 1, "92,233,720,368,547,758.07"),
    ],
)
def test_fen_are_written_as_yuan(fen: int, text: str) -> None:
    assert yuan(fen) == text


@given(st.integers(-(2**63), 2**63 - 1))
def test_yuan_lose_no_fen(fen: int) -> None:
    assert Fraction(Decimal(yuan(fen).replace(",", ""))) * 100 == fen


@pytest.mark.parametrize("fen", [1, 9_800_000, LARGEST_AMOUNT_FEN])
def test_an_amount_within_the_bounds_is_accepted(fen: int) -> None:
    assert MAYBE_NOTHING.validate_python(fen) == SOMETHING.validate_python(fen) == fen
    assert SOMETHING.validate_json(str(fen)) == fen


def test_nothing_is_an_amount_only_where_it_may_be() -> None:
    assert MAYBE_NOTHING.validate_python(0) == 0
    with pytest.raises(ValidationError):
        SOMETHING.validate_python(0)


@pytest.mark.parametrize("amount", [MAYBE_NOTHING, SOMETHING])
@pytest.mark.parametrize("fen", [-1, LARGEST_AMOUNT_FEN + 1, 2**63, 10**50])
def test_an_amount_beyond_the_bounds_is_refused(amount: TypeAdapter[int], fen: int) -> None:
    with pytest.raises(ValidationError):
        amount.validate_python(fen)


@pytest.mark.parametrize("amount", [MAYBE_NOTHING, SOMETHING])
@pytest.mark.parametrize(
    "value", [True, False, None, 100.0, 100.5, Decimal(100), Fraction(100), "100", " 7 ", "1_000", [1]]
)
def test_what_is_no_whole_number_is_refused_and_not_converted(amount: TypeAdapter[int], value: Any) -> None:  # noqa: ANN401
    with pytest.raises(ValidationError):
        amount.validate_python(value)


@pytest.mark.parametrize("amount", [MAYBE_NOTHING, SOMETHING])
@pytest.mark.parametrize(
    "text", ["true", "null", "100.0", "100.5", "1e2", '"100"', "NaN", "Infinity", "-1", "01", "1_000", "１００"]
)
def test_json_that_is_no_whole_number_is_refused_and_not_converted(amount: TypeAdapter[int], text: str) -> None:
    with pytest.raises(ValidationError):
        amount.validate_json(text)


def test_the_largest_amount_leaves_room_for_a_sum_of_millions() -> None:
    assert LARGEST_AMOUNT_FEN * 9_000_000 < 2**63
