"""Upkeep of intake's reports: what they said is forgotten in time, that they were filed never is.

Any replica may do it, at any time and together with others: each page is a transaction that takes rows nobody holds.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from shared.postgres import Pool, RawConnection, Row
from shared.tally import first_id

PAGE: Final = 10_000


async def keep_up(pool: Pool, before: datetime, page: int = PAGE) -> int:
    """Empty the reports that were filed before a moment and have all their answers; return how many.

    The event, with everything sealed in it, goes, and of the verdict what was found and advised. Bank, key, reference,
    digest, amount and account token stay: the same post still gets the same answer, and a disposition is still taken.
    """
    emptied: int = 0
    last = UUID(int=0)
    while True:
        row = await _empty_page(pool, last, first_id(before), page)
        emptied += row["emptied"]
        if row["looked_at"] < page:
            return emptied
        last = row["last"]


async def forget(connection: RawConnection, bank: str, references: Sequence[str], actor: str) -> list[Row]:
    """Forget at once what these reports of a bank said, as `keep_up` does in time, and record who did it.

    Returns a row each that there is: reference, id, and state (forgotten, before, unanswered). What still waits for an
    answer stays as it is. Orders and answers to them, which name people too, are not touched.
    """
    return await connection.fetch(
        """
        with named as materialized (
            select id, bank_reference, event is null as before from report
            where bank = $1 and bank_reference = any($2::text[]) order by id for update
        ), answered as materialized (
            select n.id from named n join verdict v on v.report_id = n.id
            where not n.before
              and (v.level = 'alert') = exists (select from case_report c where c.report_id = n.id)
              and not exists (select from outbox o where o.id = n.id)
        ), shortened as (
            update verdict set body = body - array['findings', 'advice'] where report_id in (select id from answered)
        ), emptied as (
            update report set event = null, traceparent = '' where id in (select id from answered)
        ), told as (
            insert into audit (actor, action, subject) select $3, 'forget', id from answered
        )
        select bank_reference as reference, id,
               case when before then 'before' when id in (select id from answered) then 'forgotten'
                    else 'unanswered' end as state
        from named order by bank_reference
        """,
        bank,
        references,
        actor,
    )


async def _empty_page(pool: Pool, after: UUID, before: UUID, most: int) -> Row:
    """Empty a page of reports from one id to before another; those that still wait for an answer are passed over."""
    row = await pool.fetchrow(
        """
        with page as materialized (
            select id from report where event is not null and id > $1 and id < $2 order by id limit $3
            for update skip locked
        ), answered as materialized (
            -- as arrays: the planner, which does not know how short the page is, would join it with whole tables
            select v.report_id from verdict v
            where v.report_id = any(array(select id from page))
              and (v.level = 'alert') = exists (select from case_report c where c.report_id = v.report_id)
              and not exists (select from outbox o where o.id = v.report_id)
        ), shortened as (
            update verdict set body = body - array['findings', 'advice']
            where report_id = any(array(select report_id from answered))
        ), emptied as (
            update report set event = null, traceparent = ''
            where id = any(array(select report_id from answered)) returning id
        )
        select (select count(*) from page) as looked_at, (select id from page order by id desc limit 1) as last,
               (select count(*) from emptied) as emptied
        """,
        after,
        before,
        most,
    )
    assert row is not None
    return row
