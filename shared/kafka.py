"""Kafka: the one safe way to publish, and the topics."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID
from zlib import crc32

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    LeaderNotAvailableError,
    NoError,
    NotLeaderForPartitionError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.producer.message_accumulator import BatchBuilder

from shared.broker_tls import Tls, client_options
from shared.events import TALLIES, TOPICS, dead_letters
from shared.outbox import Outgoing
from shared.tracing import named, on
from shared.tracing_messages import marked, note_sent

log = structlog.get_logger()

SEND_TIMEOUT_SECONDS: Final = 10.0
MOST_BYTES: Final = 1_000_000
"""A little under what aiokafka and Kafka take by default (`max.request.size`, `message.max.bytes`)."""

BATCH_BYTES: Final = 500_000
"""A broker takes one batch a partition in a request, and has one request of ours in hand at a time: with the
default of 16 kB a page of verdicts would be dozens of them, one after the other."""

STOP_SECONDS: Final = 2.0
RESTORE_EVERY_SECONDS: Final = 5.0
MISSING: Final = (UnknownTopicOrPartitionError, NotLeaderForPartitionError, LeaderNotAvailableError)
"""How a producer says that a topic is not there (any more)."""


class Publisher:
    """Publishes with `acks=all` and idempotence, and builds a new producer when the old one is stuck.

    `restore` creates the topics that are missing; it is asked when a topic turns out to be gone.
    """

    def __init__(
        self,
        bootstrap: str,
        source: str,
        restore: Callable[[], Awaitable[None]] | None = None,
        tls: Tls | None = None,
    ) -> None:
        self._bootstrap = bootstrap
        self._tls = tls
        self._common = [
            ("ce_specversion", b"1.0"),
            ("ce_source", source.encode()),
            ("content-type", b"application/json"),
        ]
        self._restore = restore
        self._restore_at = 0.0
        self._failing_since = 0.0
        self._producer: AIOKafkaProducer | None = None
        self._building = asyncio.Lock()

    async def send(self, rows: Sequence[Outgoing]) -> list[UUID]:
        """Publish rows; return the ids the broker acknowledged. A failure is logged, never raised.

        Rows of one key come out in the order they are given in.
        """
        if not on():
            return await self._send(rows)
        began, sent = time.time_ns(), marked(rows)
        said = await self._send(sent)
        note_sent(rows, sent, said, began)
        return said

    async def _send(self, rows: Sequence[Outgoing]) -> list[UUID]:
        said: list[UUID] = []
        producer = None
        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                producer = await self._ready()
                topics: dict[str, list[Outgoing]] = defaultdict(list)
                for row in rows:
                    if fits(row):
                        topics[row.topic].append(row)
                await _all(self._send_to(producer, topic, page, said) for topic, page in topics.items())
        except (KafkaError, OSError, TimeoutError) as error:
            self._failing_since = self._failing_since or time.monotonic()
            await self._give_up(producer, error)
        if said:
            self._failing_since = 0.0
        return said

    def failing_seconds(self) -> float:
        """How long every attempt to publish has failed; 0 while none has."""
        return time.monotonic() - self._failing_since if self._failing_since else 0.0

    async def stop(self) -> None:
        """Close the connection."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _end(producer)

    async def _send_to(
        self, producer: AIOKafkaProducer, topic: str, rows: Sequence[Outgoing], said: list[UUID]
    ) -> None:
        """Share the rows of a topic out among its partitions, by key, as librdkafka's `consistent` does."""
        partitions = len(await producer.partitions_for(topic))
        shares: dict[int, list[Outgoing]] = defaultdict(list)
        for row in rows:
            shares[crc32(row.key.encode()) % partitions].append(row)
        await _all(self._send_share(producer, topic, number, share, said) for number, share in shares.items())

    async def _send_share(
        self, producer: AIOKafkaProducer, topic: str, partition: int, rows: Sequence[Outgoing], said: list[UUID]
    ) -> None:
        """Send a partition's rows in as few batches as hold them, each after the one before is there."""
        while rows:
            batch = producer.create_batch()
            filled = 0
            while filled < len(rows) and self._append(batch, rows[filled]):
                filled += 1
            batch.close()
            await (await producer.send_batch(batch, topic, partition=partition))
            said += [row.id for row in rows[:filled]]
            rows = rows[filled:]

    def _append(self, batch: BatchBuilder, row: Outgoing) -> bool:
        """Add a row to a batch, if there is room; in an empty one there always is."""
        headers = [
            *self._common,
            ("ce_id", str(row.id).encode()),
            ("ce_type", row.type.encode()),
            ("ce_time", _minted_at(row.id).encode()),
        ]
        if row.traceparent:
            headers.append(("traceparent", row.traceparent.encode()))
        if row.reason:
            headers.append(("reason", row.reason.encode()))
        added = batch.append(timestamp=None, key=row.key.encode(), value=row.payload, headers=headers)
        return added is not None

    async def _ready(self) -> AIOKafkaProducer:
        async with self._building:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap,
                    acks="all",
                    enable_idempotence=True,
                    request_timeout_ms=8000,
                    max_batch_size=BATCH_BYTES,
                    **client_options(self._tls),
                )
                try:
                    await producer.start()
                except BaseException:
                    await _end(producer)
                    raise
                self._producer = producer
            return self._producer

    async def _give_up(self, producer: AIOKafkaProducer | None, error: BaseException) -> None:
        """Let go of a producer that failed, unless another send has; the next send builds a new one."""
        log.warning("publishing_failed", error=type(error).__name__)
        if producer is not None and producer is self._producer:
            await self.stop()
        if self._restore and isinstance(error, MISSING) and time.monotonic() >= self._restore_at:
            self._restore_at = time.monotonic() + RESTORE_EVERY_SECONDS
            try:
                async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                    await self._restore()
                log.warning("topics_restored")
            except (KafkaError, OSError, TimeoutError, UnsafeBrokerError) as failure:
                log.warning("topics_missing", error=type(failure).__name__)


async def _all(sends: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run them side by side to the end, whichever fails; then raise the first failure."""
    for result in await asyncio.gather(*sends, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def fits(row: Outgoing) -> bool:
    """Whether a row fits into a request; one that does not must not hold up the others of its page."""
    if len(row.payload) <= MOST_BYTES:
        return True
    log.error("event_too_large", type=row.type, bytes=len(row.payload), **named(row.traceparent))
    return False


def _minted_at(event_id: UUID) -> str:
    """A UUIDv7 holds the millisecond it was minted in its first 48 bits."""
    return datetime.fromtimestamp((event_id.int >> 80) / 1000, UTC).isoformat(timespec="milliseconds")


async def _end(producer: AIOKafkaProducer) -> None:
    """Stop a producer. One that is stuck is cut off: its own `stop` would wait for what it cannot deliver."""
    with suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await producer.stop()
            return
    with suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await producer.client.close()
            await producer._sender.close()  # noqa: SLF001 - or its task would try for ever
    producer._message_accumulator.fail_all(KafkaConnectionError("cut off"))  # noqa: SLF001 - or its rows would wait


async def _quietly_close(admin: AIOKafkaAdminClient) -> None:
    with suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await admin.close()


KEPT: Final = {TALLIES: {"retention.ms": "86400000"}}
"""A tally is said every minute, and only the newest is of use."""


class UnsafeBrokerError(Exception):
    """The brokers would lose what they have acknowledged. The message says which setting, why, and what to do."""


async def ensure_topics(bootstrap: str, *, partitions: int, replicas: int, tls: Tls | None = None) -> None:
    """Create the topics that are missing, dead letters included, in `replicas` copies; look at those that are there.

    Of three copies two must have a record before it is acknowledged (`min.insync.replicas`), so one broker may be
    lost without a record or a pause. Raises `UnsafeBrokerError` for a topic that keeps fewer copies than asked for
    or acknowledges too early; `KafkaError` where the brokers cannot do it (yet).
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **client_options(tls))
    try:
        await admin.start()
        there = set(await admin.list_topics())
        counts = dict.fromkeys(TOPICS, partitions) | {dead_letters(topic): 1 for topic in TOPICS}
        settings = {"min.insync.replicas": str(in_sync(replicas))}
        wanted = [
            NewTopic(name, n, replicas, topic_configs=settings | KEPT.get(name, {}))
            for name, n in counts.items()
            if name not in there
        ]
        if wanted:
            _raise_failures(await admin.create_topics(wanted))
        await _refuse_unsafe(admin, sorted(counts), replicas)
    finally:
        await _quietly_close(admin)


def in_sync(replicas: int) -> int:
    """Return how many of so many copies must have a record before it is acknowledged."""
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
            if int(values["min.insync.replicas"]) < in_sync(replicas):
                raise UnsafeBrokerError(
                    f"refusing to start: topic {name} acknowledges records that {values['min.insync.replicas']} broker "
                    f"has; set its min.insync.replicas to {in_sync(replicas)} with kafka-configs"
                )
            if values.get("unclean.leader.election.enable") == "true":
                raise UnsafeBrokerError(
                    f"refusing to start: topic {name} lets a broker lead that lacks acknowledged records; set its "
                    "unclean.leader.election.enable to false with kafka-configs"
                )
