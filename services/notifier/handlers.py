"""notifier's use cases that dispositions and feedback bring: one function each, one transaction each.

Each returns the events it has promised; the caller hands them to the relay once the transaction is through.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from services.notifier import ledger, money_store, order, report_store, store, timeline, visits
from services.notifier.announcing import announce
from services.notifier.case import Case
from services.notifier.order import Order
from shared.events import (
    DispositionRecorded,
    FeedbackContradicted,
    FeedbackReceived,
    OrderChanged,
    OrderKind,
    OrderStatus,
)
from shared.outbox import Outgoing, answered, keep, new_id, outgoing
from shared.postgres import Connection, Pool


class UnknownOrderError(Exception):
    """A feedback names an order or a case that the database does not know.

    Look whether the database was restored to an earlier point; its record lies in the dead letters.
    """


async def count_dispositions(pool: Pool, events: Sequence[DispositionRecorded], now: datetime) -> list[Outgoing]:
    """Let the ledger know how visits ended. One whose report is not known yet waits for its verdict."""
    async with pool.acquire() as connection, connection.transaction():
        report_ids = [event.report_id for event in events]
        await money_store.insert_dispositions(connection, events)
        # a report that is moved into a case meanwhile must not miss this visit: whoever moves it waits, or has
        await report_store.hold_still(connection, report_ids)
        lines, rows = await visits.count(connection, report_ids, {}, now)
        await money_store.book(connection, lines)
        await keep(connection, rows)
    return rows


async def take_feedback(pool: Pool, feedback: FeedbackReceived, now: datetime) -> tuple[Order | None, list[Outgoing]]:
    """Apply the bank's answer to its order, count the money, say so. The second time, say it again.

    Returns the order where this was news. Raises `UnknownOrderError`.
    """
    async with pool.acquire() as connection, connection.transaction():
        about = await _locked_case(connection, feedback.case_id)
        on_account = await money_store.orders_on(connection, about.payee_token)
        before = next((one for one in on_account if one.id == feedback.order_id), None)
        if before is None:
            raise UnknownOrderError
        event = await money_store.event_of(connection, before.id)
        if before.status is OrderStatus.PENDING:
            after = order.answered(before, feedback)
            rows = await _apply(connection, about, after, _order_event(event, after), now)
        else:
            after = None
            rows = [outgoing(event.model_copy(update={"answers": feedback.feedback_id}), new_id())]
        await keep(connection, rows)
    return after, rows


async def _locked_case(connection: Connection, case_id: UUID) -> Case:
    found = await store.locked_case(connection, case_id)
    if found is None:
        raise UnknownOrderError
    return found


async def _apply(
    connection: Connection, about: Case, after: Order, said: OrderChanged, now: datetime
) -> list[Outgoing]:
    """Write an answered order down, with what follows for the case and the money."""
    await money_store.update_order(connection, after, said)
    await answered(connection, [after.id])
    if after.kind is OrderKind.RELEASE_STOP and after.status is OrderStatus.EXECUTED:
        await money_store.mark_released(connection, after.case_id, after)
    [book] = await money_store.books(connection, [about], [])
    cause = after.feedback_id or after.id
    await money_store.book(connection, [(cause, entry) for entry in ledger.entries(book)])
    await store.write_timeline(connection, [timeline.answered(after, now)])
    changed = replace(about, version=about.version + 1)
    await store.update_cases(connection, [changed])
    return [outgoing(said, new_id()), *await announce(connection, [changed])]


def _order_event(event: OrderChanged, after: Order) -> OrderChanged:
    return event.model_copy(
        update={
            "version": after.version,
            "status": after.status,
            "expires_at": after.expires_at,
            "answers": after.feedback_id,
        }
    )


async def note_contradiction(pool: Pool, event: FeedbackContradicted, now: datetime) -> list[Outgoing]:
    """Put a contradicting answer where the officers see it, once, and answer it. Raises `UnknownOrderError`."""
    async with pool.acquire() as connection, connection.transaction():
        about = await _locked_case(connection, event.case_id)
        await store.tell(connection, [timeline.contradicted(about.id, event, now)])
        order_as_it_stands = await money_store.event_of(connection, event.order_id)
        rows = [outgoing(order_as_it_stands.model_copy(update={"answers": event.contradiction_id}), new_id())]
        await keep(connection, rows)
    return rows
