"""The outbox: what a transaction promised is said, again and again until it is done."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from shared.outbox import (
    LONGEST_REPEAT_SECONDS,
    REPEAT_AFTER_SECONDS,
    Outgoing,
    answered,
    keep,
    new_id,
    oldest_unsent_seconds,
    unanswered,
)
from shared.postgres import Pool, UnsafeDatabaseError, open_pool
from shared.relay import Relay


class Broker:
    """The network's edge: acknowledges what it is sent, or not."""

    def __init__(self) -> None:
        self.got: list[UUID] = []
        self.up = True
        self.fault: Exception | None = None
        self.news = asyncio.Event()

    async def send(self, rows: Sequence[Outgoing]) -> list[UUID]:
        self.news.set()
        if self.fault:
            fault, self.fault = self.fault, None
            raise fault
        if not self.up:
            return []
        self.got += [row.id for row in rows]
        return [row.id for row in rows]

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not reached():
                self.news.clear()
                await self.news.wait()


@pytest.fixture
async def pool(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Pool]:
    opened = await open_pool(await database("rules"), "rules", most=4)
    yield opened
    await opened.close()


@asynccontextmanager
async def relaying(pool: Pool, broker: Broker) -> AsyncIterator[Relay]:
    relay = Relay(pool, broker.send)
    relay.start()
    try:
        yield relay
    finally:
        await relay.stop()


def a_row(*, awaits_answer: bool = False) -> Outgoing:
    return Outgoing(new_id(), "lanjie.reports.v1", "key", "type", b"{}", awaits_answer=awaits_answer)


async def promise(pool: Pool, *rows: Outgoing) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await keep(connection, rows)


async def overdue(pool: Pool) -> None:
    await pool.execute("update outbox set due_at = now() - interval '1 second'")


async def left(pool: Pool) -> list[UUID]:
    return [row["id"] for row in await pool.fetch("select id from outbox order by id")]


async def eventually(pool: Pool, question: str) -> None:
    """Return once a query answers yes."""
    async with asyncio.timeout(20):
        while not await pool.fetchval(question):  # noqa: ASYNC110 - the answer is in the database
            await asyncio.sleep(0.01)


async def gone(pool: Pool, rows: int = 0) -> None:
    await eventually(pool, f"select count(*) <= {rows} from outbox")


async def test_a_fresh_row_is_published_at_once_and_forgotten(pool: Pool) -> None:
    broker, row = Broker(), a_row()
    async with relaying(pool, broker) as relay:
        await promise(pool, row)
        relay.publish_soon([row])
        await gone(pool)
    assert broker.got == [row.id]


async def test_a_row_whose_process_died_after_the_commit_is_published_by_the_sweep(pool: Pool) -> None:
    broker, row = Broker(), a_row()
    await promise(pool, row)
    await overdue(pool)
    async with relaying(pool, broker):
        await gone(pool)
    assert broker.got == [row.id]


async def test_a_row_is_not_swept_before_it_is_due(pool: Pool) -> None:
    broker, early, late = Broker(), a_row(), a_row()
    await promise(pool, early, late)
    await pool.execute("update outbox set due_at = now() where id = $1", late.id)
    async with relaying(pool, broker):
        await gone(pool, 1)
    assert broker.got == [late.id]


async def test_a_row_that_awaits_an_answer_stays_after_the_broker_has_it_and_goes_with_the_answer(pool: Pool) -> None:
    broker, row = Broker(), a_row(awaits_answer=True)
    await promise(pool, row)
    await overdue(pool)
    async with relaying(pool, broker):
        await broker.until(lambda: row.id in broker.got)
    assert await left(pool) == [row.id]
    assert [one.id for one in await unanswered(pool, [row.id])] == [row.id]
    async with pool.acquire() as connection:
        await answered(connection, [row.id])
    assert await left(pool) == []


async def test_an_unanswered_row_is_repeated_ever_more_rarely_with_the_same_id(pool: Pool) -> None:
    broker, row = Broker(), a_row(awaits_answer=True)
    await promise(pool, row)
    waits: list[float] = []
    async with relaying(pool, broker):
        for times in range(1, 8):
            await overdue(pool)
            await eventually(pool, f"select attempts >= {times} from outbox")
            waits.append(await pool.fetchval("select extract(epoch from due_at - now())::float8 from outbox"))
    assert set(broker.got) == {row.id}
    expected = [min(REPEAT_AFTER_SECONDS * 2**times, LONGEST_REPEAT_SECONDS) for times in range(7)]
    assert waits == pytest.approx(expected, abs=1.5)


async def test_what_the_broker_did_not_acknowledge_is_kept_and_said_when_it_is_back(pool: Pool) -> None:
    broker, rows = Broker(), [a_row() for _ in range(3)]
    broker.up = False
    await promise(pool, *rows)
    async with relaying(pool, broker) as relay:
        relay.publish_soon(rows)
        await broker.until(broker.news.is_set)
        assert await left(pool) == [row.id for row in rows]
        assert await oldest_unsent_seconds(pool) > 0
        broker.up = True
        await overdue(pool)
        await gone(pool)
    assert sorted(broker.got) == sorted(row.id for row in rows)


async def test_an_unexpected_fault_does_not_end_the_relay(pool: Pool) -> None:
    broker, first, second = Broker(), a_row(), a_row()
    broker.fault = ValueError()
    await promise(pool, first, second)
    async with relaying(pool, broker) as relay:
        relay.publish_soon([first])
        await broker.until(lambda: broker.fault is None)
        relay.publish_soon([second])
        await broker.until(lambda: second.id in broker.got)
        await overdue(pool)
        await broker.until(lambda: first.id in broker.got)


async def test_a_row_of_a_transaction_that_commits_late_is_not_passed_over(pool: Pool) -> None:
    broker, early, late = Broker(), a_row(), a_row()
    async with relaying(pool, broker), pool.acquire() as slow:
        transaction = slow.transaction()
        await transaction.start()
        await keep(slow, [early])
        await promise(pool, late)
        await overdue(pool)
        await broker.until(lambda: late.id in broker.got)
        await transaction.commit()
        await overdue(pool)
        await broker.until(lambda: early.id in broker.got)


async def test_rows_of_a_rolled_back_transaction_are_never_said(pool: Pool) -> None:
    broker, kept, dropped = Broker(), a_row(), a_row()
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await keep(connection, [dropped])
        await transaction.rollback()
    await promise(pool, kept)
    await overdue(pool)
    async with relaying(pool, broker):
        await gone(pool)
    assert broker.got == [kept.id]


async def test_many_writers_with_commits_and_rollbacks_publish_exactly_what_was_committed(pool: Pool) -> None:
    broker = Broker()
    committed: set[UUID] = set()

    async def writer(number: int, relay: Relay) -> None:
        for place in range(20):
            row = a_row()
            async with pool.acquire() as connection:
                transaction = connection.transaction()
                await transaction.start()
                await keep(connection, [row])
                await asyncio.sleep(0.001 * (place % 5))
                if (number + place) % 5 == 0:
                    await transaction.rollback()
                else:
                    await transaction.commit()
                    committed.add(row.id)
                    if place % 2:
                        relay.publish_soon([row])

    async with relaying(pool, broker) as relay:
        async with asyncio.TaskGroup() as group:
            for number in range(16):
                group.create_task(writer(number, relay))
        await overdue(pool)
        await gone(pool)
    assert set(broker.got) == committed


async def test_two_relays_do_not_sweep_the_same_rows_at_once(pool: Pool) -> None:
    rows = [a_row() for _ in range(700)]
    await promise(pool, *rows)
    await overdue(pool)
    one, other = Broker(), Broker()
    async with relaying(pool, one), relaying(pool, other):
        await gone(pool)
    assert sorted(one.got + other.got) == sorted(row.id for row in rows)


async def test_a_database_that_may_forget_commits_is_refused(database: Callable[[str], Awaitable[str]]) -> None:
    dsn = await database("rules")
    pool = await open_pool(dsn, "rules", most=2)
    name = dsn.rsplit("/", 1)[-1]
    await pool.execute(f'alter database "{name}" set synchronous_commit = off')
    await pool.close()
    with pytest.raises(UnsafeDatabaseError, match="synchronous_commit is off"):
        await open_pool(dsn, "rules", most=2)
