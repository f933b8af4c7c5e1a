"""notifier's SQL for verifying the ledger: pages of cases and of reports in none, and what there is about them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from shared.postgres import AnyConnection, Row


async def first_cases_after(connection: AnyConnection, case_id: UUID, most: int) -> list[Row]:
    """Return a page of the cases that were not split from another."""
    return await connection.fetch(
        "select id, bank, unit, amount_fen from fraud_case where split_from is null and id > $1 order by id limit $2",
        case_id,
        most,
    )


async def split_from(connection: AnyConnection, case_ids: Sequence[UUID]) -> list[Row]:
    """Return the cases that were split from these directly."""
    return await connection.fetch(
        "select id, split_from, amount_fen from fraud_case where split_from = any($1::uuid[])", list(case_ids)
    )


async def loose_reports_after(connection: AnyConnection, report_id: UUID, most: int) -> list[UUID]:
    """Return a page of the reports that are in no case."""
    rows = await connection.fetch(
        "select id from report where case_id is null and id > $1 order by id limit $2", report_id, most
    )
    return [row["id"] for row in rows]


async def sizes(connection: AnyConnection, roots: Sequence[UUID]) -> dict[UUID, int]:
    """Return how many reports there are in cases and in all that were split from them."""
    rows = await connection.fetch(
        """
        with recursive down as (
            select id as root, id from unnest($1::uuid[]) as id
            union all select d.root, c.id from down d join fraud_case c on c.split_from = d.id
        )
        select d.root, count(r.id) as reports from down d left join report r on r.case_id = d.id group by d.root
        """,
        list(roots),
    )
    return {row["root"]: row["reports"] for row in rows}


REPORT_FIELDS = """
    r.id, r.case_id, r.bank, r.branch, r.unit, r.amount_fen, r.alike, r.observed_at, d.outcome,
    d.amount_fen as disposition_fen
"""


async def reports_of(connection: AnyConnection, case_ids: Sequence[UUID], report_ids: Sequence[UUID]) -> list[Row]:
    """Return the reports of cases, and those named, with how their visits ended."""
    return await connection.fetch(
        f"""
        select {REPORT_FIELDS}, r.verdict from report r left join disposition d on d.report_id = r.id
        where r.case_id = any($1::uuid[]) or r.id = any($2::uuid[])
        """,  # noqa: S608 - constant field list
        list(case_ids),
        list(report_ids),
    )


async def reports_like(connection: AnyConnection, names: Sequence[str]) -> list[Row]:
    """Return all reports of the same payer, payee and amount, wherever they are; without their verdicts."""
    return await connection.fetch(
        f"""
        select {REPORT_FIELDS} from report r left join disposition d on d.report_id = r.id
        where r.alike = any($1::text[])
        """,  # noqa: S608 - constant field list
        list(names),
    )


async def orders_of(connection: AnyConnection, case_ids: Sequence[UUID]) -> list[Row]:
    """Return all orders of cases, with the banks' answers as they came."""
    return await connection.fetch(
        """
        select o.*, f.id as answer_id, f.event as answer
        from bank_order o left join feedback f on f.order_id = o.id
        where o.case_id = any($1::uuid[]) order by o.id
        """,
        list(case_ids),
    )


async def booked(connection: AnyConnection, case_ids: Sequence[UUID], report_ids: Sequence[UUID]) -> list[Row]:
    """Return the sums booked for cases and reports, and of how many entries."""
    return await connection.fetch(
        """
        select kind, case_id, report_id, bank, unit, sum(fen)::bigint as fen, count(*) as entries from ledger
        where case_id = any($1::uuid[]) or report_id = any($2::uuid[])
        group by kind, case_id, report_id, bank, unit
        """,
        list(case_ids),
        list(report_ids),
    )


async def booked_for_nobody(connection: AnyConnection) -> list[Row]:
    """Return the sums booked for cases and reports that there are not."""
    return await connection.fetch(
        """
        select kind, case_id, report_id, bank, unit, sum(fen)::bigint as fen, count(*) as entries from ledger l
        where (case_id is not null and not exists (select from fraud_case c where c.id = l.case_id))
           or (report_id is not null and not exists (select from report r where r.id = l.report_id))
        group by kind, case_id, report_id, bank, unit
        """
    )


async def answers_kept_since(connection: AnyConnection) -> datetime | None:
    """Return when the oldest answer that is kept was given."""
    since: datetime | None = await connection.fetchval("select min(received_at) from feedback")
    return since


async def counts(connection: AnyConnection) -> Row:
    """Return how many cases, reports, orders and entries there are."""
    row = await connection.fetchrow(
        """
        select (select count(*) from fraud_case) as cases, (select count(*) from report) as reports,
               (select count(*) from bank_order) as orders, (select count(*) from ledger) as entries
        """
    )
    assert row is not None
    return row


async def totals_off(connection: AnyConnection) -> list[Row]:
    """Return the totals that are not the sum of their entries."""
    return await connection.fetch(
        """
        select kind, bank, unit, coalesce(s.fen, 0)::bigint as summed, coalesce(t.fen, 0) as total
        from ledger_total t
        full join (select kind, bank, unit, sum(fen) as fen from ledger group by kind, bank, unit) s
             using (kind, bank, unit)
        where coalesce(s.fen, 0) <> coalesce(t.fen, 0) order by 1, 2, 3
        """
    )


async def read_whole(connection: AnyConnection) -> None:
    """Let the rest of the transaction read tables from end to end, which is the cheapest where all rows are wanted."""
    await connection.execute("set local enable_seqscan = on; set local plan_cache_mode = force_custom_plan")


async def touched(connection: AnyConnection, since: datetime, until: datetime) -> list[Row]:
    """Return the cases, and the reports that are in none, that were booked or changed from one moment to another."""
    return await connection.fetch(
        """
        with booked as (select distinct case_id, report_id from ledger where booked_at >= $1 and booked_at < $2)
        select distinct coalesce(b.case_id, r.case_id) as case_id,
               case when coalesce(b.case_id, r.case_id) is null then b.report_id end as report_id
        from booked b left join report r on r.id = b.report_id
        union
        select id, null from fraud_case where changed_at >= $1 and changed_at < $2
        """,
        since,
        until,
    )


async def roots_of(connection: AnyConnection, case_ids: Sequence[UUID]) -> list[Row]:
    """Return the cases that these were split from in the end, as `first_cases_after` does; in order."""
    return await connection.fetch(
        """
        with recursive up as (
            select id, split_from from fraud_case where id = any($1::uuid[])
            union select c.id, c.split_from from up join fraud_case c on c.id = up.split_from
        )
        select id, bank, unit, amount_fen from fraud_case
        where id in (select id from up where split_from is null) order by id
        """,
        list(case_ids),
    )


async def loose_among(connection: AnyConnection, report_ids: Sequence[UUID]) -> list[UUID]:
    """Return those of the reports that are in no case now; in order."""
    rows = await connection.fetch(
        "select id from report where id = any($1::uuid[]) and case_id is null order by id", list(report_ids)
    )
    return [row["id"] for row in rows]
