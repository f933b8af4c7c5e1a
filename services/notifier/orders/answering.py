"""What banks answer to orders: taken once, counted, told, and followed by what must come next."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from services.notifier import people_store
from services.notifier.alerting import alert, alert_store
from services.notifier.alerting.alert_store import Alert
from services.notifier.cases import store, timeline
from services.notifier.cases.announcing import announce
from services.notifier.cases.case import Case
from services.notifier.clock import clock_store
from services.notifier.clock.clock import WARN_BEFORE, Deadline, Stage
from services.notifier.money import family_store, ledger, money_store
from services.notifier.office import Office
from services.notifier.orders import effect, onward, onward_store, order_store, ordering
from services.notifier.orders.order import ENDING, Order, Standing
from shared.events import CaseStatus, FeedbackContradicted, FeedbackReceived, Finding, OrderChanged, OrderKind
from shared.outbox import Outgoing, answered, keep, new_id, outgoing
from shared.postgres import Connection, Pool

LET_GO: Final = "该账户已决定解除控制"
"""Why the bank is told to free what it holds, where the case itself names no reason."""


class UnknownOrderError(Exception):
    """A feedback names an order or a case that the database does not know.

    Look whether the database was restored to an earlier point; its record lies in the dead letters.
    """


async def take_feedback(
    office: Office, feedback: FeedbackReceived, now: datetime
) -> tuple[Order | None, list[Outgoing]]:
    """Apply the bank's answer to its order, count the money, say so. The second time, say it again.

    Returns the order where this was news. Raises `UnknownOrderError`.
    """
    async with office.pool.acquire() as connection, connection.transaction():
        about = await locked_case(connection, feedback.case_id)
        mine = await order_store.orders_in(connection, about.id)
        before = next((one for one in mine if one.id == feedback.order_id), None)
        if before is None:
            raise UnknownOrderError
        event = await order_store.event_of(connection, before.id)
        if before.status is Standing.PENDING:
            await order_store.keep_feedback(connection, feedback)
            after = effect.answered(before, feedback)
            rows = await _apply(connection, about, after, mine, _order_event(event, after), now)
            await _follow(connection, office, feedback, after, now)
            if after.status is Standing.FAILED and not after.unwanted:
                await clock_store.start_order(connection, office.deadlines(), [about], now)
            rows += await _free_unwanted(connection, office, about, after, now)
        else:
            after = None
            said = event.model_copy(update={"answers": feedback.feedback_id})
            rows = [outgoing(said, new_id(), traceparent=about.traceparent)]
        await keep(connection, rows)
    return after, rows


async def locked_case(connection: Connection, case_id: UUID) -> Case:
    """Lock and return a case. Raises `UnknownOrderError`."""
    found = await store.locked_case(connection, case_id)
    if found is None:
        raise UnknownOrderError
    return found


async def _apply(
    connection: Connection, about: Case, after: Order, mine: Sequence[Order], said: OrderChanged, now: datetime
) -> list[Outgoing]:
    """Write an answered order down, with what follows for the case, the clock and the money."""
    await order_store.update_order(connection, after, said)
    await family_store.note_held_elsewhere(connection, after.id, about.id)
    await answered(connection, [after.id])
    ended = effect.ended_by(after, mine)
    await order_store.end_holds(connection, ended)
    await _set_clock(connection, after, mine, ended)
    [book] = await money_store.books(connection, [about], [])
    cause = after.feedback_id or after.id
    await money_store.book(connection, [(cause, entry) for entry in ledger.entries(book)])
    await store.write_timeline(connection, [timeline.answered(after, now)])
    changed = replace(about, version=about.version + 1)
    await store.update_cases(connection, [changed])
    return [outgoing(said, new_id(), traceparent=about.traceparent), *await announce(connection, [changed])]


async def _follow(
    connection: Connection, office: Office, feedback: FeedbackReceived, after: Order, now: datetime
) -> None:
    """Keep where the bank says that the money moved on to, and tell it."""
    moved = onward.told(feedback, after, office.identity, office.tokens, new_id)
    if new := await onward_store.insert_moved(connection, moved):
        accounts, fen = len({one.token for one in new}), sum(one.amount_fen for one in new)
        await store.write_timeline(connection, [timeline.moved_on(after, accounts, fen, now)])


async def _free_unwanted(
    connection: Connection, office: Office, about: Case, after: Order, now: datetime
) -> list[Outgoing]:
    """Free at once what the bank holds for a case that no longer wants it held. What failed is for officers to see."""
    if after.status is not Standing.EXECUTED:
        return []
    unfounded = about.status is CaseStatus.CLOSED and about.finding is Finding.UNFOUNDED
    mine = [one for one in await order_store.orders_in(connection, about.id) if one.payee_token == after.payee_token]
    if not any(one.holds(now) and (one.unwanted or unfounded) for one in mine):
        return []
    sealed = about.sealed_reason if unfounded else None
    reason = office.identity.open(sealed, str(about.id)) if sealed else LET_GO
    given, rows = await ordering.release_account(connection, office, None, about, mine, reason, now)
    await store.write_timeline(connection, [timeline.ordered(one, None, now) for one in given])
    return rows


async def _set_clock(connection: Connection, after: Order, mine: Sequence[Order], ended: Sequence[Order]) -> None:
    """The bank has answered; what it holds now will run out, what it no longer holds will not.

    A release that failed leaves its deadline running: the account is still to be freed.
    """
    await clock_store.meet(connection, [after.case_id], [Stage.FEEDBACK], [after.id])
    if after.kind in ENDING and after.status is Standing.EXECUTED:
        await clock_store.meet(connection, [after.case_id], [Stage.RELEASE], _freed_by(after, mine))
    if ended:
        await clock_store.meet(connection, [after.case_id], [Stage.WARNING, Stage.EXPIRY], [one.id for one in ended])
    if after.expires_at is not None and after.id not in [one.id for one in ended]:
        await clock_store.start(connection, running_out(after))


def _freed_by(done: Order, mine: Sequence[Order]) -> list[UUID]:
    """Return the orders whose purpose a freeing has met: itself, and those that failed; a freeze outlasts a release."""
    met = ENDING if done.kind is OrderKind.UNFREEZE else (done.kind,)
    failed = [one for one in mine if one.kind in met and one.payee_token == done.payee_token and not one.waits]
    return [done.id, *(one.id for one in failed)]


def running_out(hold: Order) -> list[Deadline]:
    """Return the warnings before a hold runs out, and its end."""
    assert hold.expires_at is not None
    warnings = [
        Deadline(hold.case_id, Stage.WARNING, hold.expires_at - before, hold.id, int(before.total_seconds()) // 3600)
        for before in WARN_BEFORE
    ]
    return [*warnings, Deadline(hold.case_id, Stage.EXPIRY, hold.expires_at, hold.id)]


def _order_event(event: OrderChanged, after: Order) -> OrderChanged:
    return event.model_copy(
        update={
            "version": after.version,
            "status": after.status.at_the_bank(),
            "expires_at": after.expires_at,
            "answers": after.feedback_id,
        }
    )


async def note_contradiction(pool: Pool, event: FeedbackContradicted, now: datetime) -> list[Outgoing]:
    """Alert the officers to a contradicting answer, once, and answer it. Raises `UnknownOrderError`."""
    async with pool.acquire() as connection, connection.transaction():
        about = await locked_case(connection, event.case_id)
        if await order_store.case_of_order(connection, event.order_id) != about.id:
            raise UnknownOrderError
        entry = timeline.contradicted(about.id, event, now)
        if await store.tell(connection, [entry]):
            await _ask_to_look(connection, about, event.order_id, entry.text, now)
        order_as_it_stands = await order_store.event_of(connection, event.order_id)
        said = order_as_it_stands.model_copy(update={"answers": event.contradiction_id})
        rows = [outgoing(said, new_id(), traceparent=about.traceparent)]
        await keep(connection, rows)
    return rows


async def _ask_to_look(connection: Connection, about: Case, order_id: UUID, why: str, now: datetime) -> None:
    """Alert the unit in charge: only a person can find out what the bank has done."""
    paths = await people_store.paths_of(connection, {about.in_charge})
    alert_id = new_id()
    facts = alert.case_facts(alert_id, about, "contradiction", about.in_charge, why, order_id=order_id)
    told = Alert(alert_id, about.id, None, about.in_charge, paths[about.in_charge], facts, now)
    await alert_store.insert_alerts(connection, [told])
