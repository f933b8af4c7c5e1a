"""What an unfounded case had let go when it is reopened: what is on its way holds again. Pure.

What was decided for another reason stays: an account holder's objection that was upheld, an account that officers
freed before the case was closed.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.notifier.orders.order import ENDING, HOLDING, Order, Standing


def wanted_again(orders: Sequence[Order], closed_at: datetime, upheld: Sequence[datetime]) -> list[Order]:
    """Return what the bank has yet to answer and is to hold after all; `upheld` are when objections were."""
    return [
        one
        for one in orders
        if one.unwanted
        and one.status is Standing.PENDING
        and one.kind in HOLDING
        and not any(at >= one.ordered_at for at in (*upheld, *_freed(orders, one, closed_at)))
    ]


def _freed(orders: Sequence[Order], hold: Order, closed_at: datetime) -> list[datetime]:
    return [
        one.ordered_at
        for one in orders
        if one.kind in ENDING and one.payee_token == hold.payee_token and one.ordered_at < closed_at
    ]


def no_longer_due(orders: Sequence[Order], closed_at: datetime, upheld: Sequence[datetime]) -> list[Order]:
    """Return the releases that only the finding asked for. One that is at the bank goes on; nobody must repeat it."""
    given: dict[UUID | None, datetime] = {one.id: one.ordered_at for one in orders}
    return [
        one
        for one in orders
        if one.kind in ENDING
        and one.ordered_at >= closed_at
        and not any(at >= given.get(one.acts_on, one.ordered_at) for at in upheld)
    ]
