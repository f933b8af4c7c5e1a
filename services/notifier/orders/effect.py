"""What the bank's answer makes of an order, and of the holds before it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from services.notifier.clock.clock import STOP_LASTS
from services.notifier.orders.order import (
    ENDING,
    FREEZING,
    HOLDING,
    STOPPING,
    USUAL_TERM_MONTHS,
    EndedWhy,
    Order,
    Standing,
)
from shared.events import (
    Failure,
    FeedbackReceived,
    FeedbackResult,
    OrderKind,
)


def answered(order: Order, feedback: FeedbackReceived) -> Order:
    """Apply the bank's feedback. A hold runs from the moment the bank executed it, to the law's end or the bank's."""
    done = feedback.result is FeedbackResult.SUCCESS
    return replace(
        order,
        version=order.version + 1,
        status=Standing.EXECUTED if done else Standing.FAILED,
        feedback_id=feedback.feedback_id,
        balance_before_fen=feedback.balance_before_fen,
        stopped_fen=feedback.stopped_fen,
        frozen_fen=feedback.frozen_fen,
        returned_fen=feedback.returned_fen,
        failure=None if done else feedback.failure or Failure.TECHNICAL,
        mismatch=feedback.mismatch,
        executed_at=feedback.executed_at,
        expires_at=_expiry(order, feedback) if done else None,
        answered_at=feedback.received_at,
    )


def _expiry(order: Order, feedback: FeedbackReceived) -> datetime | None:
    """A back-filled stop runs from the moment the bank stopped, even if it names the moment of the paperwork."""
    if feedback.executed_at is None or order.kind not in HOLDING:
        return None
    if order.kind in STOPPING:
        lawful = min(feedback.executed_at, order.bank_stopped_at or feedback.executed_at) + STOP_LASTS
    else:
        lawful = months_later(feedback.executed_at, order.term_months or USUAL_TERM_MONTHS)
    return min(lawful, feedback.expires_at) if feedback.expires_at else lawful


def months_later(at: datetime, months: int) -> datetime:
    """Return the same day so many months later, or the last day of that month."""
    year, month = divmod(at.month - 1 + months, 12)
    for day in range(at.day, 27, -1):
        try:
            return at.replace(year=at.year + year, month=month + 1, day=day)
        except ValueError:
            continue
    return at.replace(year=at.year + year, month=month + 1)


WHY_ENDED: Final[Mapping[OrderKind, EndedWhy]] = {
    OrderKind.EXTEND_STOP: EndedWhy.EXTENDED,
    OrderKind.FREEZE: EndedWhy.FROZEN,
    OrderKind.EXTEND_FREEZE: EndedWhy.RENEWED,
    OrderKind.RELEASE_STOP: EndedWhy.RELEASED,
    OrderKind.UNFREEZE: EndedWhy.RELEASED,
}


def ended_by(done: Order, orders: Sequence[Order]) -> list[Order]:
    """Return the holds of its case on the account that an executed order ends or takes over, ended.

    Answers come in any order. So an order whose own hold was over before its answer came is among them.
    """
    others = [
        one
        for one in orders
        if one.id != done.id and one.case_id == done.case_id and one.payee_token == done.payee_token
    ]
    ended = [_ended(one, done) for one in others if _ends(done, one)]
    before = next((one for one in others if _ended_before(done, one)), None)
    return [*ended, _ended(done, before)] if before else ended


def _ended(hold: Order, by: Order) -> Order:
    return replace(hold, ended_at=by.executed_at, ended_why=WHY_ENDED[by.kind])


def _ends(done: Order, hold: Order) -> bool:
    """What the bank did after it had freed the account is held still, unless the freeing names it."""
    if done.executed_at is None or not _reaches(done, hold) or not hold.holds(done.executed_at):
        return False
    later = hold.executed_at is not None and hold.executed_at > done.executed_at
    return done.kind not in ENDING or hold.id == done.acts_on or not later


def _ended_before(hold: Order, other: Order) -> bool:
    """Whether another order, answered before this one, had freed the account later, or put a freeze in its place."""
    if hold.executed_at is None or other.executed_at is None or not _reaches(other, hold):
        return False
    if other.kind in ENDING:
        return hold.ordered_at <= other.ordered_at and hold.executed_at < other.executed_at
    return other.kind in FREEZING and hold.kind in STOPPING and other.holds(hold.executed_at)


def _reaches(done: Order, hold: Order) -> bool:
    """Whether an order that was executed is of a kind to end a hold of that kind."""
    over = HOLDING if done.kind in (OrderKind.EXTEND_FREEZE, OrderKind.UNFREEZE) else STOPPING
    executed = done.status is Standing.EXECUTED and hold.status is Standing.EXECUTED
    return executed and done.kind in WHY_ENDED and hold.kind in over


def expired(order: Order) -> Order:
    """Return a hold that has run out: the bank frees the account by itself."""
    return replace(order, ended_at=order.expires_at, ended_why=EndedWhy.EXPIRED)
