"""notifier's use cases that officers bring to a case as a whole: one function each, one transaction each.

Each returns the events it has promised; the caller hands them to the relay once the transaction is through.
"""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from services.notifier import people_store
from services.notifier.alerting import delivery_store
from services.notifier.cases import (
    case,
    casework_store,
    casework_words,
    custody,
    reopening,
    report_store,
    timeline,
)
from services.notifier.cases.announcing import write_case
from services.notifier.cases.case import Case
from services.notifier.cases.requests import Closing
from services.notifier.clock import clock_store
from services.notifier.clock.clock import Stage
from services.notifier.office import Office
from services.notifier.orders import onward, onward_store, order_store, ordering
from services.notifier.orders.law import Rule, broken
from services.notifier.people_store import Officer, seen
from shared.errors import FieldProblem, invalid
from shared.events import CaseStatus, Finding, OutcomeDecided
from shared.outbox import Outgoing, keep, new_id, outgoing
from shared.postgres import Connection


async def acknowledge(
    office: Office, officer: Officer, case_id: UUID, now: datetime
) -> tuple[float | None, list[Outgoing]]:
    """Take a case on: the clock stops. Returns the seconds it took, or nothing when it was taken on before."""
    async with office.pool.acquire() as connection, connection.transaction():
        before = await seen(connection, officer, case_id)
        rows = await take_on(connection, office, officer, before, now)
    return (now - before.alerted_at).total_seconds() if rows else None, rows


async def take_on(
    connection: Connection, office: Office, officer: Officer, before: Case, now: datetime
) -> list[Outgoing]:
    """Take a case on in the caller's transaction, which holds it. Returns nothing when it was taken on before."""
    after = case.acknowledge(before, officer.id, now)
    if after is None:
        return []
    await _start_order_clock(connection, office, after, now)
    return await write_case(connection, after, [timeline.acknowledged(after, officer.name, now)])


async def take_over(
    office: Office, officer: Officer, case_id: UUID, reason: str | None, now: datetime
) -> tuple[float | None, list[Outgoing]]:
    """Make the officer responsible; an open case is acknowledged by that. Twice is once.

    Returns the seconds to the acknowledgement, or nothing where somebody had given it.
    """
    async with (
        ordering.on_record(office, officer, case_id, "step_refused"),
        office.pool.acquire() as connection,
        connection.transaction(),
    ):
        before = await seen(connection, officer, case_id)
        after = custody.taken_over(before, officer.id, now)
        if after is None:
            return None, []
        entries = [casework_words.taken_over(case_id, officer.name, reason, now)]
        took_on = before.status is CaseStatus.OPEN
        if took_on:
            entries.insert(0, timeline.acknowledged(after, officer.name, now))
            await _start_order_clock(connection, office, after, now)
        rows = await write_case(connection, after, entries, office.identity)
    return (now - before.alerted_at).total_seconds() if took_on else None, rows


async def _start_order_clock(connection: Connection, office: Office, after: Case, now: datetime) -> None:
    """The case is acknowledged: an order is due, unless there is one or nothing is left to be stopped."""
    await clock_store.meet(connection, [after.id], [Stage.ACKNOWLEDGE])
    await delivery_store.moot(connection, [after.id])
    await clock_store.start_order(connection, office.deadlines(), [after], now)


async def close(office: Office, officer: Officer, case_id: UUID, closing: Closing, now: datetime) -> list[Outgoing]:
    """Close a case with a finding, and let it flow back to the rules.

    Unfounded: all that the case holds, on every account, is released in the same transaction; what the bank has yet
    to answer is released when it does.
    """
    async with (
        ordering.on_record(office, officer, case_id, "step_refused"),
        office.pool.acquire() as connection,
        connection.transaction(),
    ):
        before = await seen(connection, officer, case_id)
        sealed = office.identity.seal(closing.reason, str(case_id))
        after = case.close(before, closing.finding, closing.scam_type, sealed, new_id(), now)
        if after is None:
            return []
        waiting = [one for one in await order_store.orders_in(connection, case_id) if one.waits]
        if waiting and closing.finding is not Finding.UNFOUNDED:
            raise broken(Rule.ANSWERED_FIRST, existing_id=str(waiting[0].id))
        entries = [timeline.closed(after, closing.finding, officer.name, now)]
        rows: list[Outgoing] = []
        if closing.finding is Finding.UNFOUNDED:
            given, rows = await ordering.release_everything(connection, office, officer, before, closing.reason, now)
            entries += [timeline.ordered(one, officer.name, now) for one in given]
        await clock_store.meet(connection, [case_id], [Stage.ACKNOWLEDGE, Stage.ORDER])
        await delivery_store.moot(connection, [case_id])
        reports = await report_store.reports_in(connection, [case_id])
        decided = [outcome_of(after, reports[case_id], now)]
        await keep(connection, decided)
        rows += await write_case(connection, after, entries)
    return rows + decided


async def reopen(office: Office, officer: Officer, case_id: UUID, reason: str, now: datetime) -> list[Outgoing]:
    """Take a finding back, also from the rules; who reopens is responsible. Nothing new where it is not closed.

    What an unfounded case had let go, and the bank has yet to answer, holds after all.
    Raises a conflict that names the case which is open on the same account, where there is one.
    """
    async with (
        ordering.on_record(office, officer, case_id, "step_refused"),
        office.pool.acquire() as connection,
        connection.transaction(),
    ):
        before = await seen(connection, officer, case_id)
        after = custody.reopened(before, officer.id, now)
        if after is None:
            return []
        if other := await casework_store.open_elsewhere(connection, before):
            raise custody.another_is_open(other)
        assert before.finding is not None
        if before.finding is Finding.UNFOUNDED:
            await _hold_after_all(connection, before)
        await _start_order_clock(connection, office, after, now)
        told = casework_words.reopened(case_id, officer.name, before.finding, reason, now)
        try:
            rows = await write_case(connection, after, [told], office.identity)
        except asyncpg.UniqueViolationError:
            # an alert has opened a case on the account since we looked
            raise custody.another_is_open(None) from None
        reports = await report_store.reports_in(connection, [case_id])
        withdrawn = [outcome_of(replace(before, outcome_id=new_id()), reports[case_id], now, before.outcome_id)]
        await keep(connection, withdrawn)
    return rows + withdrawn


async def _hold_after_all(connection: Connection, before: Case) -> None:
    assert before.closed_at is not None
    orders = await order_store.orders_in(connection, before.id)
    upheld = await casework_store.upheld_at(connection, before.id)
    wanted = reopening.wanted_again(orders, before.closed_at, upheld)
    await order_store.mark_unwanted(connection, [one.id for one in wanted], unwanted=False)
    releases = reopening.no_longer_due(orders, before.closed_at, upheld)
    await clock_store.meet(connection, [before.id], [Stage.RELEASE], [one.id for one in releases])


def outcome_of(decided: Case, report_ids: list[UUID], at: datetime, withdraws: UUID | None = None) -> Outgoing:
    """Say by which finding a case was closed, or which it takes back."""
    assert decided.outcome_id is not None
    assert decided.finding is not None
    outcome = OutcomeDecided(
        outcome_id=decided.outcome_id,
        case_id=decided.id,
        finding=decided.finding,
        scam_type=decided.scam_type,
        payee_token=decided.payee_token,
        report_ids=tuple(report_ids),
        decided_at=at,
        withdraws=withdraws,
    )
    return outgoing(outcome, outcome.outcome_id, traceparent=decided.traceparent, awaits_answer=True)


async def unmask(office: Office, officer: Officer, case_id: UUID, reason: str) -> dict[str, list[dict[str, Any]]]:
    """Return the people of a case's reports and of the accounts further on in clear; record who looked and why."""
    async with office.pool.acquire() as connection, connection.transaction():
        await seen(connection, officer, case_id)
        await people_store.audit(connection, office.identity, f"officer:{officer.name}", "unmasked", case_id, reason)
        verdicts = await report_store.sealed_reports(connection, case_id, officer.path)
        moved = await onward_store.moved_in(connection, case_id)
    opened = []
    for verdict in verdicts:
        report_id = str(verdict.report.report_id)
        opened.append({"report_id": report_id, **json.loads(office.identity.open(verdict.report.identity, report_id))})
    return {"reports": opened, "accounts": [onward.in_clear(one, office.identity) for one in moved]}


def refuse_unknown_scam_type(scam_type: str | None, known: frozenset[str]) -> None:
    """Raise where a scam type is not in the taxonomy."""
    if scam_type is not None and scam_type not in known:
        raise invalid(FieldProblem(field="scam_type", message="is not a scam type that we know"))
