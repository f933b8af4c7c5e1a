"""notifier's SQL for accounts further on: what banks told of them, and what a case's tree is made of."""

import json
from collections.abc import Sequence
from uuid import UUID

from services.notifier.cases.store import CASE_FIELDS, case_of
from services.notifier.orders import onward
from services.notifier.orders.onward import Addressee, Moved
from services.notifier.orders.order import Order
from services.notifier.orders.order_store import ORDER_FIELDS, order_of
from services.notifier.orders.tracing import Traced
from shared.events import OrderChanged
from shared.postgres import Connection, Pool, Row
from shared.privacy import Seal

MOVED_FIELDS = """
    id, case_id, order_id, parent, token, level, bank, mask, sealed, amount_fen, transferred_at, told_at, nth
"""


def _moved_of(row: Row) -> Moved:
    names = [name.strip() for name in MOVED_FIELDS.split(",")]
    return Moved(**{name: row[name] for name in names} | {"mask": json.loads(row["mask"])})


async def insert_moved(connection: Connection, moved: Sequence[Moved]) -> list[Moved]:
    """Keep where money moved on to; return what was not known before: two orders may be answered with the same."""
    rows = await connection.fetch(
        """
        insert into onward_account (id, case_id, order_id, parent, token, level, bank, mask, sealed, amount_fen,
                                    transferred_at, told_at, nth)
        select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::integer[], $7::text[],
                             $8::jsonb[], $9::text[], $10::bigint[], $11::timestamptz[], $12::timestamptz[],
                             $13::integer[])
        on conflict do nothing returning id
        """,
        [one.id for one in moved],
        [one.case_id for one in moved],
        [one.order_id for one in moved],
        [one.parent for one in moved],
        [one.token for one in moved],
        [one.level for one in moved],
        [one.bank for one in moved],
        [json.dumps(dict(one.mask), ensure_ascii=False) for one in moved],
        [one.sealed for one in moved],
        [one.amount_fen for one in moved],
        [one.transferred_at for one in moved],
        [one.told_at for one in moved],
        [one.nth for one in moved],
    )
    new = {row["id"] for row in rows}
    return [one for one in moved if one.id in new]


async def addressee(connection: Connection, identity: Seal, case_id: UUID, onward_id: UUID) -> Addressee | None:
    """Return an account further on, in clear, for an order; nothing where the case has no such account.

    The level is the lowest by which the money reached the account. Raises `SealBrokenError`.
    """
    row = await connection.fetchrow(
        """
        select one.*, every.into_fen, every.since, every.lowest, told_by.event as told_by
        from onward_account one
        join bank_order told_by on told_by.id = one.order_id
        cross join lateral (
            select sum(amount_fen)::bigint as into_fen, min(transferred_at) as since, min(level) as lowest
            from onward_account where case_id = one.case_id and token = one.token
        ) every
        where one.case_id = $1 and one.id = $2
        """,
        case_id,
        onward_id,
    )
    if row is None:
        return None
    told_by = OrderChanged.model_validate_json(row["told_by"])
    return onward.addressee(_moved_of(row), row["lowest"], row["into_fen"], row["since"], told_by, identity)


async def moved_in(connection: Connection | Pool, case_id: UUID) -> list[Moved]:
    """Return all that banks told of where a case's money moved on to."""
    rows = await connection.fetch(
        f"select {MOVED_FIELDS} from onward_account where case_id = $1 order by id",  # noqa: S608 - constant field list
        case_id,
    )
    return [_moved_of(row) for row in rows]


async def traced(pool: Pool, case_id: UUID) -> Traced:
    """Return what is known of the accounts of a case that is there."""
    row = await pool.fetchrow(f"select {CASE_FIELDS} from fraud_case where id = $1", case_id)  # noqa: S608 - constant
    assert row is not None
    case, moved, strays = case_of(row), await moved_in(pool, case_id), await _strays(pool, case_id)
    tokens = {case.payee_token, *(one.token for one in moved), *(token for token, _ in strays)}
    orders = await _orders_on(pool, sorted(tokens))
    banks = {case.payee_mask.get("bank_code", ""), *(one.bank for one in moved), *(one.bank for _, one in strays)}
    return Traced(case, moved, orders, strays, await _connected(pool, sorted(banks)))


async def _strays(pool: Pool, case_id: UUID) -> list[tuple[str, OrderChanged]]:
    """Return a case's orders on accounts that neither a report nor a feedback names: corrected numbers."""
    rows = await pool.fetch(
        """
        select o.payee_token, o.event from bank_order o join fraud_case c on c.id = o.case_id
        where o.case_id = $1 and o.payee_token <> c.payee_token
          and not exists (select from onward_account a where a.case_id = $1 and a.token = o.payee_token)
        order by o.id
        """,
        case_id,
    )
    return [(row["payee_token"], OrderChanged.model_validate_json(row["event"])) for row in rows]


async def _orders_on(pool: Pool, tokens: Sequence[str]) -> list[Order]:
    """Return all orders ever made on accounts, oldest first."""
    rows = await pool.fetch(
        f"select {ORDER_FIELDS} from bank_order where payee_token = any($1::text[]) order by id",  # noqa: S608 - constant
        list(tokens),
    )
    return [order_of(row) for row in rows]


async def _connected(pool: Pool, banks: Sequence[str]) -> frozenset[str]:
    """Return those of the banks that are in the reference data, and so pull their orders."""
    rows = await pool.fetch("select distinct bank from branch where bank = any($1::text[])", list(banks))
    return frozenset(row["bank"] for row in rows)
