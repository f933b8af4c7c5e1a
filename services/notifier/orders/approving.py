"""Second officers: proposed orders approved or turned down. One function a use case, one transaction each."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from services.notifier import people_store
from services.notifier.cases import store, timeline
from services.notifier.cases.announcing import write_case
from services.notifier.cases.case import Case, Entry
from services.notifier.clock import clock_store
from services.notifier.clock.clock import Stage
from services.notifier.office import Office
from services.notifier.orders import legality, order_store, ordering
from services.notifier.orders.order import Order
from services.notifier.orders.ordering import on_record
from services.notifier.people_store import Officer
from shared.errors import not_found
from shared.events import OrderChanged
from shared.outbox import Outgoing
from shared.postgres import Connection
from shared.tracing import joined


async def approve(office: Office, officer: Officer, order_id: UUID, now: datetime) -> tuple[Order, list[Outgoing]]:
    """Approve another officer's order, and send it. Twice is once.

    The law is asked again: a stop may have run out while the freeze was waiting.
    """
    async with on_record(office, officer, order_id), office.pool.acquire() as connection, connection.transaction():
        about, before, every = await _proposed(connection, officer, order_id)
        if before.approved_by == officer.id:
            return before, []
        after = legality.approved(before, officer.id, officer.role, officer.level, now)
        others = [one for one in every if one.id != order_id and one.payee_token == before.payee_token]
        mine = [one for one in every if one.case_id == about.id]
        legality.refuse_unlawful(legality.asked_again(before, mine), about, others, now)
        event = await order_store.event_of(connection, order_id)
        event = event.model_copy(update={"version": after.version, "starts_at": now})
        entry = timeline.approved(after, officer.name, now)
        await people_store.audit(connection, office.identity, f"officer:{officer.name}", "order_approved", order_id)
        rows = await _settle(connection, about, after, event, entry)
        rows += await ordering.send(connection, office, after, event, about, now)
    return after, rows


async def reject(
    office: Office, officer: Officer, order_id: UUID, reason: str, now: datetime
) -> tuple[Order, list[Outgoing]]:
    """Turn a proposed order down: who could approve it, or whose it is. An order is due again where none is left."""
    async with on_record(office, officer, order_id), office.pool.acquire() as connection, connection.transaction():
        about, before, _ = await _proposed(connection, officer, order_id)
        after = legality.rejected(before, officer.id, officer.role, officer.level)
        event = await order_store.event_of(connection, order_id)
        entry = timeline.rejected(after, officer.name, now, own=after.ordered_by == officer.id)
        actor = f"officer:{officer.name}"
        await people_store.audit(connection, office.identity, actor, "order_rejected", order_id, reason)
        rows = await _settle(connection, about, after, event, entry)
        await clock_store.start_order(connection, office.deadlines(), [about], now)
    return after, rows


async def _proposed(connection: Connection, officer: Officer, order_id: UUID) -> tuple[Case, Order, Sequence[Order]]:
    """Lock an order's case and all orders on the case's accounts; what is absent or another's looks the same."""
    case_id = await order_store.case_of_order(connection, order_id)
    about = await store.locked_case_seen_by(connection, case_id, officer.path) if case_id else None
    if about is None:
        raise not_found("order")
    about = replace(about, traceparent=joined(about.traceparent))
    every = await order_store.orders_about(connection, about.id, [])
    return about, next(one for one in every if one.id == order_id), every


async def _settle(
    connection: Connection, about: Case, after: Order, event: OrderChanged, entry: Entry
) -> list[Outgoing]:
    await order_store.update_order(connection, after, event)
    await clock_store.meet(connection, [about.id], [Stage.APPROVE], [after.id])
    return await write_case(connection, replace(about, version=about.version + 1), [entry])
