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
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, NoError, TopicAlreadyExistsError, for_code

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


class UnsafeBrokerError(Exception):
    """The brokers would lose what they have acknowledged. The message says which setting, why, and what to do."""


async def ensure_topics(bootstrap: str, *, partitions: int, replicas: int) -> None:
    """Create the topics that are missing, dead letters included, in `replicas` copies; look at those that are there.

    Of three copies two must have a record before it is acknowledged (`min.insync.replicas`), so one broker may be
    lost without a record or a pause. Raises `UnsafeBrokerError` for a topic that keeps fewer copies than asked for
    or acknowledges too early; `KafkaError` where the brokers cannot do it (yet).
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        there = set(await admin.list_topics())
        counts = dict.fromkeys(TOPICS, partitions) | {dead_letters(topic): 1 for topic in TOPICS}
        settings = {"min.insync.replicas": str(_in_sync(replicas))}
        wanted = [
            NewTopic(name, n, replicas, topic_configs=settings) for name, n in counts.items() if name not in there
        ]
        if wanted:
            _raise_failures(await admin.create_topics(wanted))
        await _refuse_unsafe(admin, sorted(counts), replicas)
    finally:
        await _quietly_stop(admin)


def _in_sync(replicas: int) -> int:
    return max(1, replicas - 1)


def _raise_failures(answer: Any) -> None:  # noqa: ANN401 - a response of the protocol, in any of its versions
    for name, code, *_ in answer.topic_errors:
        error = for_code(code)
        if error not in (NoError, TopicAlreadyExistsError):
            raise error(f"topic {name}")


async def _refuse_unsafe(admin: AIOKafkaAdminClient, topics: Sequence[str], replicas: int) -> None:
    for topic in await admin.describe_topics(list(topics)):
        copies = min((len(partition["replicas"]) for partition in topic["partitions"]), default=replicas)
        if copies < replicas:
            raise UnsafeBrokerError(
                f"refusing to start: topic {topic['topic']} keeps {copies} of {replicas} copies (KAFKA_REPLICAS); "
                "give it more with kafka-reassign-partitions, or say KAFKA_REPLICAS for what you mean to have"
            )
    if replicas == 1:
        return
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
    for answer in await admin.describe_configs(resources):
        for _, _, _, name, entries in answer.resources:
            values = {entry[0]: entry[1] for entry in entries}
            if int(values["min.insync.replicas"]) < _in_sync(replicas):
                raise UnsafeBrokerError(
                    f"refusing to start: topic {name} acknowledges records that {values['min.insync.replicas']} broker "
                    f"has; set its min.insync.replicas to {_in_sync(replicas)} with kafka-configs"
                )
            if values.get("unclean.leader.election.enable") == "true":
                raise UnsafeBrokerError(
                    f"refusing to start: topic {name} lets a broker lead that lacks acknowledged records; set its "
                    "unclean.leader.election.enable to false with kafka-configs"
                )
