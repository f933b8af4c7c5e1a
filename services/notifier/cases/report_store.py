"""notifier's SQL for reports and the cases they are in: one query a function, sets in, sets out."""

from collections.abc import Sequence
from uuid import UUID

from services.notifier.cases.case import Placed
from services.notifier.money import transfer
from shared.events import Level, VerdictReached
from shared.postgres import Connection


async def insert_reports(
    connection: Connection, verdicts: Sequence[VerdictReached], units: dict[str, tuple[str, str]]
) -> set[UUID]:
    """Insert the reports that are new; return their ids. Alerts keep their verdict, for orders to come."""
    rows = await connection.fetch(
        """
        insert into report (id, bank, branch, unit, version, level, score, amount_fen, filed_at, verdict, alike,
                            observed_at)
        select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::text[], $7::integer[],
                             $8::bigint[], $9::timestamptz[], $10::bytea[], $11::text[], $12::timestamptz[])
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
    )
    return {row["id"] for row in rows}


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


async def put_into_cases(connection: Connection, placed: Sequence[Placed], units: dict[str, tuple[str, str]]) -> None:
    """Write which case each report is in, and which units see it for that."""
    await connection.execute(
        """
        update report r set case_id = u.case_id from unnest($1::uuid[], $2::uuid[]) as u (id, case_id)
        where r.id = u.id
        """,
        [one.verdict.report.report_id for one in placed],
        [one.case_id for one in placed],
    )
    await connection.execute(
        """
        insert into case_unit (case_id, unit, path)
        select distinct * from unnest($1::uuid[], $2::text[], $3::text[]) on conflict do nothing
        """,
        [one.case_id for one in placed],
        [one.unit for one in placed],
        [units[one.verdict.report.branch][1] for one in placed],
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


async def reports_in_cases(connection: Connection, report_ids: Sequence[UUID]) -> set[UUID]:
    """Return those of the reports that are in a case."""
    rows = await connection.fetch(
        "select id from report where id = any($1::uuid[]) and case_id is not null", list(report_ids)
    )
    return {row["id"] for row in rows}


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
