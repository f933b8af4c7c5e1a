"""Orders: drawn up by the law, and sent to the bank. One function a use case, one transaction each.

Each returns the events it has promised; the caller hands them to the relay once the transaction is through.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from services.notifier import people_store
from services.notifier.alerting.delivery_store import moot
from services.notifier.cases import case, store, timeline
from services.notifier.cases.announcing import write_case
from services.notifier.cases.case import MACHINE, Case
from services.notifier.cases.requests import Ordering, problems
from services.notifier.clock import clock_store
from services.notifier.clock.clock import Deadline, Stage, Urgency
from services.notifier.office import Office
from services.notifier.orders import drafting, holds, legality, order, order_store, pushing
from services.notifier.orders.drafting import Subject
from services.notifier.orders.law import Rule, broken
from services.notifier.orders.legality import Asked
from services.notifier.orders.order import FREEZING, HOLDING, ApplicationType, Order, Standing
from services.notifier.orders.wanting import want_approval
from services.notifier.people_store import Officer, seen
from shared.errors import FieldProblem, Refusal, invalid
from shared.events import OrderChanged, OrderKind
from shared.outbox import Outgoing, keep, new_id, outgoing
from shared.postgres import Connection


@asynccontextmanager
async def on_record(
    office: Office, officer: Officer, subject: UUID, action: str = "order_refused"
) -> AsyncIterator[None]:
    """Record a step that a rule refuses: what it would have changed is rolled back, that it was tried is not."""
    try:
        yield
    except Refusal as refused:
        if rule := refused.extensions.get("rule"):
            async with office.pool.acquire() as connection:
                await people_store.audit_refusal(connection, f"officer:{officer.name}", action, subject, rule)
        raise


async def give_order(
    office: Office, officer: Officer, case_id: UUID, asked: Ordering, now: datetime
) -> tuple[Order, list[Outgoing]]:
    """Order a bank to do something lawful; who orders has taken the case on."""
    if wrong := problems(asked, now):
        raise invalid(*wrong)
    async with on_record(office, officer, case_id), office.pool.acquire() as connection, connection.transaction():
        before = await seen(connection, officer, case_id)
        given, rows = await draw_up(connection, office, officer, before, asked, now)
        after, entries = replace(before, version=before.version + 1), [timeline.ordered(given, officer.name, now)]
        if taken_on := case.acknowledge(before, officer.id, now):
            after, entries = taken_on, [timeline.acknowledged(taken_on, officer.name, now), *entries]
            await moot(connection, [case_id])
        await clock_store.meet(connection, [case_id], [Stage.ACKNOWLEDGE, Stage.ORDER])
        rows += await write_case(connection, after, entries)
    return given, rows


async def draw_up(
    connection: Connection, office: Office, officer: Officer | None, about: Case, asked: Ordering, now: datetime
) -> tuple[Order, list[Outgoing]]:
    """Draw up an order in the caller's transaction, which holds the case; send it, or propose it to a second officer.

    Without an officer it frees what that officer's earlier order held. Who frees an account does not want held there
    what the bank has yet to answer. Raises where a rule would be broken, or the order names what is not there.
    """
    subject = await drafting.subject_of(connection, office, about, asked, now)
    amount = asked.amount_fen or _usual_amount(asked.kind, subject, now)
    lawful = Asked(
        kind=asked.kind,
        amount_fen=amount,
        term_months=asked.term_months,
        major=bool(asked.major),
        notice_number=asked.notice_number,
        bank_stopped_at=asked.bank_stopped_at,
        corrects=subject.wrong,
        corrected=subject.corrected,
    )
    legality.refuse_unlawful(lawful, about, subject.orders, now)
    await _refuse_useless(connection, asked, subject, amount)
    given = _order_of(asked, subject, about, officer, lawful, office, now)
    by = await drafting.ordered_by(connection, officer, subject.held, asked, office.identity)
    sealed = drafting.seal_people(given, subject.to, by, asked, office.identity)
    event = drafting.event_of(given, subject, sealed, officer.unit if officer else about.in_charge, about)
    if not await order_store.insert_order(connection, given, event):
        raise broken(Rule.ONE_AT_A_TIME)
    if given.kind in order.ENDING:
        await _mark_unwanted(connection, [one for one in subject.mine if one.payee_token == given.payee_token])
    actor = f"officer:{officer.name}" if officer else MACHINE
    await people_store.audit(connection, office.identity, actor, f"order_{given.kind.value}", given.id, asked.reason)
    if given.status is Standing.PENDING:
        return given, await send(connection, office, given, event, about, now)
    await want_approval(connection, office, given, about, now)
    return given, []


def _usual_amount(kind: OrderKind, subject: Subject, now: datetime) -> int:
    if kind is OrderKind.RETURN_FUNDS:
        mine = [one for one in subject.orders if subject.held and one.case_id == subject.held.case_id]
        return min(holds.left_to_return(holds.account_of(mine, now), mine), subject.stoppable_fen)
    if subject.wrong is not None:
        return subject.wrong.amount_fen
    return subject.held.amount_fen if subject.held and kind is not OrderKind.STOP else subject.stoppable_fen


async def _refuse_useless(connection: Connection, asked: Ordering, subject: Subject, amount: int) -> None:
    """Raise where an order is lawful and yet nothing could come of it."""
    if subject.wrong is not None:
        again = [one for one in subject.mine if one.corrects == subject.wrong.id and one.status not in order.FALLEN]
        if again:
            raise broken(Rule.CORRECTED_ALREADY, existing_id=str(again[0].id))
    reports = [subject.first.report.report_id, *subject.covers]
    named = asked.original_application_id
    if named is not None and named not in (*reports, *(one.id for one in subject.mine)):
        raise invalid(FieldProblem(field="original_application_id", message="is no report or order of this case"))
    if not amount:
        raise broken(Rule.RETURN_WHAT_IS_FROZEN if asked.kind is OrderKind.RETURN_FUNDS else Rule.SOMETHING_TO_STOP)
    bank = subject.to.bank
    if not await people_store.is_connected(connection, bank):
        says = f"No bank {bank} is connected here, so nobody could execute this order; call that bank."
        raise broken(Rule.BANK_IS_CONNECTED, says=says)


def _order_of(
    asked: Ordering,
    subject: Subject,
    about: Case,
    officer: Officer | None,
    lawful: Asked,
    office: Office,
    now: datetime,
) -> Order:
    level = legality.approval_level(lawful, office.second_officer_above_fen)
    freezes = asked.kind in FREEZING
    acts_on = subject.held.id if subject.held and asked.kind is not OrderKind.STOP else None
    application = asked.application_type or _usual_application(asked, subject)
    return Order(
        id=new_id(),
        version=1,
        case_id=about.id,
        payee_token=subject.to.token,
        kind=asked.kind,
        status=Standing.PENDING if level is None else Standing.PROPOSED,
        bank=subject.to.bank,
        amount_fen=lawful.amount_fen,
        covers=subject.covers,
        original_application_id=acts_on or asked.original_application_id or _usual_original(application, subject),
        ordered_by=officer.id if officer else None,
        ordered_at=now,
        account_level=subject.to.level,
        application_type=application.value,
        emergency_level=asked.emergency_level or _usual_emergency(asked.kind),
        acts_on=acts_on,
        corrects=asked.corrects,
        term_months=(asked.term_months or order.USUAL_TERM_MONTHS) if freezes else None,
        scope=(asked.scope or "amount") if freezes else None,
        includes_proceeds=bool(asked.includes_proceeds) if freezes else None,
        notice_number=asked.notice_number,
        approval_level=level,
        bank_stopped_at=asked.bank_stopped_at,
    )


def _usual_application(asked: Ordering, subject: Subject) -> ApplicationType:
    if asked.bank_stopped_at is not None:
        return ApplicationType.BACKFILLED
    return ApplicationType.POLICE_FIRST if subject.to.level > 1 else ApplicationType.BANK_REPORTED


def _usual_original(application: ApplicationType, subject: Subject) -> UUID | None:
    """The bank's report is what an application of the types 02 to 05 goes back to."""
    police_first = application in (ApplicationType.POLICE_FIRST, ApplicationType.POLICE_FIRST_MORE)
    return None if police_first else subject.first.report.report_id


def _usual_emergency(kind: OrderKind) -> str:
    unhurried = (OrderKind.FREEZE, OrderKind.EXTEND_FREEZE, OrderKind.RETURN_FUNDS)
    return (Urgency.NORMAL if kind in unhurried else Urgency.URGENT).value


async def send(
    connection: Connection, office: Office, given: Order, event: OrderChanged, about: Case, now: datetime
) -> list[Outgoing]:
    """Promise an order to its bank, and start the clock of the bank's answer. In the caller's transaction.

    Freeing has a deadline of its own besides: an answer that it failed does not meet that.
    """
    stages = [Stage.FEEDBACK, Stage.RELEASE] if given.kind in order.ENDING else [Stage.FEEDBACK]
    urgency, deadlines = Urgency(given.emergency_level), office.deadlines()
    spans = [(stage, deadlines.span(about.in_charge, urgency, stage)) for stage in stages]
    await clock_store.start(connection, [Deadline(about.id, stage, now + span, given.id) for stage, span in spans])
    rows = [outgoing(event, given.id, traceparent=about.traceparent, awaits_answer=True)]
    await keep(connection, rows)
    await pushing.push(connection, [(given, about)])
    return rows


async def release_everything(
    connection: Connection, office: Office, officer: Officer | None, about: Case, reason: str, now: datetime
) -> tuple[list[Order], list[Outgoing]]:
    """Free every account that a case holds, in the caller's transaction, which holds the case.

    Proposals are turned down. What the bank has yet to answer is marked: it is freed as soon as it holds. Returns
    the orders given and what is promised; the caller tells the timeline of them.
    """
    mine = await order_store.orders_in(connection, about.id)
    await _call_off(connection, mine, about, now)
    given: list[Order] = []
    rows: list[Outgoing] = []
    for token in sorted({one.payee_token for one in mine}):
        on_account = [one for one in mine if one.payee_token == token]
        releases, promised = await release_account(connection, office, officer, about, on_account, reason, now)
        given += releases
        rows += promised
    return given, rows


async def release_account(
    connection: Connection,
    office: Office,
    officer: Officer | None,
    about: Case,
    orders: Sequence[Order],
    reason: str,
    now: datetime,
) -> tuple[list[Order], list[Outgoing]]:
    """Free one account of a case that the caller holds; `orders` are the case's on it.

    An order under way that frees what holds the account now will do; the release of a stop does not unfreeze.
    """
    account = holds.account_of(orders, now)
    if account.by is None:
        return [], []
    kind = OrderKind.UNFREEZE if account.hold is holds.Hold.FROZEN else OrderKind.RELEASE_STOP
    if any(one.kind is kind for one in account.waiting):
        return [], []
    asked = Ordering(kind=kind, reason=reason, original_application_id=account.by.id)
    given, rows = await draw_up(connection, office, officer, about, asked, now)
    return [given], rows


async def _call_off(connection: Connection, mine: Sequence[Order], about: Case, now: datetime) -> None:
    """Turn proposals down, and mark what the bank has yet to answer."""
    proposed = [one for one in mine if one.status is Standing.PROPOSED]
    for one in proposed:
        event = await order_store.event_of(connection, one.id)
        await order_store.update_order(connection, legality.turned_down(one), event)
    await clock_store.meet(connection, [about.id], [Stage.APPROVE])
    await store.write_timeline(connection, [timeline.rejected(one, None, now) for one in proposed])
    await _mark_unwanted(connection, mine)


async def _mark_unwanted(connection: Connection, orders: Sequence[Order]) -> None:
    pending = [one for one in orders if one.status is Standing.PENDING and one.kind in HOLDING]
    await order_store.mark_unwanted(connection, [one.id for one in pending])
