"""Orders to banks, as the law allows them. Pure.

Sources: 银发〔2016〕86号 (stop payment: 48 hours from the moment the bank stopped, at most twice an account);
反电信网络诈骗法 art. 20 (timely release is a duty).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.notifier.case import Case
from services.notifier.clock import STOP_LASTS
from shared.errors import FieldProblem, conflict, invalid
from shared.events import CaseStatus, FeedbackReceived, FeedbackResult, OrderKind, OrderStatus
from shared.money import LARGEST_AMOUNT_FEN

MOST_STOPS: Final = 2
TWICE: Final = (
    "This account has been stopped twice; the law allows no third stop (银发〔2016〕86号). Decide on a freeze instead."
)
WAITING: Final = "An order of this kind on this account is waiting for the bank's answer."
OFFERED: Final = (OrderKind.STOP, OrderKind.RELEASE_STOP)


class ApplicationType(StrEnum):
    """Who moved first, as the national platform numbers it."""

    POLICE_FIRST = "00"
    BANK_REPORTED = "02"


@dataclass(frozen=True, slots=True)
class Order:
    """An order as it stands. `covers` are the reports whose money it is about; amounts in fen."""

    id: UUID
    version: int
    case_id: UUID
    payee_token: str
    kind: OrderKind
    status: OrderStatus
    bank: str
    amount_fen: int
    covers: tuple[UUID, ...]
    original_application_id: UUID | None
    ordered_by: UUID | None
    ordered_at: datetime
    feedback_id: UUID | None = None
    balance_before_fen: int | None = None
    stopped_fen: int | None = None
    executed_at: datetime | None = None
    expires_at: datetime | None = None
    answered_at: datetime | None = None
    released_at: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether this order stopped an account and neither a release nor the end of the 48 hours freed it since."""
        stopped = self.kind is OrderKind.STOP and self.status is OrderStatus.EXECUTED
        return stopped and self.released_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Transfer:
    """A report of the case, as far as an order is about it. Amounts in fen."""

    report_id: UUID
    amount_fen: int
    averted_fen: int


def refuse_unlawful(kind: OrderKind, case: Case, account_orders: Sequence[Order], now: datetime) -> None:
    """Raise where the order would break a rule. `account_orders` are all orders ever on the payee account."""
    if kind not in OFFERED:
        offered = ", ".join(OFFERED)
        raise invalid(FieldProblem(field="kind", message=f"{kind.value} is not offered yet; offered: {offered}"))
    for order in account_orders:
        if order.kind is kind and order.status is OrderStatus.PENDING:
            raise conflict(WAITING, existing_id=str(order.id))
    if kind is OrderKind.STOP:
        if case.status is CaseStatus.CLOSED:
            raise conflict("The case is closed; a stop needs an open case.")
        stops = [order for order in account_orders if order.kind is kind and order.status is not OrderStatus.FAILED]
        if len(stops) >= MOST_STOPS:
            raise conflict(TWICE)
    elif held_in(case.id, account_orders, now) is None:
        raise conflict("Nothing is held in this case, so there is nothing to release.")


def held_in(case_id: UUID, account_orders: Sequence[Order], now: datetime) -> Order | None:
    """Return the latest stop of a case that holds the account."""
    held = [order for order in account_orders if order.case_id == case_id and order.holds(now)]
    return held[-1] if held else None


def stop_amount(transfers: Sequence[Transfer]) -> int:
    """Return the amount a stop is for unless the officer names one: what was not averted at the counter."""
    return min(LARGEST_AMOUNT_FEN, sum(transfer.amount_fen - transfer.averted_fen for transfer in transfers))


def answered(order: Order, feedback: FeedbackReceived) -> Order:
    """Apply the bank's feedback: the 48 hours run from the moment the bank stopped."""
    done = feedback.result is FeedbackResult.SUCCESS
    stops = done and order.kind is OrderKind.STOP and feedback.executed_at is not None
    return replace(
        order,
        version=order.version + 1,
        status=OrderStatus.EXECUTED if done else OrderStatus.FAILED,
        feedback_id=feedback.feedback_id,
        balance_before_fen=feedback.balance_before_fen,
        stopped_fen=feedback.stopped_fen,
        executed_at=feedback.executed_at,
        expires_at=feedback.executed_at + STOP_LASTS if stops and feedback.executed_at else None,
        answered_at=feedback.received_at,
    )
