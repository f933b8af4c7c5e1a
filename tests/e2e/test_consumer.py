"""The one consumer, on the real broker: what it does with what it cannot read, and with handlers that fail."""

import asyncio
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from deploy.local.config import HOST, free_port
from deploy.local.stack import KAFKA_BINARY
from shared import consumer as consuming
from shared.consumer import Consumer
from shared.dead_letters import Poison
from shared.events import DISPOSITIONS, DispositionOutcome, DispositionRecorded
from shared.kafka import Publisher, ensure_topics
from shared.outbox import Outgoing, new_id, outgoing
from shared.records import Received


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = Path(tmp_path_factory.mktemp("kafka")), free_port()
    command = [
        str(KAFKA_BINARY),
        "start",
        "--only",
        "kafka",
        "--kafka-port",
        str(port),
        "--data-dir",
        str(folder),
        "--host",
        HOST,
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        asyncio.run(topics_made(f"{HOST}:{port}"))
        yield f"{HOST}:{port}"
    finally:
        process.kill()
        process.wait()


async def topics_made(address: str) -> None:
    async with asyncio.timeout(10):
        while True:
            with suppress(KafkaError, OSError):
                return await ensure_topics(address, partitions=4, replicas=1)
            await asyncio.sleep(0.05)


class Ears:
    """A handler and a park that write down what they get."""

    def __init__(self) -> None:
        self.heard: list[Received] = []
        self.parked: list[Poison] = []
        self.news = asyncio.Event()
        self.fail: Callable[[Sequence[Received]], Exception | None] = lambda _batch: None

    async def handle(self, batch: Sequence[Received]) -> None:
        if error := self.fail(batch):
            raise error
        self.heard += batch
        self.news.set()

    async def park(self, records: Sequence[Poison]) -> None:
        self.parked += records
        self.news.set()

    async def until(self, reached: Callable[[], bool], seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while not reached():
                self.news.clear()
                await self.news.wait()


def disposition(payee: str = "payee") -> Outgoing:
    event = DispositionRecorded(
        disposition_id=new_id(),
        report_id=new_id(),
        payee_token=payee,
        outcome=DispositionOutcome.CANCELLED,
        amount_fen=100,
        recorded_at=datetime.now(UTC),
    )
    return outgoing(event, new_id())


@pytest.fixture
async def ears(broker: str) -> AsyncIterator[Ears]:
    """Yield ears that are on the topic, in a group of their own that begins with what comes from now on."""
    listening = Ears()
    group = f"test-{uuid.uuid4().hex[:8]}"
    consumer = Consumer(broker, group, [DISPOSITIONS], instance="one", handle=listening.handle, park=listening.park)
    publisher = Publisher(broker, "/test")
    consumer.start()
    marker = disposition("marker")
    assert await publisher.send([marker]) == [marker.id]
    await listening.until(lambda: marker.id in {one.event_id for one in listening.heard})
    listening.heard.clear()
    listening.parked.clear()
    yield listening
    await consumer.stop()
    await publisher.stop()


@pytest.fixture
async def publisher(broker: str) -> AsyncIterator[Publisher]:
    made = Publisher(broker, "/test")
    yield made
    await made.stop()


ID = str(new_id()).encode()
TYPE = ("ce_type", DispositionRecorded.type.encode())
GOOD = disposition()
POISON: dict[str, tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]] = {
    "not JSON": (b"payee", b"{", [TYPE, ("ce_id", ID)]),
    "schema: disposition_id: missing": (b"payee", b"{}", [TYPE, ("ce_id", ID)]),
    "the value is null": (b"payee", None, [TYPE, ("ce_id", ID)]),
    "a header is not UTF-8": (b"payee", GOOD.payload, [TYPE, ("ce_id", b"\xff\xfe")]),
    "a header is null or stands twice": (b"payee", GOOD.payload, [TYPE, ("ce_id", ID), ("odd", None)]),
    "unknown version": (b"payee", GOOD.payload, [("ce_type", b"lanjie.disposition.recorded.v9"), ("ce_id", ID)]),
    "unknown type": (b"payee", GOOD.payload, [("ce_type", b"somebody.else.v1"), ("ce_id", ID)]),
    "the key is missing or not the event's own": (b"other", GOOD.payload, [TYPE, ("ce_id", ID)]),
    "ce_id is not a UUID": (b"payee", GOOD.payload, [TYPE, ("ce_id", b"7")]),
    "lanjie.case.changed.v1 does not travel on this topic": (
        b"payee",
        GOOD.payload,
        [("ce_type", b"lanjie.case.changed.v1"), ("ce_id", ID)],
    ),
}


async def test_each_poison_is_parked_once_with_its_reason_and_good_records_go_on(
    broker: str, ears: Ears, publisher: Publisher
) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker)
    await producer.start()
    good = [disposition() for _ in range(len(POISON))]
    try:
        for (key, value, headers), row in zip(POISON.values(), good, strict=True):
            await producer.send_and_wait(DISPOSITIONS, value, key=key, headers=headers)
            assert await publisher.send([row]) == [row.id]
    finally:
        await producer.stop()
    await ears.until(lambda: len(ears.heard) >= len(good) and len(ears.parked) >= len(POISON))
    assert sorted(one.reason for one in ears.parked) == sorted(POISON)
    assert {one.event_id for one in ears.heard} == {row.id for row in good}


async def test_a_handler_that_fails_for_a_passing_reason_is_tried_again_until_it_succeeds(
    ears: Ears, publisher: Publisher
) -> None:
    failures = iter([ConnectionError(), TimeoutError(), None])
    ears.fail = lambda _batch: next(failures, None)
    row = disposition()
    await publisher.send([row])
    await ears.until(lambda: bool(ears.heard))
    assert [one.event_id for one in ears.heard] == [row.id]
    assert ears.parked == []


async def test_a_record_that_fails_alone_is_parked_and_its_neighbours_are_handled(
    ears: Ears, publisher: Publisher
) -> None:
    rows = [disposition() for _ in range(5)]
    bad = rows[2].id
    ears.fail = lambda batch: ValueError() if bad in {one.event_id for one in batch} else None
    await publisher.send(rows)
    await ears.until(lambda: len(ears.heard) >= 4 and bool(ears.parked))
    assert [one.event_id for one in ears.heard] == [row.id for row in rows if row.id != bad]
    assert [one.reason for one in ears.parked] == ["handler failed: ValueError"]


async def test_consumption_halts_instead_of_parking_everything_when_the_handler_is_broken(
    ears: Ears, publisher: Publisher
) -> None:
    ears.fail = lambda _batch: ValueError()
    rows = [disposition() for _ in range(consuming.MOST_FAILURES_IN_A_ROW + 10)]
    await publisher.send(rows)
    await ears.until(lambda: len(ears.parked) >= consuming.MOST_FAILURES_IN_A_ROW)
    assert len(ears.parked) == consuming.MOST_FAILURES_IN_A_ROW


async def test_one_event_that_fails_however_often_it_comes_does_not_halt_consumption(
    ears: Ears, publisher: Publisher
) -> None:
    bad, good = disposition(), disposition()
    ears.fail = lambda batch: ValueError() if bad.id in {one.event_id for one in batch} else None
    for _ in range(consuming.MOST_FAILURES_IN_A_ROW + 5):
        await publisher.send([bad])
    await publisher.send([good])
    await ears.until(lambda: bool(ears.heard))
    assert [one.event_id for one in ears.heard] == [good.id]
    assert {one.sha256 for one in ears.parked} == {ears.parked[0].sha256}, "and is one dead letter"


async def test_a_record_that_cannot_even_be_parked_halts_consumption_instead_of_being_passed_over(
    broker: str, publisher: Publisher
) -> None:
    ears, group = Ears(), f"test-{uuid.uuid4().hex[:8]}"

    async def refuse(_records: Sequence[Poison]) -> None:
        ears.news.set()
        raise ValueError

    consumer = Consumer(broker, group, [DISPOSITIONS], instance="one", handle=ears.handle, park=refuse)
    consumer.start()
    ears.fail = lambda _batch: ValueError()
    await publisher.send([disposition()])
    await ears.until(lambda: consumer.progress.halted)
    assert consumer.progress.state() == "halted"
    await consumer.stop()


async def test_a_row_that_is_too_large_does_not_hold_up_the_others(publisher: Publisher) -> None:
    good, large = disposition(), replace(disposition(), payload=b"x" * 2_000_000)
    assert await publisher.send([large, good]) == [good.id]


async def test_what_was_not_committed_is_heard_again_after_a_restart_and_what_was_is_not(broker: str) -> None:
    group, publisher = f"test-{uuid.uuid4().hex[:8]}", Publisher(broker, "/test")
    first, second = Ears(), Ears()

    def member(ears: Ears) -> Consumer:
        return Consumer(broker, group, [DISPOSITIONS], instance="one", handle=ears.handle, park=ears.park)

    consumer = member(first)
    consumer.start()
    early = disposition()
    await publisher.send([early])
    await first.until(lambda: early.id in {one.event_id for one in first.heard})
    await consumer.stop()
    late = disposition()
    await publisher.send([late])
    consumer = member(second)
    consumer.start()
    await second.until(lambda: late.id in {one.event_id for one in second.heard})
    await consumer.stop()
    await publisher.stop()
    assert early.id not in {one.event_id for one in second.heard}
