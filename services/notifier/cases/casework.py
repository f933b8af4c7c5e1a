"""notifier's use cases for work on a case as a whole: one function each, one transaction each.

Each returns the events it has promised; the caller hands them to the relay once the transaction is through.
"""

import json
from datetime import datetime
from uuid import UUID

from services.notifier import people_store
from services.notifier.alerting import alert, alert_store, delivery_store
from services.notifier.alerting.alert_store import Alert
from services.notifier.cases import casework_store, casework_words, custody, store
from services.notifier.cases.announcing import announce, write_case
from services.notifier.cases.casework_requests import Attaching, Linking, Splitting, Transferring
from services.notifier.clock import clock_store
from services.notifier.clock.clock import Deadline, Stage
from services.notifier.office import Office
from services.notifier.orders.ordering import on_record
from services.notifier.people_store import Officer, seen
from shared.errors import FieldProblem, invalid, not_found
from shared.outbox import Outgoing, keep, new_id


async def transfer(
    office: Office, officer: Officer, case_id: UUID, asked: Transferring, now: datetime
) -> list[Outgoing]:
    """Put another unit in charge: it sees the case, is alerted, and has its own time to acknowledge.

    The old unit's officers are not called to acknowledge any more.
    """
    async with (
        on_record(office, officer, case_id, "step_refused"),
        office.pool.acquire() as connection,
        connection.transaction(),
    ):
        before = await seen(connection, officer, case_id)
        path = await people_store.path_of(connection, asked.unit)
        if path is None:
            raise invalid(FieldProblem(field="unit", message="is not a unit that we know"))
        span = office.deadlines().span(asked.unit, before.urgency, Stage.ACKNOWLEDGE)
        after = custody.transferred(before, asked.unit, now + span, now)
        await casework_store.give_sight(connection, case_id, asked.unit, path)
        await clock_store.meet(connection, [case_id], [Stage.ACKNOWLEDGE, Stage.ORDER])
        await clock_store.start(connection, [Deadline(case_id, Stage.ACKNOWLEDGE, after.acknowledge_by)])
        units = (before.in_charge, asked.unit)
        entry = casework_words.transferred(case_id, officer.name, units, asked.reason, now)
        rows = await write_case(connection, after, [entry], office.identity)
        await delivery_store.moot(connection, [case_id])
        alert_id = new_id()
        told = alert.case_facts(alert_id, after, "transferred", asked.unit, f"{before.in_charge} 移交本案，请签收")
        await alert_store.insert_alerts(connection, [Alert(alert_id, case_id, None, asked.unit, path, told, now)])
    return rows


async def link(office: Office, officer: Officer, case_id: UUID, asked: Linking, now: datetime) -> None:
    """Link two cases that the officer sees, for both to show. Twice is once, from whichever side."""
    if asked.case_id == case_id:
        raise invalid(FieldProblem(field="case_id", message="is this case itself"))
    pair = (case_id, asked.case_id)
    async with office.pool.acquire() as connection, connection.transaction():
        found = await casework_store.locked_cases_seen_by(connection, pair, officer.path)
        if len(found) < len(pair):
            raise not_found("case")
        sealed = office.identity.seal(asked.reason, str(min(pair)))
        if await casework_store.link(connection, pair, officer.id, sealed, now):
            entries = [
                casework_words.linked(one, other, officer.name, asked.reason, now) for one, other in (pair, pair[::-1])
            ]
            await store.tell(connection, entries, office.identity)


async def split(
    office: Office, officer: Officer, case_id: UUID, asked: Splitting, now: datetime
) -> tuple[UUID, list[Outgoing]]:
    """Take reports out into a case of their own, with the officer responsible; return its id.

    Orders, objections and what is held stay with the case they were given in.
    """
    taken = set(asked.report_ids)
    async with (
        on_record(office, officer, case_id, "step_refused"),
        office.pool.acquire() as connection,
        connection.transaction(),
    ):
        await casework_store.lock_reports(connection, sorted(taken))
        before = await seen(connection, officer, case_id)
        parts = await casework_store.parts_of(connection, case_id)
        left, new = custody.split(before, parts, taken, officer.id, new_id(), now)
        await store.insert_cases(connection, [new])
        await store.update_cases(connection, [left])
        splitting = (officer.unit, officer.path)
        await casework_store.move_reports(connection, case_id, new, sorted(taken), splitting)
        entries = casework_words.split(case_id, new.id, len(taken), officer.name, asked.reason, now)
        await store.write_timeline(connection, entries, office.identity)
        await clock_store.start_order(connection, office.deadlines(), [new], now)
        rows = await announce(connection, [left, new])
        await keep(connection, rows)
    return new.id, rows


async def note(office: Office, officer: Officer, case_id: UUID, text: str, now: datetime) -> None:
    """Write something down about a case, closed or not."""
    note_id = new_id()
    async with office.pool.acquire() as connection, connection.transaction():
        await seen(connection, officer, case_id)
        sealed = office.identity.seal(text, str(note_id))
        await casework_store.insert_note(connection, note_id, case_id, sealed, officer.id, now)
        await store.tell(connection, [casework_words.noted(case_id, officer.name, now)])


async def attach(office: Office, officer: Officer, case_id: UUID, asked: Attaching, now: datetime) -> None:
    """Note what lies elsewhere and belongs to a case, closed or not; nothing is fetched. Twice is once."""
    async with office.pool.acquire() as connection, connection.transaction():
        await seen(connection, officer, case_id)
        attachment_id = new_id()
        said = json.dumps({"reference": asked.reference, "title": asked.title}, ensure_ascii=False)
        sealed = office.identity.seal(said, str(attachment_id))
        kept = (office.tokens.of("reference", asked.reference), sealed, asked.sha256)
        if await casework_store.insert_attachment(connection, attachment_id, case_id, kept, officer.id, now):
            entry = casework_words.attached(case_id, officer.name, asked.title, now)
            await store.tell(connection, [entry], office.identity)
