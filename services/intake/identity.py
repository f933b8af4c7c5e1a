"""Names and numbers of people and accounts: what is accepted, and what is only flagged."""

import re
import unicodedata
from datetime import date
from typing import Annotated, Final

from pydantic import AfterValidator, StringConstraints

from shared.fields import STORABLE, described

RESIDENT_ID: Final = re.compile(r"[0-9]{17}[0-9Xx]")
WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECK_CHARACTERS: Final = "10X98765432"
EARLIEST_BIRTH_YEAR: Final = 1900
DOUBLED: Final = str.maketrans("0123456789", "0246813579")
"""Each digit twice, as the sum of its digits."""
INVISIBLE: Final = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories no name has: controls, bidirectional and zero-width marks, halves, line breaks."""


def visible_name(name: str) -> str:
    """Accept a name as people write it: rare Hanzi, `·` and spaces inside, nothing that cannot be seen."""
    if any(unicodedata.category(character) in INVISIBLE for character in name):
        raise ValueError("must not hold control, bidirectional or zero-width characters")
    if name != name.strip():
        raise ValueError("must not begin or end with a space")
    return name


def free_text(text: str) -> str:
    """Accept any text a teller types, but not the one character PostgreSQL cannot store."""
    if "\0" in text:
        raise ValueError("must not hold the character U+0000")
    return text


def resident_id(number: str) -> str:
    """Accept an 18-digit resident identity number (GB 11643-1999); a lower-case x is normalised."""
    if not RESIDENT_ID.fullmatch(number):
        raise ValueError("must be 17 digits and a check character")
    number = number.upper()
    try:
        born = born_on(number)
    except ValueError:
        raise ValueError("holds a date of birth that does not exist") from None
    if born.year < EARLIEST_BIRTH_YEAR:
        raise ValueError("holds a date of birth that is too long ago")
    total = sum(int(digit) * weight for digit, weight in zip(number, WEIGHTS, strict=False))
    if number[-1] != CHECK_CHARACTERS[total % 11]:
        raise ValueError("has a wrong check character")
    return number


def born_on(number: str) -> date:
    """Read the date of birth out of a resident identity number."""
    return date(int(number[6:10]), int(number[10:12]), int(number[12:14]))


def age_on(number: str, day: date) -> int:
    """Whole years of age on `day`."""
    born = born_on(number)
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def passes_luhn(account: str) -> bool:
    """Whether a card number's check digit fits. Many accounts that are no cards fail: a flag, not a refusal."""
    backwards = account[::-1]
    return (sum(map(int, backwards[::2])) + sum(map(int, backwards[1::2].translate(DOUBLED)))) % 10 == 0


# pydantic's patterns are Rust's and mean the whole text by ^ and $, a newline at its end included; so do the
# integrators' JSON Schema validators, which do not know \\A and \\z.
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=50), AfterValidator(visible_name), described(format="visible-text")
]
Account = Annotated[str, StringConstraints(pattern=r"^[0-9]{8,32}$")]
Phone = Annotated[str, StringConstraints(pattern=r"^\+?[0-9]{5,20}$")]
ResidentId = Annotated[
    str, AfterValidator(resident_id), described(format="resident-id", pattern=f"^{RESIDENT_ID.pattern}$")
]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
FreeText = Annotated[str, StringConstraints(max_length=2000), AfterValidator(free_text), described(pattern=STORABLE)]
