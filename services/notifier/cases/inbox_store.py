"""notifier's SQL for what officers look at: the inbox, and one case with all that happened in it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.notifier.orders import order_store
from shared.postgres import Pool, Row


@dataclass(frozen=True, slots=True)
class WorkRows:
    """The rows of the work on one case: what is due, what belongs to it, who objects."""

    deadlines: list[Row]
    links: list[Row]
    splits: list[Row]
    notes: list[Row]
    attachments: list[Row]
    objections: list[Row]


async def inbox(pool: Pool, path: str, status: str | None, since: datetime | None, most: int) -> list[Row]:
    """Return the cases a subtree sees, the latest change first, each with what is due next."""
    return await pool.fetch(
        """
        with shown as (
            select * from fraud_case c
            where exists (select from case_unit s where s.case_id = c.id and starts_with(s.path, $1))
              and ($2::text is null or c.status = $2) and ($3::timestamptz is null or c.changed_at >= $3)
            order by c.changed_at desc, c.id desc limit $4
        )
        select c.id, c.version, c.status, c.payee_mask, c.scam_type, c.unit, c.in_charge, o.name as responsible,
               c.urgency, c.bank, c.amount_fen, c.opened_at, c.acknowledge_by, c.acknowledged_at, c.closed_at,
               c.finding, c.changed_at, nullif(c.traceparent, '') as traceparent,
               (select count(*) from report r where r.case_id = c.id) as reports,
               d.stage as next_stage, d.due_at as next_due_at
        from shown c
        left join officer o on o.id = c.responsible
        left join lateral (
            select stage, due_at from deadline
            where case_id = c.id and state = 'running' and stage <> 'warning' order by due_at, stage limit 1
        ) d on true
        order by c.changed_at desc, c.id desc
        """,
        path,
        status,
        since,
        most,
    )


async def case_seen_by(pool: Pool, case_id: UUID, path: str) -> Row | None:
    """Return one case if a unit of the subtree sees it, with the names of who took it on and who is responsible."""
    return await pool.fetchrow(
        """
        select c.id, c.version, c.status, c.payee_mask, c.scam_type, c.unit, c.bank, c.amount_fen, c.opened_at,
               c.acknowledge_by, c.acknowledged_at, o.name as acknowledged_by, c.closed_at, c.finding, c.reason,
               c.sealed_reason,
               c.changed_at, c.in_charge, h.name as responsible, c.urgency, c.split_from,
               nullif(c.traceparent, '') as traceparent
        from fraud_case c
        left join officer o on o.id = c.acknowledged_by
        left join officer h on h.id = c.responsible
        where c.id = $1 and exists (select from case_unit s where s.case_id = c.id and starts_with(s.path, $2))
        """,
        case_id,
        path,
    )


async def work_on(pool: Pool, case_id: UUID) -> WorkRows:
    """Return what is due in a case, the cases it has to do with, what officers noted, and who objects."""
    deadlines = await pool.fetch(
        """
        select stage, due_at, step, subject from deadline
        where case_id = $1 and state = 'running' order by due_at, stage, step
        """,
        case_id,
    )
    links = await pool.fetch(
        """
        select case when l.case_id = $1 then l.other_id else l.case_id end as case_id, l.case_id as about, l.sealed,
               o.name as by, l.linked_at as at
        from case_link l join officer o on o.id = l.linked_by
        where l.case_id = $1 or l.other_id = $1 order by l.linked_at, 1
        """,
        case_id,
    )
    splits = await pool.fetch("select id from fraud_case where split_from = $1 order by id", case_id)
    notes = await pool.fetch(
        """
        select n.id, n.sealed, o.name as by, n.written_at as at
        from note n join officer o on o.id = n.written_by where n.case_id = $1 order by n.written_at, n.id
        """,
        case_id,
    )
    attachments = await pool.fetch(
        """
        select a.id, a.sealed, a.sha256, o.name as by, a.added_at as at
        from attachment a join officer o on o.id = a.added_by where a.case_id = $1 order by a.added_at, a.id
        """,
        case_id,
    )
    objections = await pool.fetch(
        """
        select j.id, j.sealed, j.sealed_answer, r.name as recorded_by, j.raised_at, j.answer_by, j.decision,
               a.name as answered_by, j.answered_at
        from objection j join officer r on r.id = j.recorded_by left join officer a on a.id = j.answered_by
        where j.case_id = $1 order by j.raised_at, j.id
        """,
        case_id,
    )
    return WorkRows(deadlines, links, splits, notes, attachments, objections)


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
    orders = await order_store.shown_orders(pool, case_id)
    timeline = await pool.fetch(
        "select id, at, kind, actor, text, sealed from timeline where case_id = $1 order by id", case_id
    )
    return reports, orders, timeline
