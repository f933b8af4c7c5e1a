"""Orders: drawn up, approved or turned down, and sent to the bank. One function a use case, one transaction each.

Each returns the events it has promised; the caller hands them to the relay once the transaction is through.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.notifier import case, clock_store, money_store, order, order_store, people_store, report_store, timeline
from services.notifier.announcing import write_case
from services.notifier.case import Case
from services.notifier.clock import Deadline, Stage, Urgency
from services.notifier.law import Rule, broken
from services.notifier.office import Office
from services.notifier.order import Asked, Order, Standing, Transfer
from services.notifier.people_store import Officer, seen
from services.notifier.requests import Ordering
from shared.errors import conflict
from shared.events import OrderChanged, OrderKind, VerdictReached
from shared.outbox import Outgoing, keep, new_id, outgoing
from shared.postgres import Connection


async def give_order(
    office: Office, officer: Officer, case_id: UUID, asked: Ordering, now: datetime
) -> tuple[Order, list[Outgoing]]:
    """Order the payee's bank to do something lawful; who orders has taken the case on."""
    async with office.pool.acquire() as connection, connection.transaction():
        before = await seen(connection, officer, case_id)
        given, rows = await draw_up(connection, office, officer, before, asked, now)
        after, entries = replace(before, version=before.version + 1), [timeline.ordered(given, officer.name, now)]
        if taken_on := case.acknowledge(before, officer.id, now):
            after, entries = taken_on, [timeline.acknowledged(taken_on, officer.name, now), *entries]
        await clock_store.meet(connection, [case_id], [Stage.ACKNOWLEDGE, Stage.ORDER])
        rows += await write_case(connection, after, entries)
    return given, rows


async def draw_up(
    connection: Connection, office: Office, officer: Officer, about: Case, asked: Ordering, now: datetime
) -> tuple[Order, list[Outgoing]]:
    """Draw up an order in the caller's transaction, which holds the case; send it, or propose it to a second officer.

    Raises where a rule would be broken, nothing could be stopped, or the bank is not connected.
    """
    on_account = await order_store.orders_on(connection, about.payee_token)
    verdicts = await report_store.sealed_reports(connection, about.id)
    transfers = [one for one in await _transfers(connection, verdicts) if one.amount_fen > one.averted_fen]
    covers = tuple(transfer.report_id for transfer in transfers)
    first = next((verdict for verdict in verdicts if verdict.report.report_id in covers), verdicts[0])
    mine = order.account_of([one for one in on_account if one.case_id == about.id], now)
    held = mine.by if asked.kind is not OrderKind.STOP else None
    amount = asked.amount_fen or (held.amount_fen if held else order.stop_amount(transfers))
    lawful = Asked(asked.kind, amount)
    order.refuse_unlawful(lawful, about, on_account, now)
    if not amount:
        raise conflict("All money of this case was averted at the counter, so there is nothing to stop.")
    bank = first.report.payee_bank
    if not await people_store.is_connected(connection, bank):
        raise conflict(f"No bank {bank} is connected here, so nobody could execute this order; call that bank.")
    level = order.approval_level(lawful, office.second_officer_above_fen)
    given = Order(
        id=new_id(),
        version=1,
        case_id=about.id,
        payee_token=about.payee_token,
        kind=asked.kind,
        status=Standing.PENDING if level is None else Standing.PROPOSED,
        bank=bank,
        amount_fen=amount,
        covers=covers,
        original_application_id=held.id if held else first.report.report_id,
        ordered_by=officer.id,
        ordered_at=now,
        acts_on=held.id if held else None,
        approval_level=level,
    )
    event = _event(given, first, _people(first, given, officer, asked, office), officer, about, now)
    return given, await _issue(connection, office, officer, given, event, about, asked.reason)


async def _issue(
    connection: Connection,
    office: Office,
    officer: Officer,
    given: Order,
    event: OrderChanged,
    about: Case,
    reason: str,
) -> list[Outgoing]:
    """Write an order down, start its clock, and promise it to the bank unless a second officer comes first."""
    if not await order_store.insert_order(connection, given, event):
        raise broken(Rule.ONE_AT_A_TIME)
    await people_store.audit(connection, f"officer:{officer.name}", f"order_{given.kind.value}", given.id, reason)
    stage = Stage.FEEDBACK if given.status is Standing.PENDING else Stage.APPROVE
    span = office.deadlines().span(about.in_charge, Urgency(given.emergency_level), stage)
    await clock_store.start(connection, [Deadline(about.id, stage, given.ordered_at + span, given.id)])
    rows = [outgoing(event, given.id, awaits_answer=True)] if given.status is Standing.PENDING else []
    await keep(connection, rows)
    return rows


def _event(
    given: Order, first: VerdictReached, sealed: str, officer: Officer, about: Case, now: datetime
) -> OrderChanged:
    return OrderChanged(
        order_id=given.id,
        version=given.version,
        case_id=given.case_id,
        kind=given.kind,
        status=Standing.PENDING.at_the_bank(),
        bank=given.bank,
        amount_fen=given.amount_fen,
        application_type=given.application_type,
        original_application_id=given.original_application_id,
        emergency_level=given.emergency_level,
        payee_account_type=first.report.payee_account_type,
        transfer_at=first.report.observed_at,
        ordered_at=now,
        starts_at=now,
        unit=officer.unit,
        scam_type=about.scam_type,
        account_level=given.account_level,
        acts_on=given.acts_on,
        identity=sealed,
    )


async def _transfers(connection: Connection, verdicts: Sequence[VerdictReached]) -> list[Transfer]:
    reports = [verdict.report for verdict in verdicts]
    averted = await money_store.averted_fen(connection, [report.report_id for report in reports])
    return [Transfer(report.report_id, report.amount_fen, averted.get(report.report_id, 0)) for report in reports]


def _people(first: VerdictReached, given: Order, officer: Officer, asked: Ordering, office: Office) -> str:
    """Seal what the bank needs to execute the order: who pays whom, who orders, and why."""
    people = json.loads(office.identity.open(first.report.identity, str(first.report.report_id)))
    told: dict[str, Any] = {
        "payer": {
            "name": people["payer"]["name"],
            "account": people["payer"]["account"],
            "bank_code": first.report.bank,
        },
        "payee": people["payee"],
        "officer": officer.name,
        "reason": asked.reason,
        "remark": asked.remark,
    }
    return office.identity.seal(json.dumps(told, ensure_ascii=False), str(given.id))
