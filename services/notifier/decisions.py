"""notifier's use cases that officers bring: one function each, one transaction each.

Each returns the events it has promised; the caller hands them to the relay once the transaction is through.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.notifier import case, money_store, order, people_store, report_store, store, timeline
from services.notifier.announcing import announce
from services.notifier.case import Case, Entry
from services.notifier.order import ApplicationType, Order, Transfer
from services.notifier.people_store import Officer
from services.notifier.requests import Closing, Ordering
from shared.errors import FieldProblem, conflict, invalid, not_found
from shared.events import (
    Finding,
    OrderChanged,
    OrderKind,
    OrderStatus,
    OutcomeDecided,
    VerdictReached,
)
from shared.outbox import Outgoing, keep, new_id, outgoing
from shared.postgres import Connection, Pool
from shared.privacy import Seal

EMERGENCY = "02"
"""Urgent, as the national platform numbers it: the customer is at the counter."""


async def _seen(connection: Connection, officer: Officer, case_id: UUID) -> Case:
    found = await store.locked_case_seen_by(connection, case_id, officer.path)
    if found is None:
        raise not_found("case")
    return found


async def acknowledge(
    pool: Pool, officer: Officer, case_id: UUID, now: datetime
) -> tuple[float | None, list[Outgoing]]:
    """Take a case on: the clock stops. Returns the seconds it took, or nothing when it was taken on before."""
    async with pool.acquire() as connection, connection.transaction():
        before = await _seen(connection, officer, case_id)
        after = case.acknowledge(before, officer.id, now)
        if after is None:
            return None, []
        rows = await _write(connection, after, [timeline.acknowledged(after, officer.name, now)])
    return (now - before.opened_at).total_seconds(), rows


async def _write(connection: Connection, after: Case, entries: Sequence[Entry]) -> list[Outgoing]:
    await store.update_cases(connection, [after])
    await store.write_timeline(connection, entries)
    rows = await announce(connection, [after])
    await keep(connection, rows)
    return rows


async def give_order(
    pool: Pool, identity: Seal, officer: Officer, case_id: UUID, asked: Ordering, now: datetime
) -> tuple[Order, list[Outgoing]]:
    """Order the payee's bank to stop or release; who orders has taken the case on."""
    async with pool.acquire() as connection, connection.transaction():
        before = await _seen(connection, officer, case_id)
        on_account = await money_store.orders_on(connection, before.payee_token)
        order.refuse_unlawful(asked.kind, before, on_account, now)
        held = order.held_in(case_id, on_account, now)
        given, event = await _order(connection, identity, officer, before, held, asked, now)
        after, entries = replace(before, version=before.version + 1), [timeline.ordered(given, officer.name, now)]
        if taken_on := case.acknowledge(before, officer.id, now):
            after, entries = taken_on, [timeline.acknowledged(taken_on, officer.name, now), *entries]
        rows = await _write(connection, after, entries)
        rows += await _issue(connection, officer, given, event, asked.reason)
    return given, rows


async def _issue(
    connection: Connection, officer: Officer, given: Order, event: OrderChanged, reason: str
) -> list[Outgoing]:
    if not await money_store.insert_order(connection, given, event):
        raise conflict(order.WAITING)
    await people_store.audit(connection, f"officer:{officer.name}", f"order_{given.kind.value}", given.id, reason)
    rows = [outgoing(event, given.id, awaits_answer=True)]
    await keep(connection, rows)
    return rows


async def _order(
    connection: Connection,
    identity: Seal,
    officer: Officer,
    about: Case,
    held: Order | None,
    asked: Ordering,
    now: datetime,
) -> tuple[Order, OrderChanged]:
    """Draw up an order. A release is of the stop that is `held`; a stop is of all money that was not averted."""
    verdicts = await report_store.sealed_reports(connection, about.id)
    transfers = [one for one in await _transfers(connection, verdicts) if one.amount_fen > one.averted_fen]
    covers = tuple(transfer.report_id for transfer in transfers)
    first = next((verdict for verdict in verdicts if verdict.report.report_id in covers), verdicts[0])
    released = held if asked.kind is OrderKind.RELEASE_STOP else None
    amount = released.amount_fen if released else asked.amount_fen or order.stop_amount(transfers)
    if not amount:
        raise conflict("All money of this case was averted at the counter, so there is nothing to stop.")
    bank = first.report.payee_bank
    if not await people_store.is_connected(connection, bank):
        raise conflict(f"No bank {bank} is connected here, so nobody could execute this order; call that bank.")
    given = Order(
        id=new_id(),
        version=1,
        case_id=about.id,
        payee_token=about.payee_token,
        kind=asked.kind,
        status=OrderStatus.PENDING,
        bank=bank,
        amount_fen=amount,
        covers=covers,
        original_application_id=released.id if released else first.report.report_id,
        ordered_by=officer.id,
        ordered_at=now,
    )
    return given, _event(given, first, _people(first, given, officer, asked, identity), officer, about, now)


def _event(
    given: Order, first: VerdictReached, sealed: str, officer: Officer, about: Case, now: datetime
) -> OrderChanged:
    return OrderChanged(
        order_id=given.id,
        version=given.version,
        case_id=given.case_id,
        kind=given.kind,
        status=given.status,
        bank=given.bank,
        amount_fen=given.amount_fen,
        application_type=ApplicationType.BANK_REPORTED.value,
        original_application_id=given.original_application_id,
        emergency_level=EMERGENCY,
        payee_account_type=first.report.payee_account_type,
        transfer_at=first.report.observed_at,
        ordered_at=now,
        starts_at=now,
        unit=officer.unit,
        scam_type=about.scam_type,
        identity=sealed,
    )


async def _transfers(connection: Connection, verdicts: Sequence[VerdictReached]) -> list[Transfer]:
    reports = [verdict.report for verdict in verdicts]
    averted = await money_store.averted_fen(connection, [report.report_id for report in reports])
    return [Transfer(report.report_id, report.amount_fen, averted.get(report.report_id, 0)) for report in reports]


def _people(first: VerdictReached, given: Order, officer: Officer, asked: Ordering, identity: Seal) -> str:
    """Seal what the bank needs to execute the order: who pays whom, who orders, and why."""
    people = json.loads(identity.open(first.report.identity, str(first.report.report_id)))
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
    return identity.seal(json.dumps(told, ensure_ascii=False), str(given.id))


async def close(
    pool: Pool, identity: Seal, officer: Officer, case_id: UUID, closing: Closing, now: datetime
) -> list[Outgoing]:
    """Close a case with a finding, and let it flow back to the rules. Unfounded: what is held is released at once."""
    async with pool.acquire() as connection, connection.transaction():
        before = await _seen(connection, officer, case_id)
        after = case.close(before, closing.finding, closing.scam_type, closing.reason, new_id(), now)
        if after is None:
            return []
        on_account = await money_store.orders_on(connection, before.payee_token)
        mine = [one for one in on_account if one.case_id == case_id]
        if any(one.status is OrderStatus.PENDING for one in mine):
            raise conflict("An order of this case is waiting for the bank's answer; close the case after it.")
        entries = [timeline.closed(after, closing.finding, officer.name, now)]
        rows: list[Outgoing] = []
        held = order.held_in(case_id, mine, now)
        if closing.finding is Finding.UNFOUNDED and held:
            release = Ordering(kind=OrderKind.RELEASE_STOP, reason=closing.reason)
            given, event = await _order(connection, identity, officer, before, held, release, now)
            rows += await _issue(connection, officer, given, event, closing.reason)
            entries.append(timeline.ordered(given, officer.name, now))
        reports = await report_store.reports_in(connection, [case_id])
        outcome = OutcomeDecided(
            outcome_id=after.outcome_id or new_id(),
            case_id=case_id,
            finding=closing.finding,
            scam_type=after.scam_type,
            payee_token=after.payee_token,
            report_ids=tuple(reports[case_id]),
            decided_at=now,
        )
        decided = [outgoing(outcome, outcome.outcome_id, awaits_answer=True)]
        await keep(connection, decided)
        rows += await _write(connection, after, entries)
    return rows + decided


async def unmask(pool: Pool, identity: Seal, officer: Officer, case_id: UUID, reason: str) -> list[dict[str, Any]]:
    """Return the people of a case's reports in clear, and record who looked and why."""
    async with pool.acquire() as connection, connection.transaction():
        await _seen(connection, officer, case_id)
        await people_store.audit(connection, f"officer:{officer.name}", "unmasked", case_id, reason)
        verdicts = await report_store.sealed_reports(connection, case_id, officer.path)
    opened = []
    for verdict in verdicts:
        report_id = str(verdict.report.report_id)
        opened.append({"report_id": report_id, **json.loads(identity.open(verdict.report.identity, report_id))})
    return opened


def refuse_unknown_scam_type(scam_type: str | None, known: frozenset[str]) -> None:
    """Raise where a scam type is not in the taxonomy."""
    if scam_type is not None and scam_type not in known:
        raise invalid(FieldProblem(field="scam_type", message="is not a scam type that we know"))
