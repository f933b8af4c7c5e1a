"""Kafka: the one safe way to publish and the one safe way to subscribe.

A record is consumed when its transaction is committed, never before: the offset is committed by hand
after the handler returns. What fails for a passing reason is tried again in place; what cannot be read,
or fails alone for a lasting reason, is parked in the dead letters once, and the rest goes on.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain, repeat
from typing import Any, Final, cast
from uuid import UUID

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import IllegalStateError, KafkaError, TopicAlreadyExistsError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage
from faststream.message import StreamMessage
from pydantic import ValidationError

from shared.events import EVENTS, TOPICS, Event, dead_letters
from shared.outbox import Outgoing, Poison
from shared.postgres import TRANSIENT

log = structlog.get_logger()

Record = ConsumerRecord[bytes | None, bytes | None]

SEND_TIMEOUT_SECONDS: Final = 10.0
BATCH_WAIT_MS: Final = 5
"""FastStream sleeps this long again after an empty poll, so it is also a latency."""
BATCH_MOST: Final = 500
IDLE_FETCH_SECONDS: Final = 0.005
HANDLER_LIMIT_MS: Final = 600_000
RETRY_SECONDS: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
PROBE_EVERY_SECONDS: Final = 1.0
STUCK_AFTER_SECONDS: Final = 60.0
PROBE_TIMEOUT_SECONDS: Final = 5.0
MOST_FAILURES_IN_A_ROW: Final = 20
"""So many records failing one after the other mean that we are wrong, not they: consumption halts, and
nothing more is parked. Mend the defect and restart; the records are still on the topic."""


@dataclass(frozen=True, slots=True)
class Received:
    """An event as it came: `event_id` is the CloudEvents id, the same at every repetition."""

    event: Event
    event_id: UUID
    traceparent: str
    record: Record


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
                futures = [await producer.send(**self._record(row)) for row in rows]
                results = await asyncio.gather(*futures, return_exceptions=True)
        except (KafkaError, OSError, TimeoutError) as error:
            await self._discard(error)
            return []
        failed = [result for result in results if isinstance(result, BaseException)]
        if failed:
            await self._discard(failed[0])
        return [row.id for row, result in zip(rows, results, strict=True) if not isinstance(result, BaseException)]

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


@dataclass(slots=True)
class Progress:
    """What readiness asks of a consumer: is it in its group, and does it get on?"""

    assigned: bool = False
    reachable: bool = False
    halted: bool = False
    lag: int = 0
    handled: int = 0
    idle_since: float = 0.0
    """Event-loop time since which there was something to do and nothing got done; 0 while all is well."""

    def stuck_seconds(self) -> float:
        """How long records have been waiting without one being handled."""
        return asyncio.get_running_loop().time() - self.idle_since if self.idle_since else 0.0

    def state(self) -> str:
        """Return one word for the health document."""
        if self.halted or self.stuck_seconds() > STUCK_AFTER_SECONDS / 4:
            return "stuck"
        if not self.reachable:
            return "unreachable"
        return "ok" if self.assigned else "joining"


class Consumer:
    """Consumes topics in a group: in batches, at least once, in the order of each partition.

    `handle` gets the readable records of a batch and returns when they are committed. `park` gets the rest.
    """

    def __init__(
        self,
        bootstrap: str,
        group: str,
        topics: Sequence[str],
        *,
        handle: Callable[[Sequence[Received]], Awaitable[None]],
        park: Callable[[Sequence[Poison]], Awaitable[None]],
    ) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._topics = tuple(topics)
        self._handle = handle
        self._park = park
        self._failures_in_a_row = 0
        self._waiting_out = False
        self._done: dict[TopicPartition, int] = {}
        self._end = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.progress = Progress()

    def start(self) -> None:
        """Begin in the background; a broker that is not there yet is waited for."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Finish the batch in hand and leave the group."""
        self._end.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._end.is_set():
            broker = KafkaBroker(self._bootstrap, consumer_only=True, logger=None, graceful_timeout=8.0)
            subscriber = broker.subscriber(
                *self._topics,
                group_id=self._group,
                batch=True,
                ack_policy=AckPolicy.MANUAL,
                auto_offset_reset="earliest",
                batch_timeout_ms=BATCH_WAIT_MS,
                max_records=BATCH_MOST,
                max_poll_interval_ms=HANDLER_LIMIT_MS,
                parser=_parse_leniently,
                decoder=_leave_encoded,
            )
            subscriber(self._consume)
            try:
                await broker.start()
                consumer = cast("AIOKafkaConsumer", subscriber.consumer)
                pace_idle_fetches(consumer)
                await self._watch(consumer)
            except (KafkaError, OSError, TimeoutError) as error:
                log.warning("broker_unreachable", group=self._group, error=type(error).__name__)
                self.progress.reachable = False
            finally:
                with suppress(KafkaError, OSError, TimeoutError):
                    await broker.stop()
            await self._pause(1.0)

    async def _consume(self, message: KafkaMessage) -> None:
        records = cast("tuple[Record, ...]", message.raw_message)
        results = [read(record) for record in records]
        await self._settle([result for result in results if isinstance(result, Received)])
        await self._put_aside([result for result in results if isinstance(result, Poison)])
        for record in records:
            self._done[TopicPartition(record.topic, record.partition)] = record.offset + 1
        self.progress.handled += len(records)
        try:
            await message.ack()
        except (KafkaError, IllegalStateError) as error:
            # the group was rebalanced meanwhile: whoever has the partition now gets these records again
            log.info("offsets_not_committed", group=self._group, error=type(error).__name__)

    async def _settle(self, batch: Sequence[Received]) -> None:
        """Handle a batch; where it fails for a lasting reason, find the records that fail alone."""
        if not batch:
            return
        try:
            await self._patiently(lambda: self._handle(batch))
            self._failures_in_a_row = 0
        except Exception as error:  # noqa: BLE001 - whatever a handler raises must not lose the batch
            if len(batch) > 1:
                for one in batch:
                    await self._settle([one])
                return
            self._failures_in_a_row += 1
            log.error("record_failed", group=self._group, error=type(error).__name__, exc_info=True)  # noqa: LOG014
            await self._close_valve_if_ours()
            await self._put_aside([poison(batch[0].record, f"handler failed: {type(error).__name__}")])

    async def _close_valve_if_ours(self) -> None:
        if self._failures_in_a_row <= MOST_FAILURES_IN_A_ROW:
            return
        log.critical("consumption_halted", group=self._group, failures=self._failures_in_a_row)
        self.progress.halted = True
        await asyncio.Event().wait()

    async def _put_aside(self, records: Sequence[Poison]) -> None:
        if records:
            log.error("records_parked", group=self._group, reasons=sorted({record.reason for record in records}))
            await self._patiently(lambda: self._park(records))

    async def _patiently(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it; where it fails for a passing reason, wait and do it again, for as long as it takes."""
        for wait in chain(RETRY_SECONDS, repeat(RETRY_SECONDS[-1])):
            try:
                await work()
            except TRANSIENT as error:
                self._waiting_out = True
                log.warning("will_try_again", group=self._group, error=type(error).__name__, seconds=wait)
                await asyncio.sleep(wait)
            else:
                self._waiting_out = False
                return

    async def _watch(self, consumer: AIOKafkaConsumer) -> None:
        """Probe until the end; return to be built anew when the consumer hangs."""
        while not self._end.is_set():
            try:
                async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                    await self._probe(consumer)
            except (KafkaError, IllegalStateError, OSError, TimeoutError):
                self.progress.reachable = False
            if self.progress.stuck_seconds() > STUCK_AFTER_SECONDS and not self.progress.halted:
                log.error("consumer_stuck", group=self._group, lag=self.progress.lag)
                self.progress.idle_since = 0.0
                return
            await self._pause(PROBE_EVERY_SECONDS)

    async def _probe(self, consumer: AIOKafkaConsumer) -> None:
        before = self.progress.handled
        partitions = consumer.assignment()
        ends = await consumer.end_offsets(list(partitions)) if partitions else {}
        lag = 0
        for partition, end in ends.items():
            done = self._done.get(partition) or await consumer.position(partition)
            lag += max(0, end - done)
        now = asyncio.get_running_loop().time()
        gets_on = self._waiting_out or self.progress.handled > before or (partitions and not lag)
        self.progress.reachable = True
        self.progress.assigned = bool(partitions)
        self.progress.lag = lag
        self.progress.idle_since = 0.0 if gets_on else self.progress.idle_since or now

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._end.wait(), seconds)


def pace_idle_fetches(consumer: AIOKafkaConsumer) -> None:
    """Ask a broker that does not long-poll at most 200 times a second for nothing.

    Kafka holds an empty fetch for `fetch.max.wait.ms`; the embedded broker answers at once, and aiokafka
    then asks again at once, for half a core a consumer. aiokafka has no setting for it, so this wraps the
    one method that knows whether a fetch found anything.
    """
    fetcher = consumer._fetcher  # noqa: SLF001
    fetch = fetcher._proc_fetch_request  # noqa: SLF001

    async def paced(*request: object) -> bool:
        began = asyncio.get_running_loop().time()
        found: bool = await fetch(*request)
        if not found:
            await asyncio.sleep(IDLE_FETCH_SECONDS - (asyncio.get_running_loop().time() - began))
        return found

    fetcher._proc_fetch_request = paced  # noqa: SLF001


def read(record: Record) -> Received | Poison:
    """Read one record; never raise. What is wrong with it is said without showing its contents."""
    try:
        headers = {name: value.decode() for name, value in record.headers if value is not None}
    except UnicodeDecodeError:
        return poison(record, "a header is not UTF-8")
    if len(headers) < len(record.headers):
        return poison(record, "a header is null or stands twice")
    if record.value is None:
        return poison(record, "the value is null")
    model = EVENTS.get(headers.get("ce_type", ""))
    if model is None:
        return poison(record, _unknown(headers.get("ce_type", "")))
    if model.topic != record.topic:
        return poison(record, f"{model.type} does not travel on this topic")
    try:
        event_id = UUID(headers.get("ce_id", ""))
    except ValueError:
        return poison(record, "ce_id is not a UUID")
    try:
        event = model.model_validate_json(record.value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return poison(record, "not JSON" if first["type"] == "json_invalid" else f"schema: {where}: {first['type']}")
    if record.key != event.key().encode():
        return poison(record, "the key is missing or not the event's own")
    return Received(event, event_id, headers.get("traceparent", ""), record)


def _unknown(type_name: str) -> str:
    stem, _, _ = type_name.rpartition(".v")
    known = any(name.rpartition(".v")[0] == stem for name in EVENTS)
    return "unknown version" if known else "unknown type"


def poison(record: Record, reason: str) -> Poison:
    """Describe a record to be parked."""
    value = record.value or b""
    key = (record.key or b"").decode(errors="replace")
    digest = hashlib.sha256(value).digest()
    return Poison(record.topic, record.partition, record.offset, digest, key, value, reason)


async def _parse_leniently(
    records: tuple[Record, ...],
    original: Callable[[tuple[Record, ...]], Awaitable[StreamMessage[Any]]],
) -> StreamMessage[Any]:
    """Let FastStream parse copies without headers, since one it cannot decode would lose the whole batch."""
    message = await original(tuple(replace(record, headers=()) for record in records))
    message.raw_message = records
    return message


async def _leave_encoded(message: StreamMessage[Any]) -> bytes:
    """Decode nothing: `read` does it record by record."""
    return b""
