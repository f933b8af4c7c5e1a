"""notifier's use cases that officers bring to a case as a whole: one function each, one transaction each.

Each returns the events it has promised; the caller hands them to the relay once the transaction is through.
"""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from services.notifier import case, clock_store, ordering, people_store, report_store, timeline
from services.notifier.announcing import write_case
from services.notifier.case import Case
from services.notifier.clock import Deadline, Stage
from services.notifier.office import Office
from services.notifier.order import Hold, Standing, account_of
from services.notifier.order_store import orders_on
from services.notifier.people_store import Officer, seen
from services.notifier.requests import Closing, Ordering
from shared.errors import FieldProblem, conflict, invalid
from shared.events import Finding, OrderKind, OutcomeDecided
from shared.outbox import Outgoing, keep, new_id, outgoing


async def acknowledge(
    office: Office, officer: Officer, case_id: UUID, now: datetime
) -> tuple[float | None, list[Outgoing]]:
    """Take a case on: the clock stops. Returns the seconds it took, or nothing when it was taken on before."""
    async with office.pool.acquire() as connection, connection.transaction():
        before = await seen(connection, officer, case_id)
        after = case.acknowledge(before, officer.id, now)
        if after is None:
            return None, []
        await clock_store.meet(connection, [case_id], [Stage.ACKNOWLEDGE])
        span = office.deadlines().span(after.in_charge, after.urgency, Stage.ORDER)
        await clock_store.start(connection, [Deadline(case_id, Stage.ORDER, now + span)])
        rows = await write_case(connection, after, [timeline.acknowledged(after, officer.name, now)])
    return (now - before.opened_at).total_seconds(), rows


async def close(office: Office, officer: Officer, case_id: UUID, closing: Closing, now: datetime) -> list[Outgoing]:
    """Close a case with a finding, and let it flow back to the rules. Unfounded: what is held is released at once."""
    async with office.pool.acquire() as connection, connection.transaction():
        before = await seen(connection, officer, case_id)
        after = case.close(before, closing.finding, closing.scam_type, closing.reason, new_id(), now)
        if after is None:
            return []
        on_account = await orders_on(connection, before.payee_token)
        if any(one.case_id == case_id and one.status is Standing.PENDING for one in on_account):
            raise conflict("An order of this case is waiting for the bank's answer; close the case after it.")
        entries = [timeline.closed(after, closing.finding, officer.name, now)]
        rows: list[Outgoing] = []
        account = account_of([one for one in on_account if one.case_id == case_id], now)
        if closing.finding is Finding.UNFOUNDED and account.by is not None:
            kind = OrderKind.UNFREEZE if account.hold is Hold.FROZEN else OrderKind.RELEASE_STOP
            release = Ordering(kind=kind, reason=closing.reason)
            given, rows = await ordering.draw_up(connection, office, officer, before, release, now)
            entries.append(timeline.ordered(given, officer.name, now))
        await clock_store.meet(connection, [case_id], [Stage.ACKNOWLEDGE, Stage.ORDER])
        reports = await report_store.reports_in(connection, [case_id])
        decided = [_outcome(after, reports[case_id], now)]
        await keep(connection, decided)
        rows += await write_case(connection, after, entries)
    return rows + decided


def _outcome(after: Case, report_ids: list[UUID], now: datetime) -> Outgoing:
    assert after.outcome_id is not None
    assert after.finding is not None
    outcome = OutcomeDecided(
        outcome_id=after.outcome_id,
        case_id=after.id,
        finding=after.finding,
        scam_type=after.scam_type,
        payee_token=after.payee_token,
        report_ids=tuple(report_ids),
        decided_at=now,
    )
    return outgoing(outcome, outcome.outcome_id, awaits_answer=True)


async def unmask(office: Office, officer: Officer, case_id: UUID, reason: str) -> list[dict[str, Any]]:
    """Return the people of a case's reports in clear, and record who looked and why."""
    async with office.pool.acquire() as connection, connection.transaction():
        await seen(connection, officer, case_id)
        await people_store.audit(connection, f"officer:{officer.name}", "unmasked", case_id, reason)
        verdicts = await report_store.sealed_reports(connection, case_id, officer.path)
    opened = []
    for verdict in verdicts:
        report_id = str(verdict.report.report_id)
        opened.append({"report_id": report_id, **json.loads(office.identity.open(verdict.report.identity, report_id))})
    return opened


def refuse_unknown_scam_type(scam_type: str | None, known: frozenset[str]) -> None:
    """Raise where a scam type is not in the taxonomy."""
    if scam_type is not None and scam_type not in known:
        raise invalid(FieldProblem(field="scam_type", message="is not a scam type that we know"))
