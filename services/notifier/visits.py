"""How visits to the counter ended: told to the cases, counted by the ledger, answered. Inside a transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from services.notifier import ledger, money_store, store, timeline
from services.notifier.case import Entry
from services.notifier.ledger import Book
from shared.events import DispositionCounted, DispositionOutcome
from shared.outbox import Outgoing, new_id, outgoing
from shared.postgres import Connection, Row

Line = tuple[UUID, ledger.Entry]
"""An entry to be booked, and the event that is its cause."""


async def count(
    connection: Connection, report_ids: Sequence[UUID], moved: Mapping[UUID, UUID], now: datetime
) -> tuple[list[Line], list[Outgoing]]:
    """Tell the cases of these reports how the visits ended; return what is to be booked and said for it.

    `moved` are reports that were counted before and may have come into a case now, with the verdict that did it.
    """
    cases = await store.locked_cases_of(connection, report_ids)
    found = await money_store.dispositions_of(connection, report_ids, [one.id for one in cases])
    if not found:
        return [], []
    books = await money_store.books(connection, cases, [row["report_id"] for row in found if not row["case_id"]])
    await store.tell(connection, [_told(row, now) for row in found if row["case_id"]])
    events = [
        DispositionCounted(disposition_id=row["id"], report_id=row["report_id"], case_id=row["case_id"])
        for row in found
    ]
    return _lines(books, found, moved), [outgoing(event, new_id()) for event in events]


def _lines(books: Sequence[Book], dispositions: Sequence[Row], moved: Mapping[UUID, UUID]) -> list[Line]:
    """Name the cause of each entry: what is new of the report itself, else of another report of the case.

    New is a disposition that was no cause before, since the same cause books the same money once; or the
    verdict that moved the report into the case.
    """
    causes = [(row, moved.get(row["report_id"]) if row["booked"] else row["id"]) for row in dispositions]
    own = {row["report_id"]: cause for row, cause in causes if cause}
    of_case = {row["case_id"]: cause for row, cause in causes if cause}
    return [
        (own.get(entry.report_id) or of_case.get(book.case_id) or new_id(), entry)
        for book in books
        for entry in ledger.entries(book)
    ]


def _told(row: Row, now: datetime) -> Entry:
    outcome = DispositionOutcome(row["outcome"])
    return timeline.visit_ended(row["case_id"], row["id"], outcome, row["amount_fen"], now)
