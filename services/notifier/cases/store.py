"""notifier's SQL for cases and their timelines: one query a function, sets in, sets out.

A case is locked `for no key update`: its key never changes, and a full lock would stand in the way of whoever writes
to a case that was split from it.
"""

import json
from collections.abc import Sequence
from uuid import UUID

import asyncpg

from services.notifier.cases.case import Case, Entry
from services.notifier.clock.clock import Urgency
from shared.events import CaseStatus, Finding
from shared.outbox import new_id
from shared.postgres import Connection, Row
from shared.privacy import Seal

CASE_FIELDS = """
    id, version, payee_token, payee_mask, scam_type, unit, bank, status, amount_fen, opened_at, acknowledge_by,
    acknowledged_at, acknowledged_by, closed_at, finding, sealed_reason, outcome_id, in_charge, responsible,
    urgency, split_from, transferred_at, traceparent
"""


class OpenedMeanwhileError(asyncpg.SerializationError):
    """Another replica has opened a case on the same account; the same batch tried again joins it."""


def case_of(row: Row) -> Case:
    """Build the case a row holds."""
    values = dict(row) | {
        "payee_mask": json.loads(row["payee_mask"]),
        "status": CaseStatus(row["status"]),
        "finding": Finding(row["finding"]) if row["finding"] else None,
        "in_charge": row["in_charge"] or row["unit"],
        "urgency": Urgency(row["urgency"]),
    }
    return Case(**values)


async def cases_on(connection: Connection, payee_tokens: Sequence[str], report_ids: Sequence[UUID]) -> list[Case]:
    """Lock and return the cases that are not closed on these accounts, and those that these reports are in.

    Together, in one order: one kind after the other, two callers would deadlock. One that was closed
    meanwhile comes back as closed.
    """
    rows = await connection.fetch(
        f"""
        select {CASE_FIELDS} from fraud_case
        where id in (
            select id from fraud_case where payee_token = any($1::text[]) and status <> 'closed'
                                              and split_from is null
            union select case_id from report where id = any($2::uuid[])
        )
        order by id for no key update
        """,  # noqa: S608 - constant field list
        list(payee_tokens),
        list(report_ids),
    )
    return [case_of(row) for row in rows]


async def locked_case(connection: Connection, case_id: UUID) -> Case | None:
    """Lock and return one case."""
    row = await connection.fetchrow(
        f"select {CASE_FIELDS} from fraud_case where id = $1 for no key update",  # noqa: S608 - constant field list
        case_id,
    )
    return case_of(row) if row else None


async def locked_cases_of(connection: Connection, report_ids: Sequence[UUID]) -> list[Case]:
    """Lock and return the cases that reports are in, together: one after the other, two callers would deadlock."""
    rows = await connection.fetch(
        f"""
        select {CASE_FIELDS} from fraud_case
        where id in (select case_id from report where id = any($1::uuid[])) order by id for no key update
        """,  # noqa: S608 - constant field list
        list(report_ids),
    )
    return [case_of(row) for row in rows]


async def locked_case_seen_by(connection: Connection, case_id: UUID, path: str) -> Case | None:
    """Lock and return one case if a unit of the subtree has a report in it."""
    row = await connection.fetchrow(
        f"""
        select {CASE_FIELDS} from fraud_case
        where id = $1 and exists (select from case_unit where case_id = $1 and starts_with(path, $2))
        for no key update
        """,  # noqa: S608 - constant field list
        case_id,
        path,
    )
    return case_of(row) if row else None


async def insert_cases(connection: Connection, cases: Sequence[Case]) -> None:
    """Insert cases that were opened. Raise `OpenedMeanwhileError` where an account has an open case by now."""
    if not cases:
        return
    inserted = await connection.fetch(
        """
        insert into fraud_case (id, version, payee_token, payee_mask, scam_type, unit, bank, status, amount_fen,
                                opened_at, acknowledge_by, in_charge, urgency, responsible, split_from, acknowledged_at,
                                acknowledged_by, traceparent, changed_at)
        select u.*, now() from unnest($1::uuid[], $2::integer[], $3::text[], $4::jsonb[], $5::text[], $6::text[],
            $7::text[], $8::text[], $9::bigint[], $10::timestamptz[], $11::timestamptz[], $12::text[], $13::text[],
            $14::uuid[], $15::uuid[], $16::timestamptz[], $17::uuid[], $18::text[]) as u
        order by 3 on conflict (payee_token) where status <> 'closed' and split_from is null do nothing returning id
        """,
        [case.id for case in cases],
        [case.version for case in cases],
        [case.payee_token for case in cases],
        [json.dumps(dict(case.payee_mask), ensure_ascii=False) for case in cases],
        [case.scam_type for case in cases],
        [case.unit for case in cases],
        [case.bank for case in cases],
        [case.status.value for case in cases],
        [case.amount_fen for case in cases],
        [case.opened_at for case in cases],
        [case.acknowledge_by for case in cases],
        [case.in_charge or case.unit for case in cases],
        [case.urgency.value for case in cases],
        [case.responsible for case in cases],
        [case.split_from for case in cases],
        [case.acknowledged_at for case in cases],
        [case.acknowledged_by for case in cases],
        [case.traceparent for case in cases],
    )
    if len(inserted) < len(cases):
        raise OpenedMeanwhileError


async def update_cases(connection: Connection, cases: Sequence[Case]) -> None:
    """Write the new state of cases the caller has locked."""
    await connection.execute(
        """
        update fraud_case c
        set version = u.version, scam_type = u.scam_type, status = u.status, amount_fen = u.amount_fen,
            acknowledged_at = u.acknowledged_at, acknowledged_by = u.acknowledged_by, closed_at = u.closed_at,
            finding = u.finding, reason = case when u.finding is not null then c.reason end,
            sealed_reason = u.sealed_reason, outcome_id = u.outcome_id, in_charge = u.in_charge,
            responsible = u.responsible, acknowledge_by = u.acknowledge_by, transferred_at = u.transferred_at,
            urgency = u.urgency, changed_at = now()
        from unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[], $7::uuid[],
                    $8::timestamptz[], $9::text[], $10::text[], $11::uuid[], $12::text[], $13::uuid[],
                    $14::timestamptz[], $15::timestamptz[], $16::text[])
             as u (id, version, scam_type, status, amount_fen, acknowledged_at, acknowledged_by, closed_at, finding,
                   sealed_reason, outcome_id, in_charge, responsible, acknowledge_by, transferred_at, urgency)
        where c.id = u.id
        """,
        [case.id for case in cases],
        [case.version for case in cases],
        [case.scam_type for case in cases],
        [case.status.value for case in cases],
        [case.amount_fen for case in cases],
        [case.acknowledged_at for case in cases],
        [case.acknowledged_by for case in cases],
        [case.closed_at for case in cases],
        [case.finding and case.finding.value for case in cases],
        [case.sealed_reason for case in cases],
        [case.outcome_id for case in cases],
        [case.in_charge or case.unit for case in cases],
        [case.responsible for case in cases],
        [case.acknowledge_by for case in cases],
        [case.transferred_at for case in cases],
        [case.urgency.value for case in cases],
    )


async def join_cases(connection: Connection, cases: Sequence[Case]) -> None:
    """Write what reports that join have changed of cases the caller has locked."""
    if not cases:
        return
    await connection.execute(
        """
        update fraud_case c
        set version = u.version, amount_fen = u.amount_fen, acknowledge_by = u.acknowledge_by, urgency = u.urgency,
            changed_at = now()
        from unnest($1::uuid[], $2::integer[], $3::bigint[], $4::timestamptz[], $5::text[])
             as u (id, version, amount_fen, acknowledge_by, urgency)
        where c.id = u.id
        """,
        [case.id for case in cases],
        [case.version for case in cases],
        [case.amount_fen for case in cases],
        [case.acknowledge_by for case in cases],
        [case.urgency.value for case in cases],
    )


async def write_timeline(connection: Connection, entries: Sequence[Entry], identity: Seal | None = None) -> set[UUID]:
    """Add lines to timelines, each event's line once; return the cases that have a new one.

    Without `identity` no line may hold an officer's words.
    """
    ids = [new_id() for _ in entries]
    rows = await connection.fetch(
        """
        insert into timeline (id, case_id, at, kind, actor, text, told_by, sealed)
        select * from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::uuid[],
                             $8::text[])
        on conflict (told_by) where told_by is not null do nothing returning case_id
        """,
        ids,
        [entry.case_id for entry in entries],
        [entry.at for entry in entries],
        [entry.kind for entry in entries],
        [entry.actor for entry in entries],
        [entry.text for entry in entries],
        [entry.told_by for entry in entries],
        [_sealed(entry, about, identity) for about, entry in zip(ids, entries, strict=True)],
    )
    return {row["case_id"] for row in rows}


def _sealed(entry: Entry, about: UUID, identity: Seal | None) -> str | None:
    if not entry.words:
        return None
    assert identity is not None
    return identity.seal(entry.words, str(about))


async def tell(connection: Connection, entries: Sequence[Entry], identity: Seal | None = None) -> set[UUID]:
    """Add lines that tell of events; return the cases with a new one: they have changed, though their state has not."""
    told = await write_timeline(connection, entries, identity)
    await connection.execute("update fraud_case set changed_at = now() where id = any($1::uuid[])", list(told))
    return told


async def cases_with(connection: Connection, case_ids: Sequence[UUID]) -> list[Case]:
    """Return cases by their ids."""
    rows = await connection.fetch(
        f"select {CASE_FIELDS} from fraud_case where id = any($1::uuid[]) order by id",  # noqa: S608 - constant list
        list(case_ids),
    )
    return [case_of(row) for row in rows]
