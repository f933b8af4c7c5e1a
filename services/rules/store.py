"""rules' SQL: one query a function, sets in, sets out."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from services.rules.features import Branch, Payee, Payer
from shared.events import Level, OutcomeDecided, ReportFiled, VerdictReached
from shared.outbox import Outgoing
from shared.postgres import Connection, Row


async def insert_sightings(connection: Connection, reports: Sequence[ReportFiled]) -> set[UUID]:
    """Remember the reports that are new; return their ids.

    They are written in one order, here and below, so that two replicas cannot block each other.
    """
    rows = await connection.fetch(
        """
        insert into sighting (report_id, payee_token, payer_token, payer_person_token, bank, branch, amount_fen,
                              filed_at)
        select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
                             $8::timestamptz[])
        order by 1
        on conflict do nothing returning report_id
        """,
        [report.report_id for report in reports],
        [report.payee_token for report in reports],
        [report.payer_token for report in reports],
        [report.payer_person_token for report in reports],
        [report.bank for report in reports],
        [report.branch for report in reports],
        [report.amount_fen for report in reports],
        [report.filed_at for report in reports],
    )
    return {row["report_id"] for row in rows}


PASTS = """
    with report as (
        select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
               as r (id, payee, payer, person, branch, filed_at)
    )
    select r.id,
           p.reports_1h as payee_reports_1h, p.reports_1d as payee_reports_1d, p.reports_7d as payee_reports_7d,
           p.payers_1d as payee_payers_1d, p.payers_7d as payee_payers_7d,
           p.other_branches_7d as payee_other_branches_7d, p.amount_7d as payee_amount_7d_fen,
           p.alerts_7d as payee_alerts_7d,
           coalesce(w.watched, false) as payee_watched, w.scam_type as payee_watched_scam_type,
           y.reports_1h as payer_reports_1h, y.reports_1d as payer_reports_1d, y.reports_7d as payer_reports_7d,
           y.amount_1d as payer_amount_1d_fen, y.suspected_elsewhere_1d as payer_suspected_elsewhere_1d
    from report r
    left join payee_standing w on w.payee_token = r.payee
    cross join lateral (
        select count(*) filter (where s.filed_at > r.filed_at - interval '1 hour') as reports_1h,
               count(*) filter (where s.filed_at > r.filed_at - interval '1 day') as reports_1d,
               count(*) as reports_7d,
               count(distinct s.payer_token) filter (where s.filed_at > r.filed_at - interval '1 day') as payers_1d,
               count(distinct s.payer_token) as payers_7d,
               count(distinct s.branch) filter (where s.branch <> r.branch) as other_branches_7d,
               coalesce(sum(s.amount_fen), 0)::bigint as amount_7d,
               count(*) filter (where s.alert and (w.watched is not false or s.filed_at > w.decided_at)) as alerts_7d
        from (
            select * from sighting
            where payee_token = r.payee and filed_at > r.filed_at - interval '7 days'
              and (filed_at, report_id) < (r.filed_at, r.id)
            order by filed_at desc limit 100
        ) s
    ) p
    cross join lateral (
        select count(*) filter (where s.filed_at > r.filed_at - interval '1 hour') as reports_1h,
               count(*) filter (where s.filed_at > r.filed_at - interval '1 day') as reports_1d,
               count(*) as reports_7d,
               coalesce(sum(s.amount_fen) filter (where s.filed_at > r.filed_at - interval '1 day'), 0)::bigint
                   as amount_1d,
               count(*) filter (where s.suspicious and s.branch <> r.branch
                                      and s.filed_at > r.filed_at - interval '1 day') as suspected_elsewhere_1d
        from (
            select * from (
                (select * from sighting
                 where payer_token = r.payer and filed_at > r.filed_at - interval '7 days'
                   and (filed_at, report_id) < (r.filed_at, r.id)
                 order by filed_at desc limit 100)
                union
                (select * from sighting
                 where payer_person_token = r.person and filed_at > r.filed_at - interval '7 days'
                   and (filed_at, report_id) < (r.filed_at, r.id)
                 order by filed_at desc limit 100)
            ) both_ways
            order by filed_at desc limit 100
        ) s
    ) y
"""


async def pasts(connection: Connection, reports: Sequence[ReportFiled]) -> dict[UUID, tuple[Payee, Payer]]:
    """Return what is known of each report's payee and payer from the seven days before it."""
    rows = await connection.fetch(
        PASTS,
        [report.report_id for report in reports],
        [report.payee_token for report in reports],
        [report.payer_token for report in reports],
        [report.payer_person_token for report in reports],
        [report.branch for report in reports],
        [report.filed_at for report in reports],
    )
    return {row["id"]: (Payee(**_with_prefix(row, "payee_")), Payer(**_with_prefix(row, "payer_"))) for row in rows}


def _with_prefix(row: Row, prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}


async def branches(connection: Connection, reports: Sequence[ReportFiled]) -> dict[UUID, Branch]:
    """Return the tempo of each report's branch, by clock hour, in the seven days before it."""
    rows = await connection.fetch(
        """
        with report as (
            select r.id, r.branch, date_trunc('hour', r.filed_at) as hour
            from unnest($1::uuid[], $2::text[], $3::timestamptz[]) as r (id, branch, filed_at)
        ),
        tempo as (
            select a.branch, a.hour,
                   coalesce(sum(b.reports) filter (where b.hour >= a.hour - interval '1 hour'), 0)::integer as last_1h,
                   coalesce(sum(b.reports) filter (where b.hour > a.hour - interval '1 day'), 0)::integer as last_1d,
                   sum(b.reports)::integer as last_7d
            from (select distinct branch, hour from report) a
            join branch_hour b on b.branch = a.branch and b.hour <= a.hour and b.hour > a.hour - interval '7 days'
            group by a.branch, a.hour
        )
        select r.id, t.last_1h, t.last_1d, t.last_7d from report r join tempo t using (branch, hour)
        """,
        [report.report_id for report in reports],
        [report.branch for report in reports],
        [report.filed_at for report in reports],
    )
    return {row["id"]: Branch(row["last_1h"], row["last_1d"], row["last_7d"]) for row in rows}


async def count_branches(connection: Connection, reports: Sequence[ReportFiled]) -> None:
    """Add new reports to their branches' hours, in one order so that two replicas cannot block each other."""
    await connection.execute(
        """
        insert into branch_hour (branch, hour, reports, amount_fen)
        select u.branch, date_trunc('hour', u.filed_at), count(*), sum(u.amount_fen)
        from unnest($1::text[], $2::timestamptz[], $3::bigint[]) as u (branch, filed_at, amount_fen)
        group by 1, 2 order by 1, 2
        on conflict (branch, hour) do update
        set reports = branch_hour.reports + excluded.reports,
            amount_fen = branch_hour.amount_fen + excluded.amount_fen
        """,
        [report.branch for report in reports],
        [report.filed_at for report in reports],
        [report.amount_fen for report in reports],
    )


async def insert_verdicts(connection: Connection, verdicts: Sequence[VerdictReached], rows: Sequence[Outgoing]) -> None:
    """Keep the verdicts as they are sent, and mark the sightings that were suspicious."""
    await connection.execute(
        """
        insert into verdict (report_id, id, version, level, score, judged_at, event, traceparent)
        select * from unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::integer[], $6::timestamptz[],
                             $7::bytea[], $8::text[])
        """,
        [verdict.report.report_id for verdict in verdicts],
        [verdict.verdict_id for verdict in verdicts],
        [verdict.version for verdict in verdicts],
        [verdict.level.value for verdict in verdicts],
        [verdict.score for verdict in verdicts],
        [verdict.judged_at for verdict in verdicts],
        [row.payload for row in rows],
        [row.traceparent for row in rows],
    )
    suspicious = [verdict for verdict in verdicts if verdict.level is not Level.CLEAR]
    if suspicious:
        await connection.execute(
            """
            update sighting set suspicious = true, alert = u.alert
            from unnest($1::uuid[], $2::boolean[]) as u (report_id, alert)
            where sighting.report_id = u.report_id
            """,
            [verdict.report.report_id for verdict in suspicious],
            [verdict.level is Level.ALERT for verdict in suspicious],
        )


async def verdicts_of(connection: Connection, report_ids: Sequence[UUID]) -> list[Row]:
    """Return the stored verdicts of reports, to be sent again: in one order, as they go to the outbox."""
    return await connection.fetch(
        "select report_id, id, event, traceparent from verdict where report_id = any($1::uuid[]) order by id",
        list(report_ids),
    )


async def apply_outcomes(connection: Connection, outcomes: Mapping[UUID, OutcomeDecided]) -> None:
    """Remember what the police found about payees; the later finding counts."""
    events = list(outcomes.values())
    await connection.execute(
        """
        insert into outcome (id, case_id, finding, payee_token, applied_at)
        select u.*, now() from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[])
             as u (id, case_id, finding, payee_token)
        order by u.id
        on conflict do nothing
        """,
        [event.outcome_id for event in events],
        [event.case_id for event in events],
        [event.finding.value for event in events],
        [event.payee_token for event in events],
    )
    await connection.execute(
        """
        insert into payee_standing (payee_token, watched, scam_type, decided_at)
        select distinct on (u.payee_token) u.payee_token, u.finding = 'confirmed', u.scam_type, u.decided_at
        from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
             as u (payee_token, finding, scam_type, decided_at)
        order by u.payee_token, u.decided_at desc
        on conflict (payee_token) do update
        set watched = excluded.watched, scam_type = excluded.scam_type, decided_at = excluded.decided_at
        where payee_standing.decided_at < excluded.decided_at
        """,
        [event.payee_token for event in events],
        [event.finding.value for event in events],
        [event.scam_type for event in events],
        [event.decided_at for event in events],
    )
