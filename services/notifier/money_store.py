"""notifier's SQL for dispositions and the ledger."""

from collections import Counter
from collections.abc import Callable, Sequence
from uuid import UUID

from services.notifier.case import Case
from services.notifier.ledger import Account, Book, Entry, Kind, ReportFacts, StopFacts
from services.notifier.order_store import ORDER_FIELDS, order_of
from shared.events import DispositionOutcome, DispositionRecorded
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
    """Return what the ledger is computed from, of cases the caller has locked and of reports that are in none."""
    case_ids = [case.id for case in cases]
    reports = await connection.fetch(
        """
        select r.id, r.case_id, r.bank, r.unit, r.amount_fen, d.outcome, coalesce(d.amount_fen, 0) as disposition_fen
        from report r left join disposition d on d.report_id = r.id
        where r.case_id = any($1::uuid[]) or r.id = any($2::uuid[]) order by r.filed_at, r.id
        """,
        case_ids,
        list(loose),
    )
    stops = await connection.fetch(
        f"""
        select {ORDER_FIELDS}, (
            select coalesce(max(least(e.stopped_fen, e.amount_fen, e.balance_before_fen)), 0)
            from bank_order e
            where e.payee_token = o.payee_token and e.case_id <> o.case_id and e.id < o.id and e.kind = 'stop'
              and e.status = 'executed' and e.expires_at > o.executed_at
              and (e.ended_at is null or e.ended_at > o.executed_at)
        ) as held_elsewhere_fen
        from bank_order o
        where case_id = any($1::uuid[]) and kind = 'stop' and status = 'executed' order by id
        """,  # noqa: S608 - constant field list
        case_ids,
    )
    booked = await connection.fetch(
        """
        select kind, case_id, report_id, sum(fen)::bigint as fen from ledger
        where (case_id = any($1::uuid[]) or report_id = any($2::uuid[])) and kind <> 'reported'
        group by kind, case_id, report_id
        """,
        case_ids,
        [row["id"] for row in reports],
    )
    book_of = {row["id"]: row["case_id"] or row["id"] for row in reports}
    reports_of = _grouped(reports, lambda row: book_of[row["id"]])
    stops_of = _grouped(stops, lambda row: row["case_id"])
    booked_of = _grouped(booked, lambda row: row["case_id"] or book_of[row["report_id"]])
    owners: list[tuple[UUID, UUID | None, str, str]] = [(case.id, case.id, case.bank, case.unit) for case in cases]
    owners += [(row["id"], None, row["bank"], row["unit"]) for row in reports if row["case_id"] is None]
    return [
        Book(
            case_id,
            bank,
            unit,
            [_report_facts(row) for row in reports_of[key]],
            [_stop_facts(row) for row in stops_of.get(key, ())],
            _accounts(booked_of.get(key, ())),
        )
        for key, case_id, bank, unit in owners
    ]


def _grouped(rows: Sequence[Row], key: Callable[[Row], UUID]) -> dict[UUID, list[Row]]:
    groups: dict[UUID, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _report_facts(row: Row) -> ReportFacts:
    outcome = DispositionOutcome(row["outcome"]) if row["outcome"] else None
    return ReportFacts(row["id"], row["bank"], row["unit"], row["amount_fen"], outcome, row["disposition_fen"])


def _stop_facts(row: Row) -> StopFacts:
    order = order_of(row)
    return StopFacts(
        order.id,
        order.amount_fen,
        order.stopped_fen or 0,
        order.balance_before_fen,
        order.covers,
        order.ended_at is not None,
        row["held_elsewhere_fen"],
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
