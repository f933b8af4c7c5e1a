"""The express lane, on the real broker: what it takes ahead, and what it leaves to the main reader."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

import pytest
from aiokafka import TopicPartition as Place

from shared import express
from shared.consumer import Consumer
from shared.events import DISPOSITIONS, DispositionRecorded, Event
from shared.express import ExpressLane
from shared.kafka import Publisher
from shared.outbox import Outgoing
from shared.probing import Tuning
from shared.progress import Progress
from tests.e2e.test_consumer import Ears, broker, disposition

__all__ = ["broker"]

PLACES = [Place(DISPOSITIONS, number) for number in range(4)]
BACKLOG = dict.fromkeys(PLACES, 10_000)
LATE_SECONDS = 60.0


def since(event: Event) -> datetime | None:
    return event.recorded_at if isinstance(event, DispositionRecorded) else None


@pytest.fixture
async def publisher(broker: str) -> AsyncIterator[Publisher]:
    made = Publisher(broker, "/test")
    yield made
    await made.stop()


@pytest.fixture
async def ears() -> Ears:
    return Ears()


@pytest.fixture
async def lane(broker: str, ears: Ears) -> AsyncIterator[ExpressLane]:
    made = ExpressLane(broker, "test", {DISPOSITIONS: since}, ears.handle, Progress())
    yield made
    await made.close()


async def published(publisher: Publisher, number: int) -> Sequence[Outgoing]:
    rows = [disposition(f"payee-{uuid.uuid4()}") for _ in range(number)]
    for start in range(0, number, 500):
        page = rows[start : start + 500]
        assert len(await publisher.send(page)) == len(page)
    return rows


def ids(ears: Ears) -> set[uuid.UUID]:
    return {one.event_id for one in ears.heard}


async def test_a_record_that_fails_does_not_leave_its_neighbours_behind_the_backlog(
    lane: ExpressLane, ears: Ears, publisher: Publisher
) -> None:
    rows = await published(publisher, 20)
    bad, good = rows[10].id, {row.id for row in rows if row.id != rows[10].id}
    ears.fail = lambda batch: ValueError() if bad in {one.event_id for one in batch} else None
    await lane.steer(BACKLOG, LATE_SECONDS)
    await ears.until(lambda: good <= ids(ears))
    assert bad not in ids(ears)


async def test_what_the_main_reader_is_past_is_not_taken_again(
    lane: ExpressLane, ears: Ears, publisher: Publisher
) -> None:
    past = await published(publisher, 4000)
    await lane.steer(dict.fromkeys(PLACES[:3], 0) | {PLACES[3]: 10_000}, LATE_SECONDS)
    [*_, last] = await published(publisher, 200)
    await ears.until(lambda: last.id in ids(ears))
    known = {row.id for row in past}
    again = [one for one in ears.heard if one.event_id in known and cast("Any", one.record).partition < 3]
    assert len(again) <= 3 * express.SHORT_LAG


async def test_a_flood_of_fresh_records_is_not_read_from_its_beginning(
    lane: ExpressLane, ears: Ears, publisher: Publisher
) -> None:
    flood = await published(publisher, 3 * express.MOST_WAITING)
    await lane.steer(BACKLOG, LATE_SECONDS)
    await ears.until(lambda: flood[-1].id in ids(ears))
    assert len(ears.heard) <= express.MOST_WAITING + express.MOST_READ


async def test_a_record_on_a_topic_made_anew_is_not_mistaken_for_the_one_that_had_its_offset(
    lane: ExpressLane, ears: Ears, publisher: Publisher
) -> None:
    [row] = await published(publisher, 1)
    await lane.steer(BACKLOG, LATE_SECONDS)
    await ears.until(lambda: row.id in ids(ears))
    [taken] = [one.record for one in ears.heard if one.event_id == row.id]
    await lane.close()
    another = replace(cast("Any", taken), timestamp=cast("Any", taken).timestamp + 60_000)
    assert lane.not_yet_handled([another]) == [another]
    assert lane.not_yet_handled([taken]) == []


async def test_a_consumer_that_halted_takes_nothing_ahead_either(broker: str, publisher: Publisher) -> None:
    ears = Ears()

    async def refuse(_records: object) -> None:
        raise ValueError

    await published(publisher, 2 * express.LONG_LAG)
    late: set[uuid.UUID] = set()
    ears.fail = lambda batch: None if late >= {one.event_id for one in batch} else ValueError()
    consumer = Consumer(
        broker,
        f"test-{uuid.uuid4().hex[:8]}",
        [DISPOSITIONS],
        instance="one",
        handle=ears.handle,
        park=refuse,
        tuning=Tuning({DISPOSITIONS: since}),
    )
    consumer.start()
    async with asyncio.timeout(60):
        while not (consumer.progress.halted and consumer.progress.lag > express.LONG_LAG):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    late |= {row.id for row in await published(publisher, 5)}
    with pytest.raises(TimeoutError):
        await ears.until(lambda: bool(ears.heard), seconds=4)  # several probes
    await consumer.stop()
