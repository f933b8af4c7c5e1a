"""notifier's SQL for what officers look at: the inbox, and one case with all that happened in it."""

from datetime import datetime
from uuid import UUID

from shared.postgres import Pool, Row


async def inbox(pool: Pool, path: str, status: str | None, since: datetime | None, most: int) -> list[Row]:
    """Return the cases a subtree sees, the latest change first."""
    return await pool.fetch(
        """
        select c.id, c.version, c.status, c.payee_mask, c.scam_type, c.unit, c.bank, c.amount_fen, c.opened_at,
               c.acknowledge_by, c.acknowledged_at, c.closed_at, c.finding, c.changed_at,
               (select count(*) from report r where r.case_id = c.id) as reports
        from fraud_case c
        where exists (select from case_unit s where s.case_id = c.id and starts_with(s.path, $1))
          and ($2::text is null or c.status = $2) and ($3::timestamptz is null or c.changed_at >= $3)
        order by c.changed_at desc, c.id desc limit $4
        """,
        path,
        status,
        since,
        most,
    )


async def case_seen_by(pool: Pool, case_id: UUID, path: str) -> Row | None:
    """Return one case if a unit of the subtree has a report in it, with the name of who took it on."""
    return await pool.fetchrow(
        """
        select c.id, c.version, c.status, c.payee_mask, c.scam_type, c.unit, c.bank, c.amount_fen, c.opened_at,
               c.acknowledge_by, c.acknowledged_at, o.name as acknowledged_by, c.closed_at, c.finding, c.reason,
               c.changed_at
        from fraud_case c left join officer o on o.id = c.acknowledged_by
        where c.id = $1 and exists (select from case_unit s where s.case_id = c.id and starts_with(s.path, $2))
        """,
        case_id,
        path,
    )


async def case_parts(pool: Pool, case_id: UUID) -> tuple[list[Row], list[Row], list[Row]]:
    """Return a case's reports with their dispositions, its orders, and its timeline."""
    reports = await pool.fetch(
        """
        select r.id, r.bank, r.branch, r.unit, r.score, r.amount_fen, r.filed_at, r.verdict, d.outcome,
               d.amount_fen as disposition_fen
        from report r left join disposition d on d.report_id = r.id
        where r.case_id = $1 order by r.filed_at, r.id
        """,
        case_id,
    )
    orders = await pool.fetch("select * from bank_order where case_id = $1 order by id", case_id)
    timeline = await pool.fetch("select at, kind, actor, text from timeline where case_id = $1 order by id", case_id)
    return reports, orders, timeline
