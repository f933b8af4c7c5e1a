"""What notifier says of cases that have changed. Inside a transaction."""

from collections.abc import Sequence

from services.notifier import case, report_store
from services.notifier.case import Case
from shared.outbox import Outgoing, new_id, outgoing
from shared.postgres import Connection


async def announce(connection: Connection, cases: Sequence[Case]) -> list[Outgoing]:
    """Say how cases stand."""
    reports = await report_store.reports_in(connection, [one.id for one in cases])
    return [outgoing(case.changed(one, reports.get(one.id, ())), new_id()) for one in cases]
