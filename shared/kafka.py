"""Kafka: the one safe way to publish, and the topics."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from shared.events import TOPICS, dead_letters
from shared.outbox import Outgoing

log = structlog.get_logger()

SEND_TIMEOUT_SECONDS: Final = 10.0
MOST_BYTES: Final = 1_000_000
"""A little under what aiokafka and Kafka take by default (`max.request.size`, `message.max.bytes`)."""


class Publisher:
    """Publishes with `acks=all` and idempotence, and builds a new producer when the old one is stuck."""

    def __init__(self, bootstrap: str, source: str) -> None:
        self._bootstrap = bootstrap
        self._source = source.encode()
        self._producer: AIOKafkaProducer | None = None
        self._building = asyncio.Lock()

    async def send(self, rows: Sequence[Outgoing]) -> list[UUID]:
        """Publish rows; return the ids the broker acknowledged. A failure is logged, never raised."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                producer = await self._ready()
                fitting = [row for row in rows if fits(row)]
                futures = [await producer.send(**self._record(row)) for row in fitting]
                results = await asyncio.gather(*futures, return_exceptions=True)
        except (KafkaError, OSError, TimeoutError) as error:
            await self._discard(error)
            return []
        failed = [result for result in results if isinstance(result, BaseException)]
        if failed:
            await self._discard(failed[0])
        return [row.id for row, result in zip(fitting, results, strict=True) if not isinstance(result, BaseException)]

    async def stop(self) -> None:
        """Close the connection."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _quietly_stop(producer)

    def _record(self, row: Outgoing) -> dict[str, Any]:
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", str(row.id).encode()),
            ("ce_type", row.type.encode()),
            ("ce_source", self._source),
            ("ce_time", _minted_at(row.id).encode()),
            ("content-type", b"application/json"),
        ]
        if row.traceparent:
            headers.append(("traceparent", row.traceparent.encode()))
        if row.reason:
            headers.append(("reason", row.reason.encode()))
        return {"topic": row.topic, "key": row.key.encode(), "value": row.payload, "headers": headers}

    async def _ready(self) -> AIOKafkaProducer:
        async with self._building:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True, request_timeout_ms=8000
                )
                try:
                    await producer.start()
                except BaseException:
                    await _quietly_stop(producer)
                    raise
                self._producer = producer
            return self._producer

    async def _discard(self, error: BaseException) -> None:
        log.warning("publishing_failed", error=type(error).__name__)
        await self.stop()


def fits(row: Outgoing) -> bool:
    """Whether a row fits into a request; one that does not must not hold up the others of its page."""
    if len(row.payload) <= MOST_BYTES:
        return True
    log.error("event_too_large", type=row.type, bytes=len(row.payload))
    return False


def _minted_at(event_id: UUID) -> str:
    """A UUIDv7 holds the millisecond it was minted in its first 48 bits."""
    return datetime.fromtimestamp((event_id.int >> 80) / 1000, UTC).isoformat(timespec="milliseconds")


async def _quietly_stop(client: AIOKafkaProducer | AIOKafkaAdminClient) -> None:
    stop = client.stop if isinstance(client, AIOKafkaProducer) else client.close
    with suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(2):
            await stop()


async def create_topics(bootstrap: str, *, partitions: int, replicas: int) -> None:
    """Create the topics that are missing, dead letters included."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        there = set(await admin.list_topics())
        wanted = [NewTopic(topic, partitions, replicas) for topic in TOPICS if topic not in there]
        wanted += [NewTopic(dead_letters(topic), 1, replicas) for topic in TOPICS if dead_letters(topic) not in there]
        if wanted:
            with suppress(TopicAlreadyExistsError):
                await admin.create_topics(wanted)
    finally:
        await _quietly_stop(admin)
