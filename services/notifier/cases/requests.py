"""What officers send: shapes, strict about types and unknown fields."""

import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from services.notifier.orders.order import FREEZING, ApplicationType
from shared.errors import FieldProblem
from shared.events import Finding, OrderKind
from shared.fields import SAYS_SOMETHING, STORABLE, as_text, described, stripped
from shared.money import PositiveFen

CLOCKS_MAY_DIFFER: Final = timedelta(minutes=5)


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not hold the character U+0000")
    return text


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside the calendar") from None


def _visible(text: str) -> str:
    if any(unicodedata.category(character).startswith(("C", "Zl", "Zp")) for character in text):
        raise ValueError("must not hold characters that cannot be seen")
    return text


Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(as_text), AfterValidator(_in_utc)]
Text = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_storable), described(pattern=STORABLE)]
Reason = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2000),
    AfterValidator(stripped),
    AfterValidator(_storable),
    described(pattern=SAYS_SOMETHING),
]
Short = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, strip_whitespace=True),
    AfterValidator(_visible),
    described(format="visible-text"),
]
Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=50, strip_whitespace=True),
    AfterValidator(_visible),
    described(format="visible-text"),
]
Account = Annotated[str, StringConstraints(pattern=r"^[0-9]{8,32}$")]


class Strict(BaseModel):
    """A body from outside: no unknown fields, no guessing of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Ordering(Strict):
    """An order to the payee's bank. Without `amount_fen` a stop is for all that was not averted at the counter.

    It is about the account the customer paid (or the one that took its place when a mistake was corrected), about an
    account further on (`onward_id`), or about the account of an earlier order of the case
    (`original_application_id`). `corrects` names a failed order; with it come the facts that were wrong.
    `bank_stopped_at`: the bank stopped first, and this is the paperwork. `report_id` names whose money is returned,
    where several customers paid. The fields from `term_months` on are a freeze's.
    """

    kind: OrderKind
    amount_fen: PositiveFen | None = None
    reason: Text = ""
    remark: Text = ""
    emergency_level: Literal["01", "02"] | None = None
    application_type: ApplicationType | None = None
    original_application_id: UUID | None = None
    onward_id: UUID | None = None
    co_officer: Name | None = None
    bank_stopped_at: Moment | None = None
    corrects: UUID | None = None
    payee_name: Name | None = None
    payee_account: Account | None = None
    transfer_at: Moment | None = None
    report_id: UUID | None = None
    term_months: Annotated[int, Field(ge=1, le=120)] | None = None
    major: bool | None = None
    scope: Literal["amount", "account"] | None = None
    includes_proceeds: bool | None = None
    notice_number: Short | None = None


ONLY_FOR_FREEZES: Final = ("term_months", "major", "scope", "includes_proceeds", "notice_number")
ONLY_FOR_CORRECTIONS: Final = ("payee_name", "payee_account", "transfer_at")
NEEDS_REASON: Final = (OrderKind.RELEASE_STOP, OrderKind.UNFREEZE)
BACKFILLED: Final = (ApplicationType.BACKFILLED, ApplicationType.BACKFILLED_MORE)


def problems(asked: Ordering, now: datetime) -> list[FieldProblem]:
    """Return the fields of a well-formed order that do not go with its kind or with each other, and what is missing."""
    wrong: list[tuple[str, str]] = []
    if asked.kind in NEEDS_REASON:
        if not asked.reason.strip():
            wrong.append(("reason", "is needed: who frees an account says why"))
        if asked.amount_fen is not None:
            wrong.append(("amount_fen", f"has no place in {asked.kind.value}: it frees all that is held"))
    if asked.kind not in FREEZING:
        wrong += _misplaced(asked, ONLY_FOR_FREEZES, f"has no place in {asked.kind.value}; it is a freeze's")
    if asked.kind is not OrderKind.RETURN_FUNDS:
        wrong += _misplaced(asked, ("report_id",), f"has no place in {asked.kind.value}; it is a return's")
    if asked.corrects is None:
        wrong += _misplaced(asked, ONLY_FOR_CORRECTIONS, "has no place in an order that corrects none ('corrects')")
    elif asked.onward_id is not None:
        wrong.append(("onward_id", "has no place in a correction: the failed order names the account"))
    wrong += _backfill_problems(asked, now)
    if asked.transfer_at is not None and asked.transfer_at > now + CLOCKS_MAY_DIFFER:
        wrong.append(("transfer_at", "lies in the future"))
    return [FieldProblem(field=field, message=message) for field, message in wrong]


def _misplaced(asked: Ordering, fields: tuple[str, ...], message: str) -> list[tuple[str, str]]:
    return [(field, message) for field in fields if getattr(asked, field) is not None]


def _backfill_problems(asked: Ordering, now: datetime) -> list[tuple[str, str]]:
    wrong = []
    if asked.bank_stopped_at is not None:
        if asked.kind is not OrderKind.STOP:
            wrong.append(("bank_stopped_at", f"has no place in {asked.kind.value}; it is a stop's"))
        if asked.bank_stopped_at > now + CLOCKS_MAY_DIFFER:
            wrong.append(("bank_stopped_at", "lies in the future"))
        if asked.application_type not in (None, *BACKFILLED):
            wrong.append(("application_type", "must be 04 or 05 for paperwork that follows a stop of the bank's own"))
    elif asked.application_type in BACKFILLED:
        wrong.append(("bank_stopped_at", "is needed for application types 04 and 05: when did the bank stop?"))
    return wrong


class Rejecting(Strict):
    """Why a proposed order is turned down."""

    reason: Reason


class Closing(Strict):
    """What the police found. An unfounded case releases what it holds."""

    finding: Finding
    scam_type: Text | None = None
    reason: Reason


class Unmasking(Strict):
    """Why an officer needs to see names and numbers; it is recorded."""

    reason: Reason
