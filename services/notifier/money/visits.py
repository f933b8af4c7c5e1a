"""How visits to the counter ended: told to the cases, counted by the ledger, answered. Inside a transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from services.notifier.cases import store, timeline
from services.notifier.cases.case import Entry
from services.notifier.clock import clock_store
from services.notifier.clock.clock import Stage
from services.notifier.money import family_store, ledger, money_store
from services.notifier.money.ledger import Book
from shared.events import DispositionCounted, DispositionOutcome
from shared.outbox import Outgoing, new_id, outgoing
from shared.postgres import Connection, Row

Line = tuple[UUID, ledger.Entry]
"""An entry to be booked, and the event that is its cause."""

UNTRACED: Final[Mapping[UUID, str]] = MappingProxyType({})


async def count(
    connection: Connection,
    report_ids: Sequence[UUID],
    moved: Mapping[UUID, UUID],
    now: datetime,
    traces: Mapping[UUID, str] = UNTRACED,
) -> tuple[list[Line], list[Outgoing]]:
    """Tell the cases of these reports how the visits ended; return what is to be booked and said for it.

    `moved` are reports that were counted before and may have come into a case now, with the verdict that did it.
    `traces` are those of reports, by id.
    """
    others = await family_store.alike(connection, report_ids)
    cases = await store.locked_cases_of(connection, [*report_ids, *others])
    known = await money_store.dispositions_of(connection, [*report_ids, *others], [one.id for one in cases])
    further = await family_store.stopped_further_on(connection, [one.id for one in cases])
    if not known and not others and not further:
        return [], []
    loose = [*report_ids, *others] if others else [row["report_id"] for row in known if not row["case_id"]]
    left = await clock_store.to_be_stopped(connection, [one.id for one in cases])
    await clock_store.meet(connection, [one.id for one in cases if one.id not in left], [Stage.ORDER])
    books = await money_store.books(connection, cases, loose)
    asked = set(report_ids)
    found = [row for row in known if row["report_id"] in asked]
    await store.tell(connection, [_told(row, now) for row in found if row["case_id"]])
    events = [
        DispositionCounted(disposition_id=row["id"], report_id=row["report_id"], case_id=row["case_id"])
        for row in found
    ]
    return _lines(books, known, moved), [
        outgoing(event, new_id(), traceparent=traces.get(event.report_id, ""), kept=False) for event in events
    ]


def _lines(books: Sequence[Book], dispositions: Sequence[Row], moved: Mapping[UUID, UUID]) -> list[Line]:
    """Name the cause of each entry: what is new of the report itself, else of another of the case or of the transfer.

    New is a disposition that was no cause before, since the same cause books the same money once; or the
    verdict that moved the report into the case.
    """
    causes = [(row, moved.get(row["report_id"]) if row["booked"] else row["id"]) for row in dispositions]
    own = {row["report_id"]: cause for row, cause in causes if cause}
    of_case = {row["case_id"]: cause for row, cause in causes if cause}
    any_cause = next(iter(own.values()), None)
    return [
        (
            own.get(entry.report_id)
            or next((of_case[one] for one in book.members if one in of_case), any_cause or new_id()),
            entry,
        )
        for book in books
        for entry in ledger.entries(book)
    ]


def _told(row: Row, now: datetime) -> Entry:
    outcome = DispositionOutcome(row["outcome"])
    return timeline.visit_ended(row["case_id"], row["id"], outcome, row["amount_fen"], now)
