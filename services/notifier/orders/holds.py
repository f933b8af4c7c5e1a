"""An account as orders have made it: what holds it, and what each kind of order would make of it. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.notifier.orders.law import Rule
from services.notifier.orders.order import (
    FALLEN,
    FREEZING,
    STOPPING,
    Order,
)
from shared.events import (
    OrderKind,
)
from shared.money import LARGEST_AMOUNT_FEN


class Hold(StrEnum):
    """What holds an account."""

    FREE = "free"
    STOPPED = "stopped"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class Account:
    """What orders have made of one account. `by` is the order that holds it; `stops` were done or may yet be."""

    hold: Hold
    by: Order | None
    stops: int
    waiting: tuple[Order, ...]


def account_of(orders: Sequence[Order], now: datetime) -> Account:
    """Return how an account stands after all orders ever made on it, oldest first. A freeze outranks a stop."""
    holding = sorted((one for one in orders if one.holds(now)), key=lambda one: one.kind in FREEZING)
    by = holding[-1] if holding else None
    hold = Hold.FREE if by is None else Hold.FROZEN if by.kind in FREEZING else Hold.STOPPED
    stops = sum(1 for one in orders if one.kind in STOPPING and one.status not in FALLEN)
    return Account(hold, by, stops, tuple(one for one in orders if one.waits))


TRANSITIONS: Final[Mapping[tuple[Hold, OrderKind], Hold | Rule]] = {
    (Hold.FREE, OrderKind.STOP): Hold.STOPPED,
    (Hold.FREE, OrderKind.EXTEND_STOP): Rule.EXTEND_A_RUNNING_STOP,
    (Hold.FREE, OrderKind.RELEASE_STOP): Rule.RELEASE_WHAT_IS_HELD,
    (Hold.FREE, OrderKind.FREEZE): Rule.FREEZE_BEFORE_EXPIRY,
    (Hold.FREE, OrderKind.EXTEND_FREEZE): Rule.RENEW_BEFORE_EXPIRY,
    (Hold.FREE, OrderKind.UNFREEZE): Rule.UNFREEZE_WHAT_IS_FROZEN,
    (Hold.FREE, OrderKind.RETURN_FUNDS): Rule.RETURN_WHAT_IS_FROZEN,
    (Hold.STOPPED, OrderKind.STOP): Hold.STOPPED,
    (Hold.STOPPED, OrderKind.EXTEND_STOP): Hold.STOPPED,
    (Hold.STOPPED, OrderKind.RELEASE_STOP): Hold.FREE,
    (Hold.STOPPED, OrderKind.FREEZE): Hold.FROZEN,
    (Hold.STOPPED, OrderKind.EXTEND_FREEZE): Rule.RENEW_BEFORE_EXPIRY,
    (Hold.STOPPED, OrderKind.UNFREEZE): Rule.UNFREEZE_WHAT_IS_FROZEN,
    (Hold.STOPPED, OrderKind.RETURN_FUNDS): Rule.RETURN_WHAT_IS_FROZEN,
    (Hold.FROZEN, OrderKind.STOP): Rule.FROZEN_ALREADY,
    (Hold.FROZEN, OrderKind.EXTEND_STOP): Rule.FROZEN_ALREADY,
    (Hold.FROZEN, OrderKind.RELEASE_STOP): Rule.UNFREEZE_INSTEAD,
    (Hold.FROZEN, OrderKind.FREEZE): Rule.FROZEN_ALREADY,
    (Hold.FROZEN, OrderKind.EXTEND_FREEZE): Hold.FROZEN,
    (Hold.FROZEN, OrderKind.UNFREEZE): Hold.FREE,
    (Hold.FROZEN, OrderKind.RETURN_FUNDS): Hold.FROZEN,
}
"""What each kind of order makes of an account, or the rule it would break. The documentation's table is made of it."""


def left_to_return(account: Account, orders: Sequence[Order]) -> int:
    """Return what a freeze still holds, in fen: never more was returned, or is being, than any of its orders froze.

    A bank may answer a renewal with what is left or with what was frozen at first; so each link of the chain counts
    the returns since. A freeze of the whole account holds other money too; what it was ordered for may be returned.
    """
    if account.by is None or account.hold is not Hold.FROZEN:
        return 0
    returned: Counter[UUID] = Counter()
    for one in orders:
        if one.kind is OrderKind.RETURN_FUNDS and one.acts_on and one.status not in FALLEN:
            returned[one.acts_on] += one.amount_fen if one.returned_fen is None else one.returned_fen
    left, gone = LARGEST_AMOUNT_FEN, 0
    for link in freeze_chain(account.by, orders):
        gone += returned[link.id]
        frozen = link.frozen_fen or 0
        left = min(left, (min(frozen, link.amount_fen) if link.scope == "account" else frozen) - gone)
    return max(0, left)


def freeze_chain(order: Order, orders: Sequence[Order]) -> list[Order]:
    """Return a freeze and the freezes it renews, the newest first: one hold under several orders."""
    by_id = {one.id: one for one in orders}
    chain = [order]
    while order.acts_on in by_id and by_id[order.acts_on].kind in FREEZING:
        order = by_id[order.acts_on]
        chain.append(order)
    return chain
