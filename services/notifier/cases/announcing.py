"""What notifier says of cases that have changed. Inside a transaction."""

from collections.abc import Sequence

from services.notifier.cases import case, report_store, store
from services.notifier.cases.case import Case, Entry
from shared.outbox import Outgoing, keep, new_id, outgoing
from shared.postgres import Connection
from shared.privacy import Seal


async def announce(connection: Connection, cases: Sequence[Case]) -> list[Outgoing]:
    """Say how cases stand."""
    reports = await report_store.reports_in(connection, [one.id for one in cases])
    return [outgoing(case.changed(one, reports.get(one.id, ())), new_id()) for one in cases]


async def write_case(
    connection: Connection, after: Case, entries: Sequence[Entry], identity: Seal | None = None
) -> list[Outgoing]:
    """Write a case the caller has locked and changed, with what its timeline tells; keep and return what is said.

    Without `identity` no line may hold an officer's words.
    """
    await store.update_cases(connection, [after])
    await store.write_timeline(connection, entries, identity)
    rows = await announce(connection, [after])
    await keep(connection, rows)
    return rows
