"""notifier's SQL for whose money is counted together: split cases, equal reports, accounts that several cases hold."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.notifier.money.transfer import ONE_TRANSFER_WITHIN
from shared.postgres import Connection

FAMILY = """
    with recursive up as (
        select id as asked, id, split_from from fraud_case where id = any($1::uuid[])
        union all select up.asked, c.id, c.split_from from up join fraud_case c on c.id = up.split_from
    ),
    family as (
        select distinct id as root, id from up where split_from is null
        union all select f.root, c.id from family f join fraud_case c on c.split_from = f.id
    )
"""
"""The cases that share a book with the asked ones: all that were split from the same first one, and that."""


@dataclass(frozen=True, slots=True)
class Root:
    """The case that others were split from; its labels are on all the family's money."""

    id: UUID
    bank: str
    unit: str


async def families(connection: Connection, case_ids: Sequence[UUID]) -> dict[UUID, Root]:
    """Return the root of each case and of all it shares a book with; families of several take turns."""
    if not case_ids:
        return {}
    found = await _members(connection, case_ids)
    sizes = Counter(root.id for root in found.values())
    if shared := {str(root) for root, size in sizes.items() if size > 1}:
        await _take_turns(connection, shared)
        found = await _members(connection, case_ids)
    return found


async def _members(connection: Connection, case_ids: Sequence[UUID]) -> dict[UUID, Root]:
    rows = await connection.fetch(
        f"{FAMILY} select f.id, f.root, r.bank, r.unit from family f join fraud_case r on r.id = f.root",  # noqa: S608
        list(case_ids),
    )
    return {row["id"]: Root(row["root"], row["bank"], row["unit"]) for row in rows}


async def _take_turns(connection: Connection, names: set[str]) -> None:
    """Wait for whoever counts the same money, until their transaction ends."""
    if names:
        await connection.execute(
            """
            select pg_advisory_xact_lock(key)
            from (select distinct hashtextextended(name, 0) as key from unnest($1::text[]) as name order by 1) k
            """,
            list(names),
        )


async def alike(connection: Connection, report_ids: Sequence[UUID]) -> list[UUID]:
    """Return the reports of a payer, payee and amount that several branches reported, locked against each other.

    What is counted of one may depend on how the visit of another ended, so whoever counts them waits here.
    """
    rows = await connection.fetch(
        """
        with shared as materialized (
            select alike from report
            where alike in (select alike from report where id = any($1::uuid[]))
            group by alike having min(branch) <> max(branch)
        )
        select r.id, r.alike from report r join shared using (alike)
        """,
        list(report_ids),
    )
    await _take_turns(connection, {row["alike"] for row in rows})
    return [row["id"] for row in rows]


async def more_to_count(connection: Connection, report_ids: Sequence[UUID], case_ids: Sequence[UUID]) -> bool:
    """Whether new reports, in these cases if in any, can change more of the ledger than what was reported.

    So it is where the visit has ended; where another branch reported the same transfer, within the minutes that
    `transfer` allows; where money was stopped further on. A report without any of these is of a transfer of its own,
    and nothing is known of that.
    """
    return bool(
        await connection.fetchval(
            f"""
            {FAMILY} select exists (select from disposition where report_id = any($2::uuid[]))
            or exists (
                select from report n join report o
                on o.alike = n.alike and o.branch <> n.branch
                   and o.observed_at between n.observed_at - $3::interval and n.observed_at + $3::interval
                where n.id = any($2::uuid[])
            )
            or exists (
                select from bank_order o join family f on f.id = o.case_id
                where o.account_level > 1 and o.status = 'executed'
            )
            """,  # noqa: S608 - constant text
            list(case_ids),
            list(report_ids),
            ONE_TRANSFER_WITHIN,
        )
    )


async def stopped_further_on(connection: Connection, case_ids: Sequence[UUID]) -> bool:
    """Whether money of these cases was stopped on further accounts: then each report makes room for more of it."""
    if not case_ids:
        return False
    return bool(
        await connection.fetchval(
            f"""
            {FAMILY} select exists (
                select from bank_order o join family f on f.id = o.case_id
                where o.account_level > 1 and o.status = 'executed'
            )
            """,  # noqa: S608 - constant text
            list(case_ids),
        )
    )


async def note_held_elsewhere(connection: Connection, order_id: UUID, case_id: UUID) -> None:
    """Keep with a stop that was just answered what other cases were holding on the account: it is counted there.

    It is a fact of that moment and stays as it is, whatever becomes of the other hold. What goes on with a hold of
    its own case, or comes on top of one, holds no more of the others' money than that did.
    """
    await connection.execute(
        f"""
        {FAMILY}
        update bank_order o set held_elsewhere_fen = greatest(
            (select coalesce(max(case when e.kind in ('freeze', 'extend_freeze') then least(e.frozen_fen, e.amount_fen)
                                 else least(e.stopped_fen, e.amount_fen, e.balance_before_fen) end), 0)
             from bank_order e
             where e.payee_token = o.payee_token and e.case_id not in (select id from family) and e.status = 'executed'
               and e.kind in ('stop', 'extend_stop', 'freeze', 'extend_freeze') and e.expires_at > o.executed_at
               and (e.ended_at is null or e.ended_at > o.executed_at)),
            (select coalesce(max(e.held_elsewhere_fen), 0)
             from bank_order e
             where e.payee_token = o.payee_token and e.case_id in (select id from family) and e.status = 'executed'
               and e.id <> o.id and e.ended_at is null))
        where o.id = $2 and o.kind in ('stop', 'extend_stop') and o.status = 'executed'
        """,  # noqa: S608 - constant text
        [case_id],
        order_id,
    )
