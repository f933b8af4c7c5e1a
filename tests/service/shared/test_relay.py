"""The relay's order and measure: what the broker never had comes first, repetitions have a bound."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from shared.outbox import REPEAT_AFTER_SECONDS, UNSENT_AFTER_SECONDS, Outgoing, keep, new_id, oldest_unsent_seconds
from shared.postgres import Pool, open_pool
from shared.relay import MOST_HELD_IN_MEMORY, MOST_REPEATS_A_SWEEP, SWEEP_EVERY_SECONDS, Relay


class Broker:
    """The network's edge: writes down when it was sent how much, and takes it or not."""

    def __init__(self) -> None:
        self.up = True
        self.pages: list[tuple[float, list[UUID]]] = []
        self.news = asyncio.Event()

    async def send(self, rows: Sequence[Outgoing]) -> list[UUID]:
        self.pages.append((asyncio.get_running_loop().time(), [row.id for row in rows]))
        self.news.set()
        return [row.id for row in rows] if self.up else []

    def got(self) -> list[UUID]:
        return [event_id for _, page in self.pages for event_id in page]

    async def until_sent(self, number: int) -> None:
        async with asyncio.timeout(60):
            while len(self.got()) < number:
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


def a_question() -> Outgoing:
    return Outgoing(new_id(), "lanjie.reports.v1", "key", "type", b"{}", awaits_answer=True)


async def asked(pool: Pool, number: int) -> list[UUID]:
    """Keep so many rows that await an answer and are overdue."""
    rows = [a_question() for _ in range(number)]
    async with pool.acquire() as connection, connection.transaction():
        await keep(connection, rows)
    ids = [row.id for row in rows]
    await pool.execute("update outbox set due_at = now() - interval '1 second' where id = any($1::uuid[])", ids)
    return ids


async def eventually(pool: Pool, question: str) -> None:
    async with asyncio.timeout(60):
        while not await pool.fetchval(question):  # noqa: ASYNC110 - the answer is in the database
            await asyncio.sleep(0.01)


async def test_of_10000_overdue_questions_a_sweep_repeats_no_more_than_its_bound(pool: Pool) -> None:
    broker, ids = Broker(), await asked(pool, 10_000)
    async with relaying(pool, broker):
        await broker.until_sent(2 * MOST_REPEATS_A_SWEEP)
    (began, first), (then, second), *_ = broker.pages
    assert len(first) == len(second) == MOST_REPEATS_A_SWEEP
    assert then - began >= SWEEP_EVERY_SECONDS * 0.9
    assert len({*first, *second} & {*ids}) == 2 * MOST_REPEATS_A_SWEEP


async def test_rows_the_broker_never_had_are_sent_before_any_repetition_and_without_a_bound(pool: Pool) -> None:
    broker, repeats = Broker(), await asked(pool, 600)
    unsent = await asked(pool, 6 * MOST_REPEATS_A_SWEEP)
    await pool.execute("update outbox set unsent = true where id = any($1::uuid[])", unsent)
    async with relaying(pool, broker):
        await broker.until_sent(len(unsent) + MOST_REPEATS_A_SWEEP)
    sent = broker.got()
    assert {*sent[: len(unsent)]} == {*unsent}
    assert {*sent[len(unsent) : len(unsent) + MOST_REPEATS_A_SWEEP]} < {*repeats}


async def test_a_question_the_broker_did_not_take_is_asked_soon_and_not_counted_as_asked(pool: Pool) -> None:
    broker, row = Broker(), a_question()
    broker.up = False
    async with pool.acquire() as connection, connection.transaction():
        await keep(connection, [row])
    async with relaying(pool, broker) as relay:
        relay.publish_soon([row])
        await eventually(pool, "select unsent from outbox")
        soon = await pool.fetchval("select extract(epoch from due_at - now())::float8 from outbox")
        assert soon <= UNSENT_AFTER_SECONDS
        assert await oldest_unsent_seconds(pool) > 0
        broker.up = True
        await pool.execute("update outbox set due_at = now()")
        await eventually(pool, "select not unsent from outbox")
        await broker.until_sent(2)
    [left] = await pool.fetch("select attempts, extract(epoch from due_at - now())::float8 as due from outbox")
    assert left["attempts"] == 0
    assert UNSENT_AFTER_SECONDS < left["due"] <= REPEAT_AFTER_SECONDS


async def test_what_memory_does_not_hold_is_marked_so_that_the_sweep_sends_it_first(pool: Pool) -> None:
    broker, [beyond] = Broker(), await asked(pool, 1)
    late = Outgoing(beyond, "lanjie.reports.v1", "key", "type", b"{}", awaits_answer=True)
    async with relaying(pool, broker) as relay:
        relay.publish_soon([*[a_question()] * MOST_HELD_IN_MEMORY, late])
        await eventually(pool, "select unsent from outbox")


async def test_an_answer_that_is_not_kept_is_published_once_and_touches_no_row(pool: Pool) -> None:
    broker = Broker()
    answer = Outgoing(new_id(), "lanjie.verdicts.v1", "key", "type", b"{}", kept=False)
    stored = Outgoing(answer.id, "lanjie.verdicts.v1", "key", "type", b"{}")
    async with pool.acquire() as connection, connection.transaction():
        await keep(connection, [answer])
        assert await connection.fetchval("select count(*) from outbox") == 0
        await keep(connection, [stored])
    async with relaying(pool, broker) as relay:
        relay.publish_soon([answer])
        await broker.until_sent(1)
    assert broker.got() == [answer.id]
    assert await pool.fetchval("select count(*) from outbox") == 1
