"""The one safe way to publish, against a real broker that is stopped, lacks topics, or takes it all."""

import asyncio
import signal
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psutil
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.local.config import HOST, free_port
from deploy.local.stack import KAFKA_BINARY
from shared.events import DISPOSITIONS, FEEDBACK, ORDERS, REPORTS
from shared.kafka import BATCH_BYTES, Publisher, ensure_topics
from shared.outbox import Outgoing, new_id

PARTITIONS = 4


@dataclass(frozen=True, slots=True)
class Broker:
    address: str
    process: "subprocess.Popen[bytes]"

    async def make_topics(self) -> None:
        await ensure_topics(self.address, partitions=PARTITIONS, replicas=1)

    async def records(self, topic: str, number: int) -> dict[int, list[tuple[str, UUID]]]:
        """Return the keys and ids of so many records of a topic, by partition."""
        found: dict[int, list[tuple[str, UUID]]] = defaultdict(list)
        reader = AIOKafkaConsumer(topic, bootstrap_servers=self.address, auto_offset_reset="earliest")
        await reader.start()
        try:
            async with asyncio.timeout(60):
                for _ in range(number):
                    record = await reader.getone()
                    event_id = UUID(dict(record.headers)["ce_id"].decode())
                    found[record.partition].append((record.key.decode(), event_id))
        finally:
            await reader.stop()
        return found


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    port = free_port()
    where = ("--kafka-port", str(port), "--data-dir", str(Path(tmp_path_factory.mktemp("kafka"))), "--host", HOST)
    process = subprocess.Popen(
        [str(KAFKA_BINARY), "start", "--only", "kafka", *where], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    running = Broker(f"{HOST}:{port}", process)
    try:
        asyncio.run(_until_up(running))
        yield running
    finally:
        process.kill()
        process.wait()


async def _until_up(broker: Broker) -> None:
    async with asyncio.timeout(60):
        while True:
            with suppress(KafkaError, OSError):
                return await broker.make_topics()
            await asyncio.sleep(0.05)


@pytest.fixture
async def publisher(broker: Broker) -> AsyncIterator[Publisher]:
    made = Publisher(broker.address, "/test", broker.make_topics)
    yield made
    await made.stop()


def a_row(topic: str, key: str = "key", size: int = 2) -> Outgoing:
    return Outgoing(new_id(), topic, key, "type", b"x" * size)


async def sent(publisher: Publisher, rows: list[Outgoing]) -> None:
    """Send rows until the broker has them all; say so where it takes too long."""
    async with asyncio.timeout(90):
        while {*await publisher.send(rows)} != {row.id for row in rows}:
            pass


async def test_rows_of_a_key_share_a_partition_and_keep_their_order_over_many_batches(
    broker: Broker, publisher: Publisher
) -> None:
    rows = [a_row(REPORTS, f"payee-{place % 37}", size=4000) for place in range(900)]
    assert sum(len(row.payload) for row in rows) > BATCH_BYTES * PARTITIONS, "some partition needs a second batch"
    assert {*await publisher.send(rows)} == {row.id for row in rows}
    found = await broker.records(REPORTS, len(rows))
    homes = defaultdict(set)
    for partition, records in found.items():
        for key, _ in records:
            homes[key].add(partition)
    assert {len(partitions) for partitions in homes.values()} == {1}
    assert len(found) == PARTITIONS
    for key in homes:
        in_order = [event_id for records in found.values() for one, event_id in records if one == key]
        assert in_order == [row.id for row in rows if row.key == key]


async def test_a_row_that_fits_nowhere_does_not_hold_up_the_others(publisher: Publisher) -> None:
    small, huge, large = a_row(ORDERS), a_row(ORDERS, size=1_000_001), a_row(ORDERS, size=900_000)
    assert {*await publisher.send([small, huge, large])} == {small.id, large.id}


async def test_sends_at_the_same_time_are_all_acknowledged(publisher: Publisher) -> None:
    pages = [[a_row(FEEDBACK, str(place)) for place in range(50)] for _ in range(12)]
    said = await asyncio.gather(*(publisher.send(page) for page in pages))
    assert [{*ids} for ids in said] == [{row.id for row in page} for page in pages]


async def test_a_publisher_whose_broker_hangs_says_so_and_works_again_with_a_new_producer(
    broker: Broker, publisher: Publisher
) -> None:
    before, during, after = a_row(ORDERS), a_row(ORDERS), a_row(ORDERS)
    await sent(publisher, [before])
    tasks = len(asyncio.all_tasks())
    broker.process.send_signal(signal.SIGSTOP)
    try:
        async with asyncio.timeout(20):
            while psutil.Process(broker.process.pid).status() != psutil.STATUS_STOPPED:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await publisher.send([during]) == []
    finally:
        broker.process.send_signal(signal.SIGCONT)
    await sent(publisher, [after])
    async with asyncio.timeout(30):
        while len(asyncio.all_tasks()) > tasks:  # noqa: ASYNC110 - what the old producer was doing ends by itself
            await asyncio.sleep(0.05)


async def test_a_topic_that_was_deleted_is_made_again_and_the_rows_arrive(broker: Broker, publisher: Publisher) -> None:
    lost, again = a_row(DISPOSITIONS), a_row(DISPOSITIONS)
    await sent(publisher, [lost])
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    await admin.delete_topics([DISPOSITIONS])
    await admin.close()
    await sent(publisher, [again])
    assert again.id in {
        event_id for records in (await broker.records(DISPOSITIONS, 1)).values() for _, event_id in records
    }
