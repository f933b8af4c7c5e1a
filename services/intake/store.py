"""intake's SQL for reports and what became of them: one query a function, sets in, sets out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.intake.report import Reference
from shared.events import CaseChanged, ReportFiled, VerdictReached
from shared.outbox import REPEAT_AFTER_SECONDS, Outgoing
from shared.postgres import Connection, Pool, Row


@dataclass(frozen=True, slots=True)
class Filing:
    """One report on its way to disk, with what tells a repetition from a mistake."""

    idempotency_key: str
    bank_reference: str
    fingerprint: bytes
    event: ReportFiled
    traceparent: str


async def bank_of_key(pool: Pool, sha256: bytes) -> str | None:
    """Return the bank whose valid key this is."""
    found: str | None = await pool.fetchval(
        """
        select bank from bank_key
        where sha256 = $1 and revoked_at is null and (expires_at is null or expires_at > now())
        """,
        sha256,
    )
    return found


async def reference(pool: Pool) -> Reference:
    """Read what reports are checked against."""
    branches = await pool.fetch("select code, bank from branch")
    cues = await pool.fetch("select code from cue")
    return Reference({row["code"]: row["bank"] for row in branches}, frozenset(row["code"] for row in cues))


async def last_reports(pool: Pool) -> dict[str, datetime]:
    """Return when each bank's newest report was filed, as it was noted last; banks that never reported are left out."""
    rows = await pool.fetch("select code, last_report_at from bank where last_report_at is not null")
    return {row["code"]: row["last_report_at"] for row in rows}


async def note_last_reports(pool: Pool, since: UUID) -> None:
    """Note when each bank's newest report was filed, looking at those whose ids are not below `since`."""
    await pool.execute(
        """
        with news as (
            select bank, max(filed_at) as at from report where id >= $1 group by bank
        ), held as (
            -- in one order, so that two replicas cannot block each other; whoever waited sees what the other wrote
            select b.code, n.at from bank b join news n on n.bank = b.code
            where n.at > coalesce(b.last_report_at, '-infinity') order by b.code for no key update of b
        )
        update bank b set last_report_at = greatest(b.last_report_at, h.at) from held h where b.code = h.code
        """,
        since,
    )


async def insert_reports(connection: Connection, filings: Sequence[Filing], promised: Sequence[Outgoing]) -> set[UUID]:
    """Insert the reports whose key and reference are new to their bank, each with its promise; return their ids.

    One statement, which is a transaction by itself: the event crosses the connection once, and nothing is between
    the report and its outbox row that could fail.
    """
    rows = await connection.fetch(
        """
        with fresh as (
            insert into report (id, bank, idempotency_key, bank_reference, fingerprint, amount_fen, payee_token,
                                filed_at, event, traceparent)
            select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bigint[], $7::text[],
                                 $8::timestamptz[], $9::bytea[], $10::text[])
            on conflict do nothing
            returning id, payee_token, event, traceparent
        )
        insert into outbox (id, topic, key, type, payload, traceparent, awaits_answer, due_at)
        select id, $11, payee_token, $12, event, traceparent, true, now() + $13::float8 * interval '1 second'
        from fresh
        returning id
        """,
        [filing.event.report_id for filing in filings],
        [filing.event.bank for filing in filings],
        [filing.idempotency_key for filing in filings],
        [filing.bank_reference for filing in filings],
        [filing.fingerprint for filing in filings],
        [filing.event.amount_fen for filing in filings],
        [filing.event.payee_token for filing in filings],
        [filing.event.filed_at for filing in filings],
        [row.payload for row in promised],
        [filing.traceparent for filing in filings],
        ReportFiled.topic,
        ReportFiled.type,
        REPEAT_AFTER_SECONDS,
    )
    return {row["id"] for row in rows}


async def reports_in_the_way(connection: Connection, filings: Sequence[Filing]) -> list[Row]:
    """Return the stored reports that share a key or a reference with one of `filings`."""
    return await connection.fetch(
        """
        select r.id, r.bank, r.idempotency_key, r.bank_reference, r.fingerprint
        from unnest($1::text[], $2::text[], $3::text[]) as u (bank, idempotency_key, bank_reference)
        join report r on r.bank = u.bank
             and (r.idempotency_key = u.idempotency_key or r.bank_reference = u.bank_reference)
        """,
        [filing.event.bank for filing in filings],
        [filing.idempotency_key for filing in filings],
        [filing.bank_reference for filing in filings],
    )


async def report_status(pool: Pool, bank: str, report_id: UUID) -> Row | None:
    """Return one report of this bank with its verdict, case and disposition."""
    return await pool.fetchrow(
        """
        select r.id, r.bank_reference, r.filed_at, r.event is null as emptied,
               v.body || jsonb_build_object('version', v.version) as verdict,
               c.case_id, c.status as case_status, c.opened_at, c.acknowledged_at, c.closed_at, c.finding, d.outcome,
               d.amount_fen as disposition_amount_fen
        from report r
        left join verdict v on v.report_id = r.id
        left join case_report cr on cr.report_id = r.id
        left join case_view c on c.case_id = cr.case_id
        left join disposition d on d.report_id = r.id
        where r.id = $1 and r.bank = $2
        """,
        report_id,
        bank,
    )


async def judged(pool: Pool, report_ids: Sequence[UUID]) -> set[UUID]:
    """Return those of the reports that have a verdict."""
    rows = await pool.fetch("select report_id from verdict where report_id = any($1::uuid[])", list(report_ids))
    return {row["report_id"] for row in rows}


async def upsert_verdicts(connection: Connection, verdicts: Sequence[VerdictReached]) -> None:
    """Keep each verdict unless a newer version of it is there."""
    await connection.execute(
        """
        insert into verdict (report_id, version, level, body, judged_at)
        select * from unnest($1::uuid[], $2::integer[], $3::text[], $4::jsonb[], $5::timestamptz[])
        on conflict (report_id) do update
        set version = excluded.version, level = excluded.level, body = excluded.body, judged_at = excluded.judged_at
        where verdict.version < excluded.version
        """,
        [verdict.report.report_id for verdict in verdicts],
        [verdict.version for verdict in verdicts],
        [verdict.level.value for verdict in verdicts],
        [verdict.model_dump_json(include=SHOWN_OF_A_VERDICT) for verdict in verdicts],
        [verdict.judged_at for verdict in verdicts],
    )


SHOWN_OF_A_VERDICT = {"level", "score", "scam_type", "findings", "advice", "judged_at"}


async def end_answered(connection: Connection, report_ids: Sequence[UUID]) -> set[UUID]:
    """End the obligations of those of the reports that have all their answers; return which have.

    The answers are a verdict and, at alert level and only there, a case.
    """
    rows = await connection.fetch(
        """
        with done as (
            select v.report_id from verdict v
            where v.report_id = any($1::uuid[])
              and (v.level = 'alert') = exists (select from case_report c where c.report_id = v.report_id)
        ), ended as (
            delete from outbox where id in (select report_id from done)
        )
        select report_id from done
        """,
        report_ids,
    )
    return {row["report_id"] for row in rows}


async def judged_below_alert(connection: Connection, report_ids: Sequence[UUID]) -> list[Row]:
    """Return the events of those of the reports whose verdict is below alert level, where they are still kept."""
    return await connection.fetch(
        """
        select r.event, r.traceparent from report r join verdict v on v.report_id = r.id
        where r.id = any($1::uuid[]) and v.level <> 'alert' and r.event is not null order by r.id
        """,
        list(report_ids),
    )


async def upsert_cases(connection: Connection, cases: Sequence[CaseChanged]) -> None:
    """Keep each case's newest version."""
    await connection.execute(
        """
        insert into case_view (case_id, version, status, opened_at, acknowledged_at, closed_at, finding)
        select * from unnest($1::uuid[], $2::integer[], $3::text[], $4::timestamptz[], $5::timestamptz[],
                             $6::timestamptz[], $7::text[])
        on conflict (case_id) do update
        set version = excluded.version, status = excluded.status, acknowledged_at = excluded.acknowledged_at,
            closed_at = excluded.closed_at, finding = excluded.finding
        where case_view.version < excluded.version
        """,
        [case.case_id for case in cases],
        [case.version for case in cases],
        [case.status.value for case in cases],
        [case.opened_at for case in cases],
        [case.acknowledged_at for case in cases],
        [case.closed_at for case in cases],
        [case.finding and case.finding.value for case in cases],
    )


async def link_reports(connection: Connection, pairs: Sequence[tuple[UUID, UUID]]) -> None:
    """Remember which case each report is in: pairs of report id and case id.

    A report may be taken out of its case into one of its own. Ids are made in the order of time, so the later case
    is the one it is in, whichever is heard of first.
    """
    await connection.execute(
        """
        insert into case_report (report_id, case_id)
        select distinct on (report_id) report_id, case_id
        from unnest($1::uuid[], $2::uuid[]) as u (report_id, case_id) order by report_id, case_id desc
        on conflict (report_id) do update set case_id = excluded.case_id
        where case_report.case_id < excluded.case_id
        """,
        [report_id for report_id, _ in pairs],
        [case_id for _, case_id in pairs],
    )


async def own_report(connection: Connection, bank: str, report_id: UUID) -> Row | None:
    """Return the facts of this bank's report that a disposition is checked against."""
    return await connection.fetchrow(
        "select id, amount_fen, payee_token, traceparent from report where id = $1 and bank = $2", report_id, bank
    )


async def insert_disposition(
    connection: Connection, disposition_id: UUID, report_id: UUID, outcome: str, amount_fen: int, at: datetime
) -> bool:
    """Insert the one disposition a report may have; return whether it was new."""
    done = await connection.fetchval(
        """
        insert into disposition (id, report_id, outcome, amount_fen, recorded_at)
        values ($1, $2, $3, $4, $5) on conflict (report_id) do nothing returning true
        """,
        disposition_id,
        report_id,
        outcome,
        amount_fen,
        at,
    )
    return bool(done)


async def disposition_of(connection: Connection, report_id: UUID) -> Row:
    """Return the disposition a report has."""
    row = await connection.fetchrow(
        "select id, outcome, amount_fen, recorded_at from disposition where report_id = $1", report_id
    )
    assert row is not None
    return row
