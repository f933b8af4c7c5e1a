"""What notifier says of cases: that they have changed, and which case a report is in. Inside a transaction."""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from uuid import UUID

from services.notifier.cases import case, report_store, store
from services.notifier.cases.case import Case, Entry
from shared.outbox import Outgoing, keep, new_id, outgoing
from shared.postgres import Connection
from shared.privacy import Seal


async def announce(connection: Connection, cases: Sequence[Case]) -> list[Outgoing]:
    """Say how cases stand that officers, banks or the clock have changed.

    A case that was split off names its reports: nobody asks again where those are, so each change repeats it. No other
    does, or every change of a case with thousands of reports would name them all.
    """
    apart = [one.id for one in cases if one.split_from]
    reports = await report_store.reports_in(connection, apart) if apart else {}
    return [
        outgoing(case.changed(one, reports.get(one.id, ())), new_id(), traceparent=one.traceparent) for one in cases
    ]


def answer(
    cases: Sequence[Case], reports: Mapping[UUID, AbstractSet[UUID]], asked_once: Collection[UUID]
) -> list[Outgoing]:
    """Say which cases these reports are in, by case. It is said again whenever a report is asked about again.

    Of the reports `asked_once` nobody asks again, so what names one of them is kept until the broker has it.
    """
    return [
        outgoing(
            case.changed(one, reports[one.id]),
            new_id(),
            traceparent=one.traceparent,
            kept=not reports[one.id].isdisjoint(asked_once),
        )
        for one in cases
    ]


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
