"""notifier's SQL for deadlines: one query a function, sets in, sets out. Whoever changes one holds its case's lock."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from services.notifier.cases.case import Case
from services.notifier.cases.store import CASE_FIELDS, case_of
from services.notifier.clock.clock import Deadline, Deadlines, Due, Stage, Urgency
from services.notifier.clock.overdue import Rung
from services.notifier.money.transfer import LONG_AGO, ReportFacts, transfers
from shared.events import CaseStatus, DispositionOutcome
from shared.outbox import new_id
from shared.postgres import Connection, Pool, Row


async def start(connection: Connection, deadlines: Sequence[Deadline]) -> None:
    """Start deadlines; one that runs already goes on as it is."""
    if not deadlines:
        return
    await connection.execute(
        """
        insert into deadline (id, case_id, stage, subject, step, due_at)
        select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::integer[], $6::timestamptz[])
        on conflict do nothing
        """,
        [new_id() for _ in deadlines],
        [one.case_id for one in deadlines],
        [one.stage.value for one in deadlines],
        [one.subject for one in deadlines],
        [one.step for one in deadlines],
        [one.due_at for one in deadlines],
    )


async def hasten(connection: Connection, deadlines: Sequence[Deadline]) -> None:
    """Let deadlines that run, and have not been missed yet, come sooner; none comes later."""
    if not deadlines:
        return
    await connection.execute(
        """
        update deadline d set due_at = u.due_at
        from unnest($1::uuid[], $2::text[], $3::timestamptz[]) as u (case_id, stage, due_at)
        where d.case_id = u.case_id and d.stage = u.stage and d.subject is null and d.step = 0 and d.state = 'running'
          and d.due_at > u.due_at
        """,
        [one.case_id for one in deadlines],
        [one.stage.value for one in deadlines],
        [one.due_at for one in deadlines],
    )


async def meet(
    connection: Connection, case_ids: Sequence[UUID], stages: Sequence[Stage], subjects: Sequence[UUID] | None = None
) -> None:
    """End the running deadlines of these stages, about these subjects where any are named: what was due is done."""
    await connection.execute(
        """
        update deadline set state = 'met', ended_at = now()
        where case_id = any($1::uuid[]) and state = 'running' and stage = any($2::text[])
          and ($3::uuid[] is null or subject = any($3::uuid[]))
        """,
        list(case_ids),
        [stage.value for stage in stages],
        None if subjects is None else list(subjects),
    )


async def next_due(pool: Pool, but_not: Collection[UUID]) -> tuple[datetime, timedelta | None]:
    """Return the database's time, and how long from then until something is due, of all cases but these."""
    row = await pool.fetchrow(
        """
        select clock_timestamp() as at,
               (select min(due_at) from deadline where state = 'running' and case_id <> all($1::uuid[])) as due_at
        """,
        list(but_not),
    )
    assert row is not None
    return row["at"], None if row["due_at"] is None else row["due_at"] - row["at"]


async def claim(connection: Connection, now: datetime, most: int, but_not: Collection[UUID]) -> list[Case]:
    """Lock and return the cases of what has been due the longest. A case somebody is at work on is passed over.

    They are locked in the order of their deadlines, and no lock is waited for; so nobody is blocked for it.
    """
    rows = await connection.fetch(
        f"""
        select {CASE_FIELDS}
        from (
            select case_id, due_at from deadline
            where state = 'running' and due_at <= $1 and case_id <> all($3::uuid[]) order by due_at
        ) due join fraud_case on fraud_case.id = due.case_id
        order by due.due_at limit $2 for no key update of fraud_case skip locked
        """,  # noqa: S608 - constant field list
        now,
        most,
        list(but_not),
    )
    return list({row["id"]: case_of(row) for row in rows}.values())


async def due_in(connection: Connection, case_ids: Sequence[UUID], now: datetime) -> list[Due]:
    """Return what is due in cases the caller has locked, the longest due first."""
    rows = await connection.fetch(
        """
        select id, case_id, stage, subject, step, due_at, greatest(due_at, started_at) as since from deadline
        where case_id = any($1::uuid[]) and state = 'running' and due_at <= $2 order by due_at, id
        """,
        list(case_ids),
        now,
    )
    return [
        Due(
            row["id"],
            Deadline(row["case_id"], Stage(row["stage"]), row["due_at"], row["subject"], row["step"]),
            row["since"],
        )
        for row in rows
    ]


async def end(connection: Connection, ended: Sequence[tuple[UUID, str]]) -> None:
    """End deadlines of cases the caller has locked, each as met or as missed."""
    await connection.execute(
        """
        update deadline d set state = u.state, ended_at = clock_timestamp()
        from unnest($1::uuid[], $2::text[]) as u (id, state) where d.id = u.id and d.state = 'running'
        """,
        [deadline_id for deadline_id, _ in ended],
        [state for _, state in ended],
    )


async def ways_up(connection: Connection, units: Collection[str]) -> dict[str, list[Rung]]:
    """Return for each unit the way from it to the top of the tree, itself first, with the roles officers have there."""
    rows = await connection.fetch(
        """
        select below.code as below, u.code, u.name, u.path, u.level,
               array(select distinct role from officer where unit = u.code and revoked_at is null) as roles
        from unit below join unit u on u.code = any(string_to_array(trim(both '/' from below.path), '/'))
        where below.code = any($1::text[]) order by length(u.path) desc
        """,
        list(units),
    )
    ways: dict[str, list[Rung]] = {}
    for row in rows:
        rung = Rung(row["code"], row["name"], row["path"], row["level"], frozenset(row["roles"]))
        ways.setdefault(row["below"], []).append(rung)
    return ways


async def to_be_stopped(
    connection: Connection, case_ids: Sequence[UUID], report_ids: Sequence[UUID] | None = None
) -> set[UUID]:
    """Return those of the cases that have a transfer not averted, and no order about it but such as failed.

    With `report_ids` only the transfers that these are about count. An order is about the reports it covers; while it
    waits or holds, about those too that have joined since. Reports that were split off are still held by the case that
    was left.
    """
    rows = await connection.fetch(
        """
        select r.case_id, r.id, r.bank, r.branch, r.amount_fen, r.alike, r.observed_at, d.amount_fen as averted_fen,
               exists (
                   select from bank_order o
                   where o.case_id = r.case_id and o.status not in ('failed', 'rejected')
                     and (r.id = any(o.covers)
                          or o.kind in ('stop', 'extend_stop', 'freeze', 'extend_freeze')
                             and (o.status <> 'executed'
                                  or o.ended_at is null and coalesce(o.expires_at > now(), true)))
               ) or exists (
                   select from bank_order o join fraud_case f on f.id = o.case_id
                   where (f.id = c.split_from or f.split_from = c.split_from) and r.id = any(o.covers)
                     and o.kind in ('stop', 'extend_stop', 'freeze', 'extend_freeze') and o.status = 'executed'
                     and o.ended_at is null and coalesce(o.expires_at > now(), true)
               ) as ordered
        from report r join fraud_case c on c.id = r.case_id
        -- one look-up a report: joined as a whole, all dispositions there are would be walked through
        left join lateral (
            select amount_fen from disposition where report_id = r.id and outcome = 'cancelled' limit 1
        ) d on true
        where r.case_id = any($1::uuid[]) and r.id in (
            select id from report where $2::uuid[] is null and case_id = any($1::uuid[])
            union all select id from report where id = any($2::uuid[])
            union all select o.id from report n join report o on o.alike = n.alike where n.id = any($2::uuid[])
        )
        """,
        list(case_ids),
        None if report_ids is None else list(report_ids),
    )
    ordered = {row["id"] for row in rows if row["ordered"]}
    reports: dict[UUID, list[ReportFacts]] = {}
    for row in rows:
        reports.setdefault(row["case_id"], []).append(_facts_of(row))
    return {
        case_id
        for case_id, facts in reports.items()
        for one in transfers(facts)
        if one.amount_fen > one.averted_fen and not any(report.report_id in ordered for report in one.reports)
    }


def _facts_of(row: Row) -> ReportFacts:
    return ReportFacts(
        report_id=row["id"],
        bank=row["bank"],
        unit="",
        amount_fen=row["amount_fen"],
        outcome=DispositionOutcome.CANCELLED if row["averted_fen"] else None,
        disposition_fen=row["averted_fen"] or 0,
        branch=row["branch"],
        alike=row["alike"],
        observed_at=row["observed_at"] or LONG_AGO,
    )


async def start_order(
    connection: Connection,
    deadlines: Deadlines,
    cases: Sequence[Case],
    now: datetime,
    joined: Sequence[UUID] | None = None,
) -> None:
    """An order is due in those of the cases that are at work and have money to be stopped: of `joined` where given."""
    at_work = [one for one in cases if one.status is CaseStatus.ACKNOWLEDGED]
    left = await to_be_stopped(connection, [one.id for one in at_work], joined) if at_work else set()
    spans = {one.id: deadlines.span(one.in_charge, one.urgency, Stage.ORDER) for one in at_work}
    due = [Deadline(case_id, Stage.ORDER, now + spans[case_id]) for case_id in sorted(left)]
    await hasten(connection, due)
    await start(connection, due)


async def rules(pool: Pool) -> Deadlines:
    """Return the rules of how long stages may take, and the tree they are looked up in."""
    rows = await pool.fetch("select unit, urgency, stage, seconds from deadline_rule")
    parents = await pool.fetch("select code, parent from unit")
    return Deadlines(
        {
            (row["unit"], Urgency(row["urgency"]), Stage(row["stage"])): timedelta(seconds=row["seconds"])
            for row in rows
        },
        {row["code"]: row["parent"] for row in parents},
    )


async def overdue(pool: Pool, seconds: float) -> dict[tuple[str, ...], int]:
    """Count by stage and unit in charge the deadlines that came so long ago, and of which nothing has followed."""
    rows = await pool.fetch(
        """
        select d.stage, coalesce(c.in_charge, c.unit) as unit, count(*) as number
        from deadline d join fraud_case c on c.id = d.case_id
        where d.state = 'running' and d.due_at < now() - $1::float8 * interval '1 second' group by 1, 2
        """,
        seconds,
    )
    return {(row["stage"], row["unit"]): row["number"] for row in rows}
