"""notifier's use cases for the rights of account holders: objections recorded, and answered in time.

Each returns the events it has promised; the caller hands them to the relay once the transaction is through.
"""

import json
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from services.notifier.cases import casework_store, casework_words, store, timeline
from services.notifier.cases.announcing import write_case
from services.notifier.cases.case import Case
from services.notifier.cases.casework_requests import Answering, Decision, Objecting
from services.notifier.clock import clock_store
from services.notifier.clock.clock import Deadline, Stage
from services.notifier.office import Office
from services.notifier.orders import ordering
from services.notifier.orders.law import Rule, broken
from services.notifier.people_store import Officer, seen
from shared.errors import not_found
from shared.outbox import Outgoing, new_id
from shared.postgres import Connection

REJECTS: Final = ("approver", "supervisor")
"""Whoever decides may free an account; to go on holding it against its holder takes one of these."""

UPHELD_REASON: Final = "账户持有人异议成立"
"""What the bank is told: the objection itself is the police's."""


async def object_to(office: Office, officer: Officer, case_id: UUID, asked: Objecting, now: datetime) -> UUID:
    """Record an account holder's objection, in a case closed or not; return its id. Its time to be answered runs."""
    objection_id = new_id()
    async with office.pool.acquire() as connection, connection.transaction():
        about = await seen(connection, officer, case_id)
        answer_by = now + office.deadlines().span(about.in_charge, about.urgency, Stage.OBJECTION)
        said = json.dumps({"by": asked.by, "text": asked.text}, ensure_ascii=False)
        sealed = office.identity.seal(said, str(objection_id))
        await casework_store.insert_objection(connection, objection_id, case_id, sealed, officer.id, (now, answer_by))
        await clock_store.start(connection, [Deadline(case_id, Stage.OBJECTION, answer_by, objection_id)])
        await store.tell(connection, [casework_words.objected(case_id, officer.name, now)])
    return objection_id


async def answer(
    office: Office, officer: Officer, objection_id: UUID, asked: Answering, now: datetime
) -> tuple[UUID, list[Outgoing]]:
    """Decide about an objection; return its case. Upheld: all that the case holds is released in one transaction.

    The same decision again is nothing new, another is a conflict.
    """
    async with (
        ordering.on_record(office, officer, objection_id, "step_refused"),
        office.pool.acquire() as connection,
        connection.transaction(),
    ):
        about = await _case_of(connection, officer, objection_id)
        if asked.decision is Decision.REJECTED and officer.role not in REJECTS:
            raise broken(Rule.REJECTED_BY)
        decided = await casework_store.decision_of(connection, objection_id)
        if decided == asked.decision.value:
            return about.id, []
        if decided is not None:
            raise broken(Rule.ANSWERED_ONCE)
        sealed = office.identity.seal(asked.text, str(objection_id))
        await casework_store.answer_objection(connection, objection_id, asked.decision.value, sealed, officer.id, now)
        await clock_store.meet(connection, [about.id], [Stage.OBJECTION], [objection_id])
        if asked.decision is Decision.UPHELD:
            return about.id, await _set_free(connection, office, officer, about, now)
        await store.tell(connection, [casework_words.objection_answered(about.id, officer.name, now, upheld=False)])
    return about.id, []


async def _case_of(connection: Connection, officer: Officer, objection_id: UUID) -> Case:
    """Lock and return the case of an objection; refuse what is absent or another's: the two look the same."""
    case_id = await casework_store.case_of_objection(connection, objection_id)
    found = case_id and await store.locked_case_seen_by(connection, case_id, officer.path)
    if not found:
        raise not_found("objection")
    return found


async def _set_free(
    connection: Connection, office: Office, officer: Officer, about: Case, now: datetime
) -> list[Outgoing]:
    """Release all that a case holds, on every account, and say so."""
    given, rows = await ordering.release_everything(connection, office, officer, about, UPHELD_REASON, now)
    entries = [
        casework_words.objection_answered(about.id, officer.name, now, upheld=True),
        *(timeline.ordered(one, officer.name, now) for one in given),
    ]
    return rows + await write_case(connection, replace(about, version=about.version + 1), entries)
