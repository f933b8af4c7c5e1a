"""The SQL of `lanjie trace`: what each service's database knows of one report. Reads only, and nothing sealed."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from shared.postgres import RawConnection, Row

MOST_LETTERS: Final = 1000
"""Letters are opened one by one, the newest first."""
TOLD_ELSEWHERE: Final = (
    *("opened", "joined", "acknowledged", "closed", "ordered", "proposed", "approved", "feedback", "disposition"),
    *("escalated", "order_overdue", "approval_overdue", "feedback_overdue", "release_overdue", "objection_overdue"),
    *("expiring", "expired", "contradiction", "approval_wanted", "judged_again"),
)
"""Kinds of timeline lines whose times are read from what they tell of."""

REPORT: Final = """
    select r.id, r.bank, r.filed_at, r.amount_fen, r.traceparent, v.version, v.level, c.case_id,
           d.id as disposition_id, d.outcome, d.amount_fen as disposition_fen, d.recorded_at
    from report r
    left join verdict v on v.report_id = r.id
    left join case_report c on c.report_id = r.id
    left join disposition d on d.report_id = r.id
"""


async def filed(intake: RawConnection, report_id: UUID) -> Row | None:
    """Return what intake knows of a report."""
    return await intake.fetchrow(f"{REPORT} where r.id = $1", report_id)


async def filed_as(intake: RawConnection, bank: str, reference: str) -> Row | None:
    """Return the same by the bank's own reference."""
    return await intake.fetchrow(f"{REPORT} where r.bank = $1 and r.bank_reference = $2", bank, reference)


async def at_the_bank(intake: RawConnection, order_ids: Sequence[UUID], case_ids: Sequence[UUID]) -> list[Row]:
    """Return a case's orders as banks see them, when each bank first looked, and what it answered when.

    That a bank looked is in the audit, which has no index by order: it is read through from the first order on.
    """
    return await intake.fetch(
        """
        with mine as materialized (
            select id, bank, status, version, ordered_at, traceparent from bank_order
            where id = any($1::uuid[]) or case_id = any($2::uuid[])
        ), looked as materialized (
            select subject, min(at) as at, count(*) as times from audit
            where action = 'order_shown' and subject in (select id from mine)
              and at >= (select min(ordered_at) - interval '5 minutes' from mine)
            group by subject
        )
        select m.*, l.at as pulled_at, l.times as pulled_times, f.id as feedback_id, f.received_at,
               x.id as contradiction_id, x.received_at as contradicted_at
        from mine m
        left join looked l on l.subject = m.id
        left join feedback f on f.order_id = m.id
        left join contradiction x on x.order_id = m.id
        order by m.ordered_at, m.id
        """,
        list(order_ids),
        list(case_ids),
    )


async def verdicts(rules: RawConnection, report_id: UUID) -> list[Row]:
    """Return the verdicts on a report, in order."""
    return await rules.fetch(
        """
        select id, version, level, score, scam_type, judged_at, pack_version, filed_at, traceparent
        from verdict where report_id = $1 order by version
        """,
        report_id,
    )


async def became(rules: RawConnection, outcome_ids: Sequence[UUID]) -> list[Row]:
    """Return when rules applied findings."""
    return await rules.fetch(
        "select id, finding, decided_at, applied_at from outcome where id = any($1::uuid[]) order by applied_at",
        list(outcome_ids),
    )


async def counted(notifier: RawConnection, report_id: UUID) -> Row | None:
    """Return what notifier knows of a report, and the case it is in."""
    return await notifier.fetchrow(
        """
        select r.filed_at, r.version, r.level, r.bank, r.case_id, c.opened_at, c.acknowledge_by, c.acknowledged_at,
               c.transferred_at, c.closed_at, c.finding, c.status, c.outcome_id, c.in_charge, c.traceparent,
               (select count(*) from report o where o.case_id = r.case_id) as reports
        from report r left join fraud_case c on c.id = r.case_id where r.id = $1
        """,
        report_id,
    )


async def alerts(notifier: RawConnection, report_id: UUID, case_id: UUID) -> list[Row]:
    """Return the alerts of a report and of its case as a whole, with their deliveries, in order."""
    return await notifier.fetch(
        """
        select a.id, a.facts ->> 'kind' as kind, a.unit, a.created_at, a.facts ->> 'traceparent' as traceparent,
               t.channel, d.state, d.attempts, d.due_at, d.settled_at, d.last_reason
        from alert a
        left join delivery d on d.message_id = a.id
        left join target t on t.id = d.target_id
        where a.case_id = $2 and (a.report_id = $1 or a.report_id is null)
        order by a.position, d.created_at, d.id
        """,
        report_id,
        case_id,
    )


async def pushes(notifier: RawConnection, case_id: UUID) -> list[Row]:
    """Return what was pushed to banks of a case's orders."""
    return await notifier.fetch(
        """
        select d.facts ->> 'order_id' as order_id, d.facts ->> 'kind' as kind, t.channel, d.state, d.attempts,
               d.created_at, d.due_at, d.settled_at, d.last_reason
        from delivery d join target t on t.id = d.target_id
        where d.case_id = $1 and d.type = 'lanjie.order.v1' order by d.created_at, d.id
        """,
        case_id,
    )


async def orders(notifier: RawConnection, case_id: UUID) -> list[Row]:
    """Return a case's orders, in order."""
    return await notifier.fetch(
        """
        select id, kind, status, bank, amount_fen, ordered_at, approval_level, approved_at, feedback_id, answered_at,
               executed_at, expires_at, ended_at, ended_why
        from bank_order where case_id = $1 order by id
        """,
        case_id,
    )


async def timeline(notifier: RawConnection, case_id: UUID) -> list[Row]:
    """Return what else happened to a case: kinds and times, none of the words."""
    return await notifier.fetch(
        "select kind, at from timeline where case_id = $1 and kind <> all($2::text[]) order by id",
        case_id,
        list(TOLD_ELSEWHERE),
    )


async def booked(notifier: RawConnection, report_id: UUID, case_id: UUID | None) -> list[Row]:
    """Return what the ledger has of a report, and of its case as a whole."""
    return await notifier.fetch(
        """
        select kind, fen, booked_at, report_id is null as of_case from ledger
        where report_id = $1 or (case_id = $2 and report_id is null) order by booked_at, id
        """,
        report_id,
        case_id,
    )


async def visit(notifier: RawConnection, report_id: UUID) -> Row | None:
    """Return the disposition that notifier knows of."""
    return await notifier.fetchrow("select id, recorded_at from disposition where report_id = $1", report_id)


async def deadlines(notifier: RawConnection, case_id: UUID) -> list[Row]:
    """Return what is due in a case."""
    return await notifier.fetch(
        "select stage, subject, due_at from deadline where case_id = $1 and state = 'running' order by due_at", case_id
    )


async def owed(connection: RawConnection, ids: Sequence[UUID], keys: Sequence[str]) -> list[Row]:
    """Return the outbox rows with these ids, or of these cases."""
    return await connection.fetch(
        """
        select id, type, created_at, due_at, attempts, unsent, awaits_answer from outbox
        where id = any($1::uuid[]) or key = any($2::text[]) order by created_at, id
        """,
        list(ids),
        list(keys),
    )


async def letters(connection: RawConnection) -> list[Row]:
    """Return the newest dead letters that hold their records."""
    return await connection.fetch(
        """
        select id, topic, reason, state, parked_at, sealed from dead_letter
        where sealed is not null order by parked_at desc, id limit $1
        """,
        MOST_LETTERS,
    )
