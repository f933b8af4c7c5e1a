"""notifier's SQL for reports and the cases they are in: one query a function, sets in, sets out."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg

from services.notifier.cases.case import Placed
from services.notifier.money import transfer
from shared.events import Level, VerdictReached
from shared.postgres import Connection

Units = Mapping[str, tuple[str, str]]
"""The unit in charge of each branch, and its path."""


class HeardMeanwhileError(asyncpg.SerializationError):
    """Another replica has taken a verdict on the same report; the same batch tried again finds it."""


async def known(connection: Connection, report_ids: Sequence[UUID]) -> set[UUID]:
    """Return those of the reports that are here."""
    rows = await connection.fetch("select id from report where id = any($1::uuid[])", list(report_ids))
    return {row["id"] for row in rows}


async def insert_reports(
    connection: Connection, verdicts: Sequence[VerdictReached], units: Units, case_ids: Mapping[UUID, UUID]
) -> None:
    """Insert reports that are new, each in its case if it has one. Alerts keep their verdict, for orders to come.

    Raises `HeardMeanwhileError` where one is here by now.
    """
    if not verdicts:
        return
    inserted = await connection.fetch(
        """
        insert into report (id, bank, branch, unit, version, level, score, amount_fen, filed_at, verdict, alike,
                            observed_at, case_id)
        select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::text[], $7::integer[],
                             $8::bigint[], $9::timestamptz[], $10::bytea[], $11::text[], $12::timestamptz[],
                             $13::uuid[])
        order by 1 on conflict do nothing returning id
        """,
        [verdict.report.report_id for verdict in verdicts],
        [verdict.report.bank for verdict in verdicts],
        [verdict.report.branch for verdict in verdicts],
        [units[verdict.report.branch][0] for verdict in verdicts],
        [verdict.version for verdict in verdicts],
        [verdict.level.value for verdict in verdicts],
        [verdict.score for verdict in verdicts],
        [verdict.report.amount_fen for verdict in verdicts],
        [verdict.report.filed_at for verdict in verdicts],
        [_kept(verdict) for verdict in verdicts],
        [transfer.alike(verdict.report) for verdict in verdicts],
        [verdict.report.observed_at for verdict in verdicts],
        [case_ids.get(verdict.report.report_id) for verdict in verdicts],
    )
    if len(inserted) < len(verdicts):
        raise HeardMeanwhileError


def _kept(verdict: VerdictReached) -> bytes | None:
    return verdict.model_dump_json().encode() if verdict.level is Level.ALERT else None


async def rejudge_reports(connection: Connection, verdicts: Sequence[VerdictReached]) -> dict[UUID, UUID | None]:
    """Give known reports a newer verdict; return those that took it, with the case each is in already.

    A report in a case stays at alert level: whatever came later, officers are at work on it, and orders
    need its verdict. The rows are locked in one order, so that two replicas cannot block each other.
    """
    rows = await connection.fetch(
        """
        with newer as materialized (
            select r.id, u.version, u.level, u.score, u.verdict
            from unnest($1::uuid[], $2::integer[], $3::text[], $4::integer[], $5::bytea[])
                 as u (id, version, level, score, verdict)
            join report r on r.id = u.id and r.version < u.version and (r.case_id is null or u.level = 'alert')
            order by r.id for update of r
        )
        update report r set version = n.version, level = n.level, score = n.score, verdict = n.verdict
        from newer n where r.id = n.id returning r.id, r.case_id
        """,
        [verdict.report.report_id for verdict in verdicts],
        [verdict.version for verdict in verdicts],
        [verdict.level.value for verdict in verdicts],
        [verdict.score for verdict in verdicts],
        [_kept(verdict) for verdict in verdicts],
    )
    return {row["id"]: row["case_id"] for row in rows}


async def hold_still(connection: Connection, report_ids: Sequence[UUID]) -> None:
    """Keep reports from moving into a case until the transaction ends. Call it before cases are locked."""
    await connection.execute("select from report where id = any($1::uuid[]) order by id for share", list(report_ids))


async def put_into_cases(connection: Connection, case_ids: Mapping[UUID, UUID]) -> None:
    """Write which case each of these reports, which were here before, is in."""
    if not case_ids:
        return
    await connection.execute(
        """
        update report r set case_id = u.case_id from unnest($1::uuid[], $2::uuid[]) as u (id, case_id)
        where r.id = u.id
        """,
        list(case_ids),
        list(case_ids.values()),
    )


async def let_see(connection: Connection, placed: Sequence[Placed], units: Units) -> None:
    """Let the units that reports came from see the cases that these are in."""
    paths = dict(units.values())
    seeing = sorted({(one.case_id, one.unit) for one in placed})
    await connection.execute(
        """
        insert into case_unit (case_id, unit, path)
        select * from unnest($1::uuid[], $2::text[], $3::text[]) on conflict do nothing
        """,
        [case_id for case_id, _ in seeing],
        [unit for _, unit in seeing],
        [paths[unit] for _, unit in seeing],
    )


async def reports_in(connection: Connection, case_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    """Return the reports of cases, oldest first."""
    rows = await connection.fetch(
        "select case_id, id from report where case_id = any($1::uuid[]) order by filed_at, id", list(case_ids)
    )
    found: dict[UUID, list[UUID]] = {}
    for row in rows:
        found.setdefault(row["case_id"], []).append(row["id"])
    return found


async def cases_of(connection: Connection, report_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Return the case that each of the reports is in; those in none are left out."""
    rows = await connection.fetch(
        "select id, case_id from report where id = any($1::uuid[]) and case_id is not null", list(report_ids)
    )
    return {row["id"]: row["case_id"] for row in rows}


async def sealed_reports(connection: Connection, case_id: UUID, path: str = "/") -> list[VerdictReached]:
    """Return the verdicts of a case with their sealed reports, oldest first.

    Only those of a subtree's units, unless the whole case was transferred to one of them.
    """
    rows = await connection.fetch(
        """
        select r.verdict from report r join unit u on u.code = r.unit
        where r.case_id = $1 and r.verdict is not null
          and (starts_with(u.path, $2)
               or exists (select from case_unit s where s.case_id = $1 and s.whole and starts_with(s.path, $2)))
        order by r.filed_at, r.id
        """,
        case_id,
        path,
    )
    return [VerdictReached.model_validate_json(row["verdict"]) for row in rows]
