"""A consumer's seat, on the real broker: what it counts as waiting, and what it commits."""

import uuid
from typing import cast

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.events import DISPOSITIONS
from shared.kafka import Publisher
from shared.progress import Progress
from shared.records import Record
from shared.seat import Seat
from tests.e2e.test_consumer import broker, disposition

__all__ = ["broker"]


def record_at(offset: int, *, partition: int) -> Record:
    return cast("Record", ConsumerRecord(DISPOSITIONS, partition, offset, 0, 0, None, None, None, 0, 0, ()))


async def test_on_a_topic_made_anew_what_waits_is_seen_and_its_new_offsets_are_committed(broker: str) -> None:
    publisher, topic = Publisher(broker, "/test"), TopicPartition(DISPOSITIONS, 0)
    await publisher.send([disposition(f"payee-{number}") for number in range(20)])
    await publisher.stop()
    async with AIOKafkaConsumer(bootstrap_servers=broker, group_id=f"test-{uuid.uuid4().hex[:8]}") as consumer:
        consumer.assign([topic])
        end = (await consumer.end_offsets([topic]))[topic]
        seat = Seat("test", Progress(), lambda: None)
        seat.take(consumer)
        before, gone = record_at(end + 1000, partition=0), record_at(7, partition=9)
        seat.finish([before], seat.begin([before]))
        assert await seat.lags() == {topic: end}
        seat.begin([gone])
        again = record_at(0, partition=0)
        seat.begin([again])
        assert await seat.lags() == {topic: end}
        await seat.commit()
        assert await consumer.committed(topic) == 0
