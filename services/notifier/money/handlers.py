"""notifier's use case that dispositions bring: one transaction.

It returns the answers; the caller hands them to the relay once the transaction is through.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from services.notifier.cases import report_store
from services.notifier.money import money_store, visits
from shared.events import DispositionRecorded
from shared.outbox import Outgoing
from shared.postgres import Pool


async def count_dispositions(
    pool: Pool, events: Sequence[DispositionRecorded], now: datetime, traces: Mapping[UUID, str] = visits.UNTRACED
) -> list[Outgoing]:
    """Let the ledger know how visits ended. One whose report is not known yet waits for its verdict.

    `traces` are those of reports, by id.
    """
    async with pool.acquire() as connection, connection.transaction():
        report_ids = [event.report_id for event in events]
        await money_store.insert_dispositions(connection, events)
        # a report that is moved into a case meanwhile must not miss this visit: whoever moves it waits, or has
        await report_store.hold_still(connection, report_ids)
        lines, rows = await visits.count(connection, report_ids, {}, now, traces)
        await money_store.book(connection, lines)
    return rows
