"""notifier's SQL for dispositions and the ledger."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.notifier.cases.case import Case
from services.notifier.money import family_store
from services.notifier.money.holding import FREEZES, STOPS, OrderFacts
from services.notifier.money.ledger import Account, Book, Entry, Kind
from services.notifier.money.transfer import LONG_AGO, ReportFacts
from shared.events import DispositionOutcome, DispositionRecorded, OrderKind
from shared.outbox import new_id
from shared.postgres import Connection, Pool, Row


async def insert_dispositions(connection: Connection, events: Sequence[DispositionRecorded]) -> None:
    """Keep dispositions; a repetition is nothing new."""
    await connection.execute(
        """
        insert into disposition (id, report_id, outcome, amount_fen, recorded_at)
        select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::timestamptz[])
        order by 2 on conflict do nothing
        """,
        [event.disposition_id for event in events],
        [event.report_id for event in events],
        [event.outcome.value for event in events],
        [event.amount_fen for event in events],
        [event.recorded_at for event in events],
    )


async def averted_fen(connection: Connection, report_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return what was averted of reports; those of which nothing was are left out."""
    rows = await connection.fetch(
        "select report_id, amount_fen from disposition where report_id = any($1::uuid[]) and outcome = 'cancelled'",
        list(report_ids),
    )
    return {row["report_id"]: row["amount_fen"] for row in rows}


async def dispositions_of(
    connection: Connection, report_ids: Sequence[UUID], locked_cases: Sequence[UUID]
) -> list[Row]:
    """Return the dispositions of the reports that are in one of the cases or in none, and whether they were booked."""
    return await connection.fetch(
        """
        select d.id, d.report_id, r.case_id, d.outcome, d.amount_fen,
               exists (select from ledger where cause = d.id) as booked
        from disposition d join report r on r.id = d.report_id
        where d.report_id = any($1::uuid[]) and (r.case_id is null or r.case_id = any($2::uuid[]))
        order by r.case_id, d.report_id
        """,
        list(report_ids),
        list(locked_cases),
    )


async def books(connection: Connection, cases: Sequence[Case], loose: Sequence[UUID]) -> list[Book]:
    """Return what the ledger is computed from, of cases the caller has locked and of reports that are in none.

    Cases that were split from one another share one book. Call it after all cases are locked.
    """
    root_of = await family_store.families(connection, [case.id for case in cases])
    roots = {root.id: root for root in root_of.values()}
    reports = await _reports(connection, list(root_of), loose)
    here = [row for row in reports if row["here"]]
    orders = _grouped(await _orders(connection, list(root_of)), lambda row: root_of[row["case_id"]].id)
    book_of = {row["id"]: root_of[row["case_id"]].id if row["case_id"] in root_of else row["id"] for row in here}
    booked = _grouped(
        await _booked(connection, list(root_of), [row["id"] for row in here]),
        lambda row: root_of[row["case_id"]].id if row["case_id"] else book_of[row["report_id"]],
    )
    reports_of = _grouped(here, lambda row: book_of[row["id"]])
    owners: list[_Owner] = [_Owner(root.id, root.id, root.bank, root.unit) for root in roots.values()]
    owners += [_Owner(row["id"], None, row["bank"], row["unit"]) for row in here if row["id"] == book_of[row["id"]]]
    return [
        Book(
            owner.case_id,
            owner.bank,
            owner.unit,
            [_report_facts(row) for row in reports_of.get(owner.key, ())],
            [_order_facts(row) for row in orders.get(owner.key, ())],
            _accounts(booked.get(owner.key, ())),
            _others(reports, reports_of.get(owner.key, ())),
            [case_id for case_id, root in root_of.items() if root.id == owner.key],
        )
        for owner in owners
    ]


@dataclass(frozen=True, slots=True)
class _Owner:
    """Whom a book belongs to: a case, or a report that is in none."""

    key: UUID
    case_id: UUID | None
    bank: str
    unit: str


async def _reports(connection: Connection, case_ids: Sequence[UUID], loose: Sequence[UUID]) -> list[Row]:
    """Return the reports of cases, those named that are in none, and (not `here`) others of the same transfers."""
    return await connection.fetch(
        """
        with here as (
            select * from report where case_id = any($1::uuid[]) or (id = any($2::uuid[]) and case_id is null)
        )
        select r.id, r.case_id, r.bank, r.branch, r.unit, r.amount_fen, r.alike, r.observed_at, r.filed_at, r.here,
               d.outcome, coalesce(d.amount_fen, 0) as disposition_fen
        from (
            select *, true as here from here
            union all
            select o.*, false from report o
            where o.alike in (select alike from here) and o.id not in (select id from here)
        ) r
        -- one look-up a report: joined as a whole, all dispositions there are would be walked through
        left join lateral (select outcome, amount_fen from disposition where report_id = r.id limit 1) d on true
        order by r.filed_at, r.id
        """,
        list(case_ids),
        list(loose),
    )


async def _orders(connection: Connection, case_ids: Sequence[UUID]) -> list[Row]:
    """Return the orders of cases that banks have executed and that move money or hold it."""
    return await connection.fetch(
        """
        select id, case_id, payee_token, account_level, kind, amount_fen, covers, acts_on, balance_before_fen,
               stopped_fen, frozen_fen, returned_fen, ended_at is null as holds, held_elsewhere_fen
        from bank_order
        where case_id = any($1::uuid[]) and status = 'executed' and kind not in ('release_stop', 'unfreeze')
        order by id
        """,
        list(case_ids),
    )


async def _booked(connection: Connection, case_ids: Sequence[UUID], report_ids: Sequence[UUID]) -> list[Row]:
    return await connection.fetch(
        """
        select kind, case_id, report_id, sum(fen)::bigint as fen from ledger
        where (case_id = any($1::uuid[]) or report_id = any($2::uuid[])) and kind <> 'reported'
        group by kind, case_id, report_id
        """,
        list(case_ids),
        list(report_ids),
    )


def _grouped(rows: Sequence[Row], key: Callable[[Row], UUID]) -> dict[UUID, list[Row]]:
    groups: dict[UUID, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _others(reports: Sequence[Row], own: Sequence[Row]) -> list[ReportFacts]:
    names = {row["alike"] for row in own} - {None}
    ids = {row["id"] for row in own}
    return [_report_facts(row) for row in reports if row["alike"] in names and row["id"] not in ids]


def _report_facts(row: Row) -> ReportFacts:
    return ReportFacts(
        row["id"],
        row["bank"],
        row["unit"],
        row["amount_fen"],
        DispositionOutcome(row["outcome"]) if row["outcome"] else None,
        row["disposition_fen"],
        row["branch"],
        row["alike"],
        row["observed_at"] or LONG_AGO,
    )


def _order_facts(row: Row) -> OrderFacts:
    kind = OrderKind(row["kind"])
    said = "stopped_fen" if kind in STOPS else "frozen_fen" if kind in FREEZES else "returned_fen"
    return OrderFacts(
        order_id=row["id"],
        kind=kind,
        ordered_fen=row["amount_fen"],
        done_fen=row[said],
        balance_before_fen=row["balance_before_fen"],
        covers=tuple(row["covers"]),
        holds=row["holds"],
        held_elsewhere_fen=row["held_elsewhere_fen"],
        account=row["payee_token"],
        level=row["account_level"],
        acts_on=row["acts_on"],
    )


def _accounts(rows: Sequence[Row]) -> Counter[Account]:
    booked: Counter[Account] = Counter()
    for row in rows:
        booked[Kind(row["kind"]), row["report_id"]] += row["fen"]
    return booked


async def book(connection: Connection, entries: Sequence[tuple[UUID, Entry]]) -> None:
    """Add entries, each with the event that caused it. The same cause books the same money once.

    Call it once a transaction: the totals are locked in order within a call, and two calls could deadlock.
    """
    if not entries:
        return
    await connection.execute(
        """
        insert into ledger (id, cause, kind, fen, bank, unit, report_id, case_id)
        select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::uuid[],
                             $8::uuid[])
        on conflict do nothing
        """,
        [new_id() for _ in entries],
        [cause for cause, _ in entries],
        [entry.kind.value for _, entry in entries],
        [entry.fen for _, entry in entries],
        [entry.bank for _, entry in entries],
        [entry.unit for _, entry in entries],
        [entry.report_id for _, entry in entries],
        [entry.case_id for _, entry in entries],
    )


async def totals(pool: Pool) -> list[Row]:
    """Return the ledger's totals in fen."""
    return await pool.fetch("select kind, bank, unit, fen from ledger_total")
