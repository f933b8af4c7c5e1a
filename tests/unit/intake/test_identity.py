"""Names and numbers: what is accepted, and what is only flagged."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as some
from pydantic import TypeAdapter, ValidationError

from services.intake.identity import (
    CHECK_CHARACTERS,
    WEIGHTS,
    Account,
    Code,
    Phone,
    age_on,
    born_on,
    passes_luhn,
    resident_id,
    visible_name,
)

DIGITS = "0123456789"


def checked(first_17: str) -> str:
    """Complete a resident identity number with its check character, as GB 11643 does."""
    total = sum(int(digit) * weight for digit, weight in zip(first_17, WEIGHTS, strict=True))
    return first_17 + CHECK_CHARACTERS[total % 11]


@some.composite
def residents(draw: some.DrawFn) -> str:
    """Draw a valid resident identity number."""
    region = draw(some.text(DIGITS, min_size=6, max_size=6))
    born = draw(some.dates(date(1900, 1, 1), date(2026, 1, 1)))
    serial = draw(some.text(DIGITS, min_size=3, max_size=3))
    return checked(f"{region}{born:%Y%m%d}{serial}")


@pytest.mark.parametrize("number", ["11010519491231002X", "440524188001010014", "44030119530314902X"])
def test_the_numbers_of_the_standard_and_of_our_examples_have_the_check_character_we_compute(number: str) -> None:
    assert checked(number[:17]) == number


@given(number=residents())
def test_every_valid_number_is_accepted_as_it_is(number: str) -> None:
    assert resident_id(number) == number


@given(number=residents())
def test_a_lower_case_check_character_is_normalised(number: str) -> None:
    assert resident_id(number.lower()) == number


@given(number=residents(), place=some.integers(0, 17), digit=some.sampled_from(DIGITS))
def test_every_error_in_one_digit_is_refused(number: str, place: int, digit: str) -> None:
    assume(number[place] != digit)
    with pytest.raises(ValueError, match=r"check character|date of birth"):
        resident_id(number[:place] + digit + number[place + 1 :])


@given(number=residents(), place=some.integers(0, 15))
def test_every_swap_of_two_neighbouring_digits_is_refused(number: str, place: int) -> None:
    assume(number[place] != number[place + 1])
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    with pytest.raises(ValueError, match=r"check character|date of birth"):
        resident_id(swapped)


@given(text=some.text(max_size=20))
def test_no_other_text_is_taken_for_a_number(text: str) -> None:
    assume(not (len(text) == 18 and text.isascii()))
    with pytest.raises(ValueError, match="17 digits and a check character"):
        resident_id(text)


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (checked("44030119530230902"), "a date of birth that does not exist"),
        (checked("44030119531314902"), "a date of birth that does not exist"),
        (checked("44030119530014902"), "a date of birth that does not exist"),
        (checked("44030119000229902"), "a date of birth that does not exist"),
        (checked("44030100000314902"), "a date of birth that does not exist"),
        (checked("44030118991231902"), "a date of birth that is too long ago"),
        ("440301195303149020", "a wrong check character"),
        (checked("44030119530314902") + "\n", "17 digits"),
        ("440301530314902", "17 digits"),
    ],
)
def test_a_number_is_refused_with_the_reason(number: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        resident_id(number)


@given(number=residents(), days=some.integers(0, 40_000))
def test_an_age_is_the_whole_years_that_have_passed(number: str, days: int) -> None:
    age = age_on(number, born_on(number) + timedelta(days=days))
    assert age * 365 <= days < (age + 1) * 366
    assert age_on(number, born_on(number) + timedelta(days=days + 1)) in {age, age + 1}


@pytest.mark.parametrize(
    ("day", "age"),
    [
        (date(2026, 3, 13), 72),
        (date(2026, 3, 14), 73),
        (date(1953, 3, 14), 0),
        (date(1953, 3, 13), -1),
    ],
)
def test_a_birthday_counts_from_its_morning(day: date, age: int) -> None:
    assert age_on("44030119530314902X", day) == age


def with_luhn(payload: str) -> str:
    """Complete a card number with its check digit."""
    return next(payload + digit for digit in DIGITS if passes_luhn(payload + digit))


@pytest.mark.parametrize(
    ("account", "passes"),
    [("4111111111111111", True), ("6222020000000001024", True), ("6222020000000001025", False), ("79927398713", True)],
)
def test_luhn_knows_cards(account: str, passes: bool) -> None:  # noqa: FBT001
    assert passes_luhn(account) is passes


@given(payload=some.text(DIGITS, min_size=7, max_size=31))
def test_exactly_one_check_digit_fits_an_account(payload: str) -> None:
    assert sum(passes_luhn(payload + digit) for digit in DIGITS) == 1


@given(payload=some.text(DIGITS, min_size=7, max_size=31), place=some.integers(0, 31), digit=some.sampled_from(DIGITS))
def test_every_error_in_one_digit_of_a_card_is_flagged(payload: str, place: int, digit: str) -> None:
    card = with_luhn(payload)
    place %= len(card)
    assume(card[place] != digit)
    assert not passes_luhn(card[:place] + digit + card[place + 1 :])


INVISIBLE = some.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"])
LETTERS = some.text(some.characters(categories=["Lo", "Lu", "Ll"]), min_size=1, max_size=20)


@given(before=LETTERS, invisible=INVISIBLE, after=LETTERS)
def test_no_name_with_anything_invisible_in_it_is_accepted(before: str, invisible: str, after: str) -> None:
    with pytest.raises(ValueError, match="control, bidirectional or zero-width"):
        visible_name(before + invisible + after)


@given(name=some.lists(LETTERS, min_size=1, max_size=3))
def test_names_of_letters_with_spaces_and_dots_between_are_accepted(name: list[str]) -> None:
    for written in ("·".join(name), " ".join(name), "".join(name)):
        assert visible_name(written) == written


PATTERNED: list[tuple[str, Any, str]] = [
    ("account", Account, r"[0-9]{8,32}"),
    ("phone", Phone, r"\+?[0-9]{5,20}"),
    ("code", Code, r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"),
]


@pytest.mark.parametrize(
    ("kind", "pattern"), [(kind, pattern) for _, kind, pattern in PATTERNED], ids=["account", "phone", "code"]
)
@given(data=some.data())
def test_a_pattern_means_the_whole_text(kind: Any, pattern: str, data: some.DataObject) -> None:  # noqa: ANN401
    good = data.draw(some.from_regex(pattern, fullmatch=True))
    assert TypeAdapter(kind).validate_python(good) == good
    for bad in (f"{good}\n", f"\n{good}", f"{good} ", f" {good}", f"{good}\0", f"{good}\n{good}", f"{good}٣"):
        with pytest.raises(ValidationError):
            TypeAdapter(kind).validate_python(bad)
