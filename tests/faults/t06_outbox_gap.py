"""Writers whose transactions commit late or not at all: what is published is exactly what was committed."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from aiokafka import AIOKafkaConsumer

from shared.events import DISPOSITIONS, DispositionOutcome, DispositionRecorded
from shared.kafka import Publisher
from shared.outbox import Outgoing, keep, new_id, outgoing
from shared.postgres import Pool, open_pool
from shared.relay import Relay
from tests.faults.broker import own_broker
from tests.faults.database import own_server
from tests.faults.play import Outcome, Play

SEEDS: Final = (6,)
WRITERS: Final = 32
ROLLED_BACK_SHARE: Final = 0.2
FORGOTTEN_SHARE: Final = 0.5
"""Of the committed, as if their process had died before it published: the sweep has to find them."""

DRAINED_WITHIN_SECONDS: Final = 60.0


@dataclass(slots=True)
class _World:
    """One database, two relays as two replicas have them, and what became of each row."""

    pool: Pool
    relays: list[Relay]
    dice: random.Random
    longest_seconds: float
    committed: set[UUID] = field(default_factory=set)
    rolled_back: set[UUID] = field(default_factory=set)


async def play(run: Play) -> Outcome:
    """Write, wait until the outbox is empty, and read the topic from its beginning."""
    transactions, longest = (30, 2.0) if run.long else (12, 0.3)
    dice = random.Random(run.seed)  # noqa: S311 - a test's dice
    async with own_server(run.folder) as server, own_broker(run.folder / "kafka") as address:
        pool = await open_pool(await server.clone("intake"), "intake", most=WRITERS + 8)
        publishers = [Publisher(address, "/lanjie/test") for _ in range(2)]
        world = _World(pool, [Relay(pool, one.send) for one in publishers], dice, longest)
        for relay in world.relays:
            relay.start()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(WRITERS):
                    group.create_task(_write(world, transactions))
            async with asyncio.timeout(DRAINED_WITHIN_SECONDS):
                while await pool.fetchval("select count(*) from outbox"):  # noqa: ASYNC110 - the relays empty it
                    await asyncio.sleep(0.1)
            published = await _published(address)
        finally:
            for relay in world.relays:
                await relay.stop()
            for publisher in publishers:
                await publisher.stop()
            await pool.close()
    return _compared(world, published)


async def _write(world: _World, transactions: int) -> None:
    for _ in range(transactions):
        rows = [_promise() for _ in range(world.dice.randint(1, 3))]
        ids = {row.id for row in rows}
        dropped = world.dice.random() < ROLLED_BACK_SHARE
        async with world.pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await keep(connection, rows)
            await asyncio.sleep(world.dice.uniform(0, world.longest_seconds))  # as long as it takes, not until
            await (transaction.rollback() if dropped else transaction.commit())
        (world.rolled_back if dropped else world.committed).update(ids)
        if not dropped and world.dice.random() >= FORGOTTEN_SHARE:
            world.dice.choice(world.relays).publish_soon(rows)


def _promise() -> Outgoing:
    event = DispositionRecorded(
        disposition_id=new_id(),
        report_id=new_id(),
        payee_token="token",
        outcome=DispositionOutcome.CANCELLED,
        amount_fen=1,
        recorded_at=datetime.now(UTC),
    )
    return outgoing(event, event.disposition_id)


async def _published(address: str) -> Counter[UUID]:
    """Return how often each id lies on the topic, as a consumer without a group reads it."""
    consumer = AIOKafkaConsumer(
        DISPOSITIONS, bootstrap_servers=address, auto_offset_reset="earliest", enable_auto_commit=False
    )
    found: Counter[UUID] = Counter()
    await consumer.start()
    try:
        partitions = list(consumer.assignment())
        ends = await consumer.end_offsets(partitions)
        async with asyncio.timeout(DRAINED_WITHIN_SECONDS):
            while any([await consumer.position(one) < ends[one] for one in partitions]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found.update(UUID(dict(record.headers)["ce_id"].decode()) for record in records)
    finally:
        await consumer.stop()
    return found


def _compared(world: _World, published: Counter[UUID]) -> Outcome:
    outcome = Outcome(operations=len(world.committed) + len(world.rolled_back))
    outcome.lost = len(world.committed - published.keys())
    if spoken := world.rolled_back & published.keys():
        outcome.broken.append(f"{len(spoken)} rows of transactions that were rolled back are published")
    if invented := published.keys() - world.committed - world.rolled_back:
        outcome.broken.append(f"{len(invented)} published ids were never written")
    outcome.figures = {
        "committed": len(world.committed),
        "rolled back": len(world.rolled_back),
        "sent again": published.total() - len(published),
    }
    return outcome
