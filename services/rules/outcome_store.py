"""rules' SQL for what becomes of reports: dispositions and the police's findings, in whatever order they come."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from services.rules.locks import lock_payees
from shared.events import DispositionRecorded, Finding, Level, OutcomeDecided
from shared.postgres import Connection

POLICE: Final = "公安机关"
AT: Final = tuple(Level)
"""Levels by the numbers that sightings have for them."""

Labelled = tuple[Level, str]
"""A report of the last 35 days that got a label: its level as it is judged now, and the label."""


async def apply_outcomes(
    connection: Connection, outcomes: Sequence[OutcomeDecided], confirmed_until: timedelta
) -> list[Labelled]:
    """Remember what the police found about payees and reports; the finding decided last counts. Return the reports'.

    A confirmed payee is blocked for `confirmed_until` from the decision; one found unfounded later no longer
    is, nor one whose case was reopened. What an analyst entered or ended stays as it is. Takes the payees' locks.
    """
    payees = sorted({outcome.payee_token for outcome in outcomes})
    await lock_payees(connection, payees, exclusive=True)
    fresh = await _insert_outcomes(connection, outcomes)
    if not fresh:
        return []
    withdrawn = await _withdrawn(connection, fresh)
    new = [outcome for outcome in outcomes if outcome.outcome_id in fresh]
    await _unlabel(connection, [outcome for outcome in new if outcome.withdraws])
    found = [outcome for outcome in new if not outcome.withdraws and outcome.outcome_id not in withdrawn]
    labelled = await _label_found(connection, found)
    confirmed = [outcome.outcome_id for outcome in found if outcome.finding is Finding.CONFIRMED]
    if confirmed:
        await _block_confirmed(connection, confirmed, confirmed_until)
    await _settle_entries(connection, payees)
    return labelled


async def _insert_outcomes(connection: Connection, outcomes: Sequence[OutcomeDecided]) -> set[UUID]:
    rows = await connection.fetch(
        """
        insert into outcome (id, case_id, finding, scam_type, payee_token, decided_at, withdraws, applied_at)
        select u.*, now()
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::uuid[])
             as u (id, case_id, finding, scam_type, payee_token, decided_at, withdraws)
        order by u.id
        on conflict do nothing returning id
        """,
        [outcome.outcome_id for outcome in outcomes],
        [outcome.case_id for outcome in outcomes],
        [outcome.finding.value for outcome in outcomes],
        [outcome.scam_type for outcome in outcomes],
        [outcome.payee_token for outcome in outcomes],
        [outcome.decided_at for outcome in outcomes],
        [outcome.withdraws for outcome in outcomes],
    )
    return {row["id"] for row in rows}


async def _label_found(connection: Connection, outcomes: Sequence[OutcomeDecided]) -> list[Labelled]:
    named = [(report_id, outcome) for outcome in outcomes for report_id in outcome.report_ids]
    rows = await connection.fetch(
        """
        with label as (
            insert into aftermath (report_id, finding, scam_type, found_at)
            select distinct on (u.report_id) u.report_id, u.finding, u.scam_type, u.found_at
            from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[])
                 as u (report_id, finding, scam_type, found_at)
            order by u.report_id, u.found_at desc
            on conflict (report_id) do update
            set finding = excluded.finding, scam_type = excluded.scam_type, found_at = excluded.found_at
            where coalesce(aftermath.found_at < excluded.found_at, true)
            returning report_id, finding
        )
        update sighting s set finding = l.finding from label l where s.report_id = l.report_id
        returning s.level, l.finding as label
        """,
        [report_id for report_id, _ in named],
        [outcome.finding.value for _, outcome in named],
        [outcome.scam_type for _, outcome in named],
        [outcome.decided_at for _, outcome in named],
    )
    return [(AT[row["level"]], row["label"]) for row in rows]


async def _block_confirmed(connection: Connection, outcome_ids: Sequence[UUID], lasting: timedelta) -> None:
    """Put payees on the list, once a case. It begins now at the latest, whatever the other's clock says."""
    await connection.execute(
        """
        insert into list_entry (id, subject, token, condition, scam_type, reason, author, source, case_id, starts_at,
                                expires_at, noticed)
        select distinct on (case_id) id, 'payee', payee_token, 'overridable_block', scam_type,
               '公安机关确认涉诈', $3, 'outcome', case_id, least(decided_at, now()),
               decided_at + $2::interval, true
        from outcome where id = any($1::uuid[])
        order by case_id, decided_at desc
        on conflict (case_id) where source = 'outcome' do update
        set scam_type = excluded.scam_type, starts_at = excluded.starts_at, expires_at = excluded.expires_at,
            ended_at = null, ended_by = null
        where excluded.expires_at > list_entry.expires_at
        """,
        list(outcome_ids),
        lasting,
        POLICE,
    )


async def _settle_entries(connection: Connection, payees: Sequence[str]) -> None:
    """Bring what the police put on the list to what they say now, in whatever order they said it.

    An entry is in force while its case stands confirmed, and its payee was not found unfounded after that.
    """
    await connection.execute(
        """
        update list_entry e set ended_at = s.ended_at, ended_by = case when s.ended_at is not null then $2 end
        from (
            select e.id, case when k.id is null then w.decided_at else u.decided_at end as ended_at
            from list_entry e
            left join lateral (
                select id, decided_at from standing_outcome
                where payee_token = e.token and case_id = e.case_id and finding = 'confirmed'
                order by decided_at desc, id desc limit 1
            ) k on true
            left join lateral (
                select decided_at from standing_outcome
                where payee_token = e.token and finding = 'unfounded' and (decided_at, id) > (k.decided_at, k.id)
                order by decided_at, id limit 1
            ) u on true
            left join lateral (
                select max(decided_at) as decided_at from outcome
                where payee_token = e.token and case_id = e.case_id and withdraws is not null
            ) w on true
            where e.subject = 'payee' and e.token = any($1::text[]) and e.source = 'outcome'
              and (e.ended_at is null or e.ended_by = $2)
        ) s
        where s.id = e.id and e.ended_at is distinct from s.ended_at
        """,
        list(payees),
        POLICE,
    )


async def _withdrawn(connection: Connection, outcome_ids: Collection[UUID]) -> set[UUID]:
    """Return those of the outcomes that another one takes back."""
    rows = await connection.fetch("select withdraws from outcome where withdraws = any($1::uuid[])", list(outcome_ids))
    return {row["withdraws"] for row in rows}


async def _unlabel(connection: Connection, withdrawing: Sequence[OutcomeDecided]) -> None:
    """Take the labels off reports that withdrawn outcomes gave them; a later outcome's stay."""
    named = [(report_id, outcome.withdraws) for outcome in withdrawing for report_id in outcome.report_ids]
    await connection.execute(
        """
        with label as (
            update aftermath a set finding = null, scam_type = null, found_at = null
            from unnest($1::uuid[], $2::uuid[]) as u (report_id, withdrawn)
            join outcome o on o.id = u.withdrawn
            where a.report_id = u.report_id and a.found_at = o.decided_at
            returning a.report_id
        )
        update sighting s set finding = null from label l where s.report_id = l.report_id
        """,
        [report_id for report_id, _ in named],
        [withdrawn for _, withdrawn in named],
    )


async def record_dispositions(connection: Connection, events: Sequence[DispositionRecorded]) -> list[Labelled]:
    """Remember how visits ended, and return which that was news of. Takes payees' locks.

    Of several about one report, the one recorded first counts.
    """
    await lock_payees(connection, [event.payee_token for event in events], exclusive=True)
    rows = await connection.fetch(
        """
        with label as (
            insert into aftermath (report_id, disposition, disposition_at)
            select distinct on (u.report_id) u.*
            from unnest($1::uuid[], $2::text[], $3::timestamptz[]) as u (report_id, disposition, disposition_at)
            order by u.report_id, u.disposition_at
            on conflict (report_id) do update
            set disposition = excluded.disposition, disposition_at = excluded.disposition_at
            where coalesce(aftermath.disposition_at > excluded.disposition_at, true)
            returning report_id, disposition
        )
        update sighting s set disposition = l.disposition from label l where s.report_id = l.report_id
        returning s.level, l.disposition as label
        """,
        [event.report_id for event in events],
        [event.outcome.value for event in events],
        [event.recorded_at for event in events],
    )
    return [(AT[row["level"]], row["label"]) for row in rows]
