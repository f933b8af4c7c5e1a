"""intake's SQL for orders and the banks' feedback: one query a function, sets in, sets out."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from shared.events import FeedbackContradicted, FeedbackReceived, OrderChanged, OrderStatus
from shared.postgres import Connection, Row

FIRST: Final = UUID(int=0)
"""The id before all others."""


async def upsert_orders(connection: Connection, orders: Sequence[OrderChanged], traces: Mapping[UUID, str]) -> None:
    """Keep each order's newest version, and the traces of those that have one, by their ids."""
    await connection.execute(
        """
        insert into bank_order (id, version, bank, case_id, status, amount_fen, ordered_at, event, traceparent)
        select * from unnest($1::uuid[], $2::integer[], $3::text[], $4::uuid[], $5::text[], $6::bigint[],
                             $7::timestamptz[], $8::bytea[], $9::text[])
        on conflict (id) do update
        set version = excluded.version, status = excluded.status, event = excluded.event,
            traceparent = coalesce(nullif(excluded.traceparent, ''), bank_order.traceparent)
        where bank_order.version < excluded.version
        """,
        [order.order_id for order in orders],
        [order.version for order in orders],
        [order.bank for order in orders],
        [order.case_id for order in orders],
        [order.status.value for order in orders],
        [order.amount_fen for order in orders],
        [order.ordered_at for order in orders],
        [order.model_dump_json().encode() for order in orders],
        [traces.get(order.order_id, "") for order in orders],
    )


async def orders_of(connection: Connection, bank: str, status: str | None, after: UUID | None, most: int) -> list[Row]:
    """Return a page of a bank's orders, oldest first: the first few of each status, and of these the first few."""
    return await connection.fetch(
        """
        select o.event, o.traceparent
        from unnest($2::text[]) as s (status)
        cross join lateral (
            -- not as equal, but as a range of the index: the planner would walk all banks' orders by their ids
            select id, event, traceparent from bank_order
            where bank = $1 and (status, id) > (s.status, $3) and status <= s.status
            order by status, id limit $4
        ) o
        order by o.id limit $4
        """,
        bank,
        [status] if status else list(OrderStatus),
        after or FIRST,
        most,
    )


async def order_of(connection: Connection, bank: str, order_id: UUID) -> Row | None:
    """Return one order of this bank."""
    return await connection.fetchrow(
        "select event, traceparent from bank_order where id = $1 and bank = $2", order_id, bank
    )


async def insert_feedback(connection: Connection, event: FeedbackReceived, fingerprint: bytes) -> bool:
    """Insert the one feedback an order may have; return whether it was new."""
    done = await connection.fetchval(
        """
        insert into feedback (id, order_id, fingerprint, event, received_at)
        values ($1, $2, $3, $4, $5) on conflict (order_id) do nothing returning true
        """,
        event.feedback_id,
        event.order_id,
        fingerprint,
        event.model_dump_json().encode(),
        event.received_at,
    )
    return bool(done)


async def feedback_of(connection: Connection, order_id: UUID) -> Row:
    """Return the feedback an order has."""
    row = await connection.fetchrow("select id, fingerprint, received_at from feedback where order_id = $1", order_id)
    assert row is not None
    return row


async def insert_contradiction(connection: Connection, event: FeedbackContradicted, fingerprint: bytes) -> bool:
    """Keep a contradicting answer once; return whether it was new."""
    done = await connection.fetchval(
        """
        insert into contradiction (id, order_id, fingerprint, event, received_at)
        values ($1, $2, $3, $4, $5) on conflict do nothing returning true
        """,
        event.contradiction_id,
        event.order_id,
        fingerprint,
        event.model_dump_json().encode(),
        event.received_at,
    )
    return bool(done)


async def record_looks(connection: Connection, actor: str, action: str, subjects: Sequence[UUID]) -> None:
    """Record who looked at whose personal data."""
    await connection.execute(
        "insert into audit (actor, action, subject) select $1, $2, * from unnest($3::uuid[])",
        actor,
        action,
        list(subjects),
    )
