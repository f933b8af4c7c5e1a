"""What officers send: shapes, strict about types and unknown fields."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints

from shared.events import Finding, OrderKind
from shared.money import PositiveFen


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not hold the character U+0000")
    return text


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside the calendar") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Text = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_storable)]
Reason = Annotated[
    str, StringConstraints(min_length=1, max_length=2000, strip_whitespace=True), AfterValidator(_storable)
]


class Strict(BaseModel):
    """A body from outside: no unknown fields, no guessing of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Ordering(Strict):
    """An order to the payee's bank. Without `amount_fen` a stop is for all that was not averted at the counter."""

    kind: OrderKind
    amount_fen: PositiveFen | None = None
    reason: Text = ""
    remark: Text = ""


class Closing(Strict):
    """What the police found. An unfounded case releases what it holds."""

    finding: Finding
    scam_type: Text | None = None
    reason: Reason


class Unmasking(Strict):
    """Why an officer needs to see names and numbers; it is recorded."""

    reason: Reason
