"""The one safe way to subscribe.

A record is consumed when its transaction is committed, never before: the offset is committed by hand
after the handler returns. What fails for a passing reason is tried again in place; what cannot be read,
or fails alone for a lasting reason, is parked in the dead letters once, and the rest goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import Any, Final, NoReturn, cast
from uuid import UUID

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage
from faststream.message import StreamMessage

from shared.dead_letters import Poison
from shared.postgres import TRANSIENT
from shared.records import Received, Record, poison, read

log = structlog.get_logger()

BATCH_WAIT_MS: Final = 5
"""FastStream sleeps this long again after an empty poll, so it is also a latency."""
BATCH_MOST: Final = 500
IDLE_FETCH_SECONDS: Final = 0.005
HANDLER_LIMIT_MS: Final = 600_000
RETRY_SECONDS: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
JOIN_SECONDS: Final = 30.0
STOP_SECONDS: Final = 10.0
PROBE_EVERY_SECONDS: Final = 1.0
STUCK_AFTER_SECONDS: Final = 60.0
PROBE_TIMEOUT_SECONDS: Final = 5.0
MOST_FAILURES_IN_A_ROW: Final = 20
"""So many different events failing in a row mean that we are wrong, not they: consumption halts, and
nothing more is parked. Mend the defect and restart; the records are still on the topic."""


@dataclass(slots=True)
class Progress:
    """What readiness asks of a consumer: whether it is in its group, and gets on."""

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

    `instance` names this member of the group among its replicas, and stays the same over restarts (static
    membership): a member that was killed is back at once, instead of the group waiting for the dead one.
    `handle` gets the readable records of a batch and returns when they are committed. `park` gets the rest.
    """

    def __init__(
        self,
        bootstrap: str,
        group: str,
        topics: Sequence[str],
        *,
        instance: str,
        handle: Callable[[Sequence[Received]], Awaitable[None]],
        park: Callable[[Sequence[Poison]], Awaitable[None]],
    ) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._topics = tuple(topics)
        self._instance = instance
        self._handle = handle
        self._park = park
        self._failing: set[UUID] = set()
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
        if self._task is None:
            return
        _, late = await asyncio.wait([self._task], timeout=STOP_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while not self._end.is_set():
            broker = KafkaBroker(self._bootstrap.split(","), consumer_only=True, logger=None, graceful_timeout=8.0)
            subscription = broker.subscriber(
                *self._topics,
                group_id=self._group,
                group_instance_id=self._instance,
                batch=True,
                ack_policy=AckPolicy.MANUAL,
                auto_offset_reset="earliest",
                batch_timeout_ms=BATCH_WAIT_MS,
                max_records=BATCH_MOST,
                max_poll_interval_ms=HANDLER_LIMIT_MS,
                parser=_parse_leniently,
                decoder=_leave_encoded,
            )
            subscription(self._consume)
            try:
                async with asyncio.timeout(JOIN_SECONDS):
                    await broker.start()
                consumer = cast("AIOKafkaConsumer", subscription.consumer)
                pace_idle_fetches(consumer)
                await self._watch(consumer)
            except (KafkaError, OSError, TimeoutError) as error:
                log.warning("broker_unreachable", group=self._group, error=type(error).__name__)
            except Exception:  # a consumer that ends in silence is the worst of all
                log.exception("consumer_failed", group=self._group)
            finally:
                self.progress.reachable = False
                await self._leave(broker)
            await self._pause(1.0)

    async def _leave(self, broker: KafkaBroker) -> None:
        try:
            await broker.stop()
        except Exception:  # FastStream gathers what went wrong into a group; we are leaving anyway
            log.exception("left_untidily", group=self._group)

    async def _consume(self, message: KafkaMessage) -> None:
        try:
            await self._take(message)
        except Exception:  # FastStream would pass over it, and the next commit would pass over the records
            log.critical("consumption_halted", group=self._group, exc_info=True)
            await self._halt()

    async def _take(self, message: KafkaMessage) -> None:
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
            self._failing.clear()
        except Exception as error:  # whatever a handler raises must not lose the batch
            if len(batch) > 1:
                for one in batch:
                    await self._settle([one])
                return
            self._failing.add(batch[0].event_id)
            log.exception("record_failed", group=self._group)
            await self._close_valve_if_ours()
            await self._put_aside([poison(batch[0].record, f"handler failed: {type(error).__name__}")])

    async def _close_valve_if_ours(self) -> None:
        if len(self._failing) > MOST_FAILURES_IN_A_ROW:
            log.critical("consumption_halted", group=self._group, failures=len(self._failing))
            await self._halt()

    async def _halt(self) -> NoReturn:
        self.progress.halted = True
        await self._end.wait()
        raise asyncio.CancelledError

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
            with suppress(asyncio.CancelledError):  # as the wrapped method does: its caller awaits it once more
                await asyncio.sleep(IDLE_FETCH_SECONDS - (asyncio.get_running_loop().time() - began))
        return found

    fetcher._proc_fetch_request = paced  # noqa: SLF001


async def _parse_leniently(
    records: tuple[Record, ...],
    original: Callable[[tuple[Record, ...]], Awaitable[StreamMessage[Any]]],
) -> StreamMessage[Any]:
    """Let FastStream parse copies without headers, since one it cannot decode would lose the whole batch."""
    message = await original(tuple(replace(cast("Any", record), headers=()) for record in records))
    message.raw_message = records
    return message


async def _leave_encoded(_message: StreamMessage[Any]) -> bytes:
    """Decode nothing: `read` does it record by record."""
    return b""
