"""notifier's SQL for orders: one query a function, sets in, sets out."""

from collections.abc import Sequence
from uuid import UUID

from services.notifier.orders.order import EndedWhy, Order, Standing
from shared.events import Checked, Failure, FeedbackReceived, OrderChanged, OrderKind
from shared.postgres import Connection, Pool, Row

ORDER_FIELDS = """
    id, version, case_id, payee_token, kind, status, bank, amount_fen, covers, original_application_id, ordered_by,
    ordered_at, account_level, application_type, emergency_level, acts_on, corrects, term_months, scope,
    includes_proceeds, notice_number, unwanted, approval_level, approved_by, approved_at, bank_stopped_at, feedback_id,
    balance_before_fen, stopped_fen, frozen_fen, returned_fen, failure, mismatch, executed_at, expires_at, answered_at,
    ended_at, ended_why
"""
ACCOUNT_LOCK = 7_261_002
"""Advisory locks, by account: orders on it are drawn up and applied by one transaction at a time."""

NAMES = tuple(name.strip() for name in ORDER_FIELDS.split(","))


def order_of(row: Row) -> Order:
    """Build the order a row holds; the row may hold more."""
    values = {name: row[name] for name in NAMES}
    values |= {
        "kind": OrderKind(row["kind"]),
        "status": Standing(row["status"]),
        "covers": tuple(row["covers"]),
        "failure": Failure(row["failure"]) if row["failure"] else None,
        "mismatch": tuple(Checked(one) for one in row["mismatch"]),
        "ended_why": EndedWhy(row["ended_why"]) if row["ended_why"] else None,
    }
    return Order(**values)


async def lock_accounts(connection: Connection, case_id: UUID, tokens: Sequence[str] = ()) -> None:
    """Let nobody else draw up or apply an order on these accounts, the case's and its orders' until the end.

    Locking an account's orders would not do: one that another transaction is adding is not there to be locked. The
    caller holds the case, so nobody adds to its orders meanwhile. The accounts are locked in one order, and before
    any order's row, so that two callers cannot deadlock.
    """
    await connection.execute(
        """
        select pg_advisory_xact_lock($3, key) from (
            select distinct hashtext(token) as key from (
                select payee_token as token from bank_order where case_id = $1
                union select payee_token from fraud_case where id = $1
                union select unnest($2::text[])
            ) tokens order by 1
        ) keys
        """,
        case_id,
        list(tokens),
        ACCOUNT_LOCK,
    )


async def orders_about(connection: Connection, case_id: UUID, tokens: Sequence[str]) -> list[Order]:
    """Return all orders ever made on these accounts and those of the case's orders, oldest first; locked."""
    await lock_accounts(connection, case_id, tokens)
    rows = await connection.fetch(
        f"""
        select {ORDER_FIELDS} from bank_order
        where payee_token in (
            select payee_token from bank_order where case_id = $1 union select unnest($2::text[])
        )
        order by id for update
        """,  # noqa: S608 - constant field list
        case_id,
        list(tokens),
    )
    return [order_of(row) for row in rows]


async def orders_in(connection: Connection, case_id: UUID) -> list[Order]:
    """Return all orders of a case, on whichever account, oldest first; locked, and their accounts too."""
    await lock_accounts(connection, case_id)
    rows = await connection.fetch(
        f"select {ORDER_FIELDS} from bank_order where case_id = $1 order by id for update",  # noqa: S608
        case_id,
    )
    return [order_of(row) for row in rows]


SHOWN_ORDERS = """
    select o.*, g.name as ordered_by_name, a.name as approved_by_name, f.event as feedback
    from bank_order o left join officer g on g.id = o.ordered_by left join officer a on a.id = o.approved_by
    left join feedback f on f.order_id = o.id
"""


async def shown_orders(pool: Pool, case_id: UUID) -> list[Row]:
    """Return a case's orders, oldest first, with who gave and approved them and what the bank answered."""
    return await pool.fetch(f"{SHOWN_ORDERS} where o.case_id = $1 order by o.id", case_id)


async def shown_order(pool: Pool, order_id: UUID) -> Row:
    """Return the same of one order that is there."""
    row = await pool.fetchrow(f"{SHOWN_ORDERS} where o.id = $1", order_id)
    assert row is not None
    return row


async def case_of_order(connection: Connection, order_id: UUID) -> UUID | None:
    """Return the case of an order; it never changes."""
    found: UUID | None = await connection.fetchval("select case_id from bank_order where id = $1", order_id)
    return found


async def orders_beside(connection: Connection, order_ids: Sequence[UUID]) -> list[Order]:
    """Return all orders on the accounts that these orders are on, oldest first. The caller holds their cases."""
    rows = await connection.fetch(
        f"""
        select {ORDER_FIELDS} from bank_order
        where payee_token in (select payee_token from bank_order where id = any($1::uuid[])) order by id
        """,  # noqa: S608
        list(order_ids),
    )
    return [order_of(row) for row in rows]


async def event_of(connection: Connection, order_id: UUID) -> OrderChanged:
    """Return the latest event of an order the caller has locked."""
    event = await connection.fetchval("select event from bank_order where id = $1", order_id)
    return OrderChanged.model_validate_json(event)


async def insert_order(connection: Connection, order: Order, event: OrderChanged) -> bool:
    """Write a new order; return whether it could be: an account has one order of a kind waiting at a time.

    Of orders that free it, one a case.
    """
    inserted = await connection.fetchval(
        """
        insert into bank_order (id, version, case_id, payee_token, kind, status, bank, amount_fen, covers,
                                original_application_id, ordered_by, ordered_at, account_level, application_type,
                                emergency_level, acts_on, corrects, term_months, scope, includes_proceeds,
                                notice_number, approval_level, bank_stopped_at, event)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
                $23, $24)
        on conflict do nothing returning true
        """,
        order.id,
        order.version,
        order.case_id,
        order.payee_token,
        order.kind.value,
        order.status.value,
        order.bank,
        order.amount_fen,
        list(order.covers),
        order.original_application_id,
        order.ordered_by,
        order.ordered_at,
        order.account_level,
        order.application_type,
        order.emergency_level,
        order.acts_on,
        order.corrects,
        order.term_months,
        order.scope,
        order.includes_proceeds,
        order.notice_number,
        order.approval_level,
        order.bank_stopped_at,
        event.model_dump_json().encode(),
    )
    return bool(inserted)


async def update_order(connection: Connection, order: Order, event: OrderChanged) -> None:
    """Write the new state of an order the caller has locked, and what was said of it."""
    await connection.execute(
        """
        update bank_order
        set version = $2, status = $3, approved_by = $4, approved_at = $5, feedback_id = $6, balance_before_fen = $7,
            stopped_fen = $8, frozen_fen = $9, returned_fen = $10, failure = $11, mismatch = $12, executed_at = $13,
            expires_at = $14, answered_at = $15, unwanted = $16, event = $17
        where id = $1
        """,
        order.id,
        order.version,
        order.status.value,
        order.approved_by,
        order.approved_at,
        order.feedback_id,
        order.balance_before_fen,
        order.stopped_fen,
        order.frozen_fen,
        order.returned_fen,
        order.failure and order.failure.value,
        [one.value for one in order.mismatch],
        order.executed_at,
        order.expires_at,
        order.answered_at,
        order.unwanted,
        event.model_dump_json().encode(),
    )


async def end_holds(connection: Connection, ended: Sequence[Order]) -> None:
    """Write how holds ended."""
    await connection.execute(
        """
        update bank_order o set ended_at = u.ended_at, ended_why = u.ended_why
        from unnest($1::uuid[], $2::timestamptz[], $3::text[]) as u (id, ended_at, ended_why)
        where o.id = u.id and o.ended_at is null
        """,
        [order.id for order in ended],
        [order.ended_at for order in ended],
        [order.ended_why and order.ended_why.value for order in ended],
    )


async def mark_unwanted(connection: Connection, order_ids: Sequence[UUID], *, unwanted: bool = True) -> None:
    """Write that what these orders will hold is to be released at once, or is not."""
    await connection.execute(
        "update bank_order set unwanted = $2 where id = any($1::uuid[])", list(order_ids), unwanted
    )


async def keep_feedback(connection: Connection, feedback: FeedbackReceived) -> None:
    """Keep what a bank answered, as it came; a repetition is nothing new."""
    await connection.execute(
        "insert into feedback (id, order_id, event, received_at) values ($1, $2, $3, $4) on conflict do nothing",
        feedback.feedback_id,
        feedback.order_id,
        feedback.model_dump_json().encode(),
        feedback.received_at,
    )


async def expiring(pool: Pool, seconds: float) -> dict[tuple[str, ...], int]:
    """Count by bank the stops that run out within so many seconds and that no order waits to follow.

    A stop that was extended, frozen or released has ended; so what is left is an order that the bank has yet to answer.
    """
    rows = await pool.fetch(
        """
        select o.bank, count(*) as number
        from deadline d join bank_order o on o.id = d.subject
        where d.state = 'running' and d.stage = 'expiry' and d.due_at < now() + $1::float8 * interval '1 second'
          and o.kind in ('stop', 'extend_stop') and o.status = 'executed' and o.ended_at is null
          and not exists (
              select from bank_order n
              where n.payee_token = o.payee_token and n.status in ('proposed', 'pending')
                and n.kind in ('extend_stop', 'freeze', 'release_stop')
          )
        group by o.bank
        """,
        seconds,
    )
    return {(row["bank"],): row["number"] for row in rows}


async def acknowledged_to_ordered(pool: Pool, order_id: UUID) -> float | None:
    """Return the seconds from its case's acknowledgement to an order, if it is the first of the case."""
    found: float | None = await pool.fetchval(
        """
        select extract(epoch from o.ordered_at - c.acknowledged_at)::float8
        from bank_order o join fraud_case c on c.id = o.case_id
        where o.id = $1 and not exists (select from bank_order e where e.case_id = o.case_id and e.id < o.id)
        """,
        order_id,
    )
    return found


async def accepted_to_stopped(pool: Pool, order_id: UUID) -> float | None:
    """Return the seconds from the first report that a stop is about to the moment the bank stopped."""
    found: float | None = await pool.fetchval(
        """
        select extract(epoch from o.executed_at - min(r.filed_at))::float8
        from bank_order o join report r on r.id = any(o.covers) where o.id = $1 group by o.executed_at
        """,
        order_id,
    )
    return found
