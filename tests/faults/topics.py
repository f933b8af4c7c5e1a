"""Topics, read as they lie on the broker."""

from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer


async def everything_on(bootstrap: str, topics: Iterable[str]) -> list[Any]:
    """Return all records of these topics, of all partitions, raw."""
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(list(consumer.assignment()))
        records = []
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                records += batch
        return records
    finally:
        await consumer.stop()
