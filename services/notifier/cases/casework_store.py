"""notifier's SQL for work on a case as a whole: one query a function, sets in, sets out."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.notifier.cases.case import Case
from services.notifier.cases.custody import Part
from services.notifier.cases.store import CASE_FIELDS, case_of
from shared.postgres import Connection, Pool, Row


async def locked_cases_seen_by(connection: Connection, case_ids: Sequence[UUID], path: str) -> dict[UUID, Case]:
    """Lock and return those of the cases that a subtree sees; in one order, or two callers could deadlock."""
    rows = await connection.fetch(
        f"""
        select {CASE_FIELDS} from fraud_case c
        where id = any($1::uuid[])
          and exists (select from case_unit s where s.case_id = c.id and starts_with(s.path, $2))
        order by id for no key update
        """,  # noqa: S608 - constant field list
        list(case_ids),
        path,
    )
    return {row["id"]: case_of(row) for row in rows}


async def give_sight(connection: Connection, case_id: UUID, unit: str, path: str) -> None:
    """Let a unit see a case, and the people of all its reports."""
    await connection.execute(
        """
        insert into case_unit (case_id, unit, path, whole) values ($1, $2, $3, true)
        on conflict (case_id, unit) do update set whole = true
        """,
        case_id,
        unit,
        path,
    )


async def link(
    connection: Connection, case_ids: tuple[UUID, UUID], officer_id: UUID, sealed: str, now: datetime
) -> bool:
    """Link two cases; return whether they were not linked before. Why is sealed, bound to the lesser id."""
    inserted = await connection.fetchval(
        """
        insert into case_link (case_id, other_id, sealed, linked_by, linked_at)
        values (least($1::uuid, $2::uuid), greatest($1::uuid, $2::uuid), $3, $4, $5)
        on conflict do nothing returning true
        """,
        *case_ids,
        sealed,
        officer_id,
        now,
    )
    return bool(inserted)


async def lock_reports(connection: Connection, report_ids: Sequence[UUID]) -> None:
    """Lock reports that are to go into another case. Call it before cases are locked, as everybody does."""
    await connection.execute("select from report where id = any($1::uuid[]) order by id for update", list(report_ids))


async def parts_of(connection: Connection, case_id: UUID) -> list[Part]:
    """Return the reports of a case, oldest first."""
    rows = await connection.fetch(
        "select id, bank, unit, amount_fen from report where case_id = $1 order by filed_at, id", case_id
    )
    return [Part(row["id"], row["bank"], row["unit"], row["amount_fen"]) for row in rows]


async def move_reports(
    connection: Connection, from_id: UUID, new: Case, report_ids: Sequence[UUID], splitting: tuple[str, str]
) -> None:
    """Put reports that the caller has locked into a new case.

    Seen by their units, the unit in charge, those that have the first case as a whole, and the unit (with its path)
    whose officer splits; nobody loses sight of the first case.
    """
    await connection.execute(
        "update report set case_id = $1 where id = any($2::uuid[]) and case_id = $3", new.id, list(report_ids), from_id
    )
    await connection.execute(
        """
        insert into case_unit (case_id, unit, path, whole)
        select $1, s.unit, s.path, s.whole from case_unit s
        where s.case_id = $2
          and (s.whole or s.unit = $4 or s.unit in (select unit from report where id = any($3::uuid[])))
        """,
        new.id,
        from_id,
        list(report_ids),
        new.in_charge,
    )
    await connection.execute(
        "insert into case_unit (case_id, unit, path) values ($1, $2, $3) on conflict do nothing", new.id, *splitting
    )


async def insert_note(
    connection: Connection, note_id: UUID, case_id: UUID, sealed: str, officer_id: UUID, now: datetime
) -> None:
    """Keep a note, sealed."""
    await connection.execute(
        "insert into note (id, case_id, sealed, written_by, written_at) values ($1, $2, $3, $4, $5)",
        note_id,
        case_id,
        sealed,
        officer_id,
        now,
    )


async def insert_attachment(
    connection: Connection,
    attachment_id: UUID,
    case_id: UUID,
    kept: tuple[str, str, str | None],
    officer_id: UUID,
    now: datetime,
) -> bool:
    """Keep a reference: its token, itself and its title sealed, its SHA-256; return whether it is new in the case."""
    inserted = await connection.fetchval(
        """
        insert into attachment (id, case_id, token, sealed, sha256, added_by, added_at)
        values ($1, $2, $3, $4, $5, $6, $7) on conflict (case_id, token) do nothing returning true
        """,
        attachment_id,
        case_id,
        *kept,
        officer_id,
        now,
    )
    return bool(inserted)


async def open_elsewhere(connection: Connection, case: Case) -> UUID | None:
    """Return a case on the same account that is not closed and of another family, where there is one."""
    found: UUID | None = await connection.fetchval(
        """
        select id from fraud_case
        where payee_token = $1 and status <> 'closed' and coalesce(split_from, id) <> $2 order by id desc limit 1
        """,
        case.payee_token,
        case.family,
    )
    return found


async def insert_objection(
    connection: Connection, objection_id: UUID, case_id: UUID, sealed: str, officer_id: UUID, span: tuple[datetime, ...]
) -> None:
    """Keep an objection, sealed; `span` is from when until when it is to be answered."""
    await connection.execute(
        """
        insert into objection (id, case_id, sealed, recorded_by, raised_at, answer_by) values ($1, $2, $3, $4, $5, $6)
        """,
        objection_id,
        case_id,
        sealed,
        officer_id,
        *span,
    )


async def case_of_objection(connection: Connection, objection_id: UUID) -> UUID | None:
    """Return the case that an objection is about."""
    found: UUID | None = await connection.fetchval("select case_id from objection where id = $1", objection_id)
    return found


async def decision_of(connection: Connection, objection_id: UUID) -> str | None:
    """Return how an objection was decided, if it was. The caller holds its case."""
    found: str | None = await connection.fetchval("select decision from objection where id = $1", objection_id)
    return found


async def upheld_at(connection: Connection, case_id: UUID) -> list[datetime]:
    """Return when objections in a case were upheld. The caller holds it."""
    rows = await connection.fetch(
        "select answered_at from objection where case_id = $1 and decision = 'upheld'", case_id
    )
    return [row["answered_at"] for row in rows]


async def answer_objection(
    connection: Connection, objection_id: UUID, decision: str, sealed: str, officer_id: UUID, now: datetime
) -> None:
    """Write down how an objection was decided."""
    await connection.execute(
        """
        update objection set decision = $2, sealed_answer = $3, answered_by = $4, answered_at = $5 where id = $1
        """,
        objection_id,
        decision,
        sealed,
        officer_id,
        now,
    )


async def unfounded_by_branch(pool: Pool, path: str, since: datetime | None, most: int) -> list[Row]:
    """Return the branches of a subtree whose reports were found unfounded, the most first.

    `reports` are those in cases that are closed now, and were closed since `since` where that is given.
    """
    return await pool.fetch(
        """
        select r.branch, b.name, r.bank, r.unit, count(*) as reports,
               count(*) filter (where c.finding = 'unfounded') as unfounded,
               max(c.closed_at) filter (where c.finding = 'unfounded') as last_unfounded_at
        from fraud_case c
        join report r on r.case_id = c.id
        join unit u on u.code = r.unit
        left join branch b on b.code = r.branch
        where c.status = 'closed' and starts_with(u.path, $1) and ($2::timestamptz is null or c.closed_at >= $2)
        group by r.branch, b.name, r.bank, r.unit
        having count(*) filter (where c.finding = 'unfounded') > 0
        order by unfounded desc, last_unfounded_at desc, r.branch limit $3
        """,
        path,
        since,
        most,
    )
