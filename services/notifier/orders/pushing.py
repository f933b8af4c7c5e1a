"""Orders pushed to banks, beside the pull: a word that there is one, and where to fetch it. Inside a transaction."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from services.notifier.cases.case import Case
from services.notifier.orders import push_store
from services.notifier.orders.order import Order
from services.notifier.orders.push_store import Push
from shared.outbox import new_id
from shared.postgres import Connection

ORDER_TYPE: Final = "lanjie.order.v1"
PULL_FINDS_IT: Final = timedelta(milliseconds=300)
"""The order reaches the banks' door by way of the broker; a bank that is told fetches it there."""


async def push(connection: Connection, orders: Sequence[tuple[Order, Case]], *, again: bool = False) -> None:
    """Tell banks' own systems of orders that were issued to them, or that they have not answered in time (`again`).

    A bank without any pulls its orders, as it may in any case. Raises `ValueError` for an order that the bank is not
    to know of: one that waits for a second officer, or was turned down.
    """
    pushes = [Push(new_id(), order.bank, about.id, facts(order, about, again=again)) for order, about in orders]
    await push_store.insert_pushes(connection, pushes, ORDER_TYPE, PULL_FINDS_IT)


def facts(order: Order, about: Case, *, again: bool) -> dict[str, Any]:
    """Return what a bank is told of an order: no names, no numbers. Amounts in fen; `link` is at the banks' door."""
    return {
        "order_id": str(order.id),
        "version": order.version,
        "kind": order.kind.value,
        "status": order.status.at_the_bank().value,
        "bank": order.bank,
        "case_id": str(about.id),
        "scam_type": about.scam_type,
        "emergency_level": order.emergency_level,
        "amount_fen": order.amount_fen,
        "ordered_at": order.ordered_at.isoformat(),
        "again": again,
        "link": f"/v1/orders/{order.id}",
        "traceparent": about.traceparent or None,
    }
