"""rules' SQL for reports and their verdicts: one query a function, sets in, sets out.

What is known of accounts and branches is in `past_store` and `branch_store`, what is found out about them
later in `outcome_store`, the analysts' lists in `list_store`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from services.rules.features import Value
from shared.events import Level, ReportFiled, VerdictReached
from shared.outbox import Outgoing
from shared.postgres import Connection, Row

LEVELS: Final = {Level.CLEAR: 0, Level.CAUTION: 1, Level.ALERT: 2}
MOST_REJUDGED: Final = 200
LATEST: Final = 100
"""Of one payee no more are looked at, as where its past is counted."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, and what is kept of how it was reached: notable facts, lists and shadow as they are in JSON.

    `failed` names rules that had no answer.
    """

    event: VerdictReached
    row: Outgoing
    pack_version: int
    pack_hash: str
    facts: Mapping[str, Value]
    lists: object | None = None
    shadow: object | None = None
    failed: Sequence[str] = ()


async def insert_sightings(connection: Connection, reports: Sequence[ReportFiled]) -> set[UUID]:
    """Remember the reports that are new; return their ids. The caller holds their payees' locks.

    A sighting is forgotten after some weeks, its verdict is not: a report that comes again years later is not
    new. They are written in one order, here and below, so that two replicas cannot block each other.
    """
    rows = await connection.fetch(
        """
        insert into sighting (report_id, payee_token, payer_token, payer_person_token, bank, branch, amount_fen,
                              filed_at, disposition, finding)
        select u.*, a.disposition, a.finding
        from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
                    $8::timestamptz[])
             as u (report_id, payee_token, payer_token, payer_person_token, bank, branch, amount_fen, filed_at)
        left join aftermath a using (report_id)
        where not exists (select from verdict v where v.report_id = u.report_id and v.filed_at = u.filed_at)
        order by u.report_id
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


async def insert_verdicts(connection: Connection, verdicts: Sequence[Judged]) -> None:
    """Keep the verdicts as they are sent, and let the sightings have their levels."""
    events = [verdict.event for verdict in verdicts]
    await connection.execute(
        """
        insert into verdict (report_id, version, filed_at, id, level, score, scam_type, judged_at, pack_version,
                             pack_hash, facts, lists, shadow, event, traceparent)
        select * from unnest($1::uuid[], $2::integer[], $3::timestamptz[], $4::uuid[], $5::text[], $6::integer[],
                             $7::text[], $8::timestamptz[], $9::integer[], $10::text[], $11::jsonb[], $12::jsonb[],
                             $13::jsonb[], $14::bytea[], $15::text[])
        """,
        [event.report.report_id for event in events],
        [event.version for event in events],
        [event.report.filed_at for event in events],
        [event.verdict_id for event in events],
        [event.level.value for event in events],
        [event.score for event in events],
        [event.scam_type for event in events],
        [event.judged_at for event in events],
        [verdict.pack_version for verdict in verdicts],
        [verdict.pack_hash for verdict in verdicts],
        [_json(dict(verdict.facts)) for verdict in verdicts],
        [_json(verdict.lists) for verdict in verdicts],
        [_json(verdict.shadow) for verdict in verdicts],
        [verdict.row.payload for verdict in verdicts],
        [verdict.row.traceparent for verdict in verdicts],
    )
    await _set_levels(connection, [event for event in events if event.level is not Level.CLEAR or event.version > 1])


def _json(value: object | None) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


async def _set_levels(connection: Connection, verdicts: Sequence[VerdictReached]) -> None:
    if not verdicts:
        return
    await connection.execute(
        """
        update sighting s set level = u.level
        from unnest($1::uuid[], $2::smallint[]) as u (report_id, level)
        where s.report_id = u.report_id
        """,
        [verdict.report.report_id for verdict in verdicts],
        [LEVELS[verdict.level] for verdict in verdicts],
    )


async def latest_verdicts(connection: Connection, reports: Sequence[ReportFiled]) -> list[Row]:
    """Return the newest verdict of each report, to be sent again: in one order, as they go to the outbox."""
    return await connection.fetch(
        """
        select v.report_id, v.id, v.version, v.event, v.traceparent
        from unnest($1::uuid[], $2::timestamptz[]) as u (report_id, filed_at)
        cross join lateral (
            select * from verdict where report_id = u.report_id and filed_at = u.filed_at order by version desc limit 1
        ) v
        order by v.id
        """,
        [report.report_id for report in reports],
        [report.filed_at for report in reports],
    )


async def rejudgeable(connection: Connection, payee_tokens: Sequence[str], since: datetime) -> list[Row]:
    """Return the newest verdicts of reports on payees filed after `since` that are no alerts yet, newest first.

    They are among the latest hundred of their payee. They are held until the transaction ends: no two replicas
    judge one again at the same time.
    """
    held = await connection.fetch(
        """
        select report_id, filed_at from sighting
        where level < 2 and report_id = any(array(
            select latest.report_id from unnest($1::text[]) as u (payee) cross join lateral (
                select report_id, level from sighting
                where payee_token = u.payee and filed_at > $2 order by filed_at desc limit $4
            ) latest
            where latest.level < 2
        ))
        order by filed_at desc, report_id desc limit $3
        for update
        """,
        list(payee_tokens),
        since,
        MOST_REJUDGED,
        LATEST,
    )
    if not held:
        return []
    # a statement of its own: it sees what was committed while the other one waited
    return await connection.fetch(
        """
        select v.report_id, v.version, v.level, v.score, v.event, v.traceparent
        from unnest($1::uuid[], $2::timestamptz[]) with ordinality as u (report_id, filed_at, place)
        cross join lateral (
            select * from verdict where report_id = u.report_id and filed_at = u.filed_at order by version desc limit 1
        ) v
        order by u.place
        """,
        [row["report_id"] for row in held],
        [row["filed_at"] for row in held],
    )
