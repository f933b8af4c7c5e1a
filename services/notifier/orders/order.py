"""Orders to banks: what one is, where it stands, and whether it holds an account. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from shared.events import (
    Checked,
    Failure,
    OrderKind,
    OrderStatus,
)

ANY_LEVEL: Final = 6


USUAL_TERM_MONTHS: Final = 6


class Standing(StrEnum):
    """Where an order stands: before a second officer, at the bank, done by it, not possible for it, or turned down."""

    PROPOSED = "proposed"
    PENDING = "pending"
    EXECUTED = "executed"
    FAILED = "failed"
    REJECTED = "rejected"

    def at_the_bank(self) -> OrderStatus:
        """Return what the bank is told. A proposed or rejected order is not its business: raises `ValueError`."""
        return OrderStatus(self.value)


class ApplicationType(StrEnum):
    """Who moved first, as the national platform numbers it: police, bank, or the bank with paperwork to follow."""

    POLICE_FIRST = "00"
    POLICE_FIRST_MORE = "01"
    BANK_REPORTED = "02"
    BANK_REPORTED_MORE = "03"
    BACKFILLED = "04"
    BACKFILLED_MORE = "05"


class EndedWhy(StrEnum):
    """How a hold ended: freed by an order, run out, or gone over into a further order's."""

    RELEASED = "released"
    EXPIRED = "expired"
    EXTENDED = "extended"
    FROZEN = "frozen"
    RENEWED = "renewed"


@dataclass(frozen=True, slots=True)
class Order:
    """An order as it stands. Amounts in fen. `covers` are the reports whose money it is about.

    `acts_on` is the order whose hold it extends, ends, freezes or returns money from; `corrects` a failed one that
    it puts right. `account_level` is 1 for the account the customer paid, more for accounts further on.
    `approval_level` is the level of unit whose officer must approve (1 city, 2 county, 6 any), where one must.
    `unwanted`: its account was freed while the bank had yet to answer, so it is freed again when the bank does.
    """

    id: UUID
    version: int
    case_id: UUID
    payee_token: str
    kind: OrderKind
    status: Standing
    bank: str
    amount_fen: int
    covers: tuple[UUID, ...]
    original_application_id: UUID | None
    ordered_by: UUID | None
    ordered_at: datetime
    account_level: int = 1
    application_type: str = ApplicationType.BANK_REPORTED.value
    emergency_level: str = "02"
    acts_on: UUID | None = None
    corrects: UUID | None = None
    term_months: int | None = None
    scope: str | None = None
    includes_proceeds: bool | None = None
    notice_number: str | None = None
    unwanted: bool = False
    approval_level: int | None = None
    approved_by: UUID | None = None
    approved_at: datetime | None = None
    bank_stopped_at: datetime | None = None
    feedback_id: UUID | None = None
    balance_before_fen: int | None = None
    stopped_fen: int | None = None
    frozen_fen: int | None = None
    returned_fen: int | None = None
    failure: Failure | None = None
    mismatch: tuple[Checked, ...] = ()
    executed_at: datetime | None = None
    expires_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    ended_why: EndedWhy | None = None

    @property
    def waits(self) -> bool:
        """Whether a second officer or the bank has yet to say something."""
        return self.status in (Standing.PROPOSED, Standing.PENDING)

    def holds(self, now: datetime) -> bool:
        """Whether the bank did it, it holds an account, and nothing ended that since."""
        done = self.kind in HOLDING and self.status is Standing.EXECUTED
        return done and self.ended_at is None and (self.expires_at is None or now < self.expires_at)


STOPPING: Final = (OrderKind.STOP, OrderKind.EXTEND_STOP)


FREEZING: Final = (OrderKind.FREEZE, OrderKind.EXTEND_FREEZE)


ENDING: Final = (OrderKind.RELEASE_STOP, OrderKind.UNFREEZE)


HOLDING: Final = STOPPING + FREEZING


FALLEN: Final = (Standing.FAILED, Standing.REJECTED)
"""Standings of orders that came to nothing."""
