"""The one safe way to subscribe.

A record is consumed when its transaction is committed, never before: the offset is committed by hand
after the handler returns. What fails for a passing reason is tried again in place; what cannot be read,
or fails alone for a lasting reason, is parked in the dead letters once, and the rest goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NoReturn, cast
from uuid import UUID

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage

from shared.broker_tls import security
from shared.dead_letters import Poison
from shared.express import ExpressLane
from shared.fetching import FETCH, leave_encoded, leave_for_good, parse_leniently, tame
from shared.patience import Patience
from shared.probing import BATCH_MOST, Probing, Tuning
from shared.progress import Progress
from shared.records import Received, Record, failed, read
from shared.seat import Seat
from shared.tracing import named
from shared.tracing_messages import named_all

log = structlog.get_logger()

HANDLER_LIMIT_MS: Final = 600_000
SESSION_MS: Final = 10_000
HEARTBEAT_MS: Final = 1000
"""How soon the others hear that a member has left, and take its partitions over."""
METADATA_MS: Final = 10_000
"""A topic that was deleted and is there again is seen after so long at the latest."""
JOIN_SECONDS: Final = 30.0
FINISH_SECONDS: Final = 3.0
LEAVE_SECONDS: Final = 5.0
MOST_FAILURES_IN_A_ROW: Final = 20
"""So many different events failing in a row mean that we are wrong, not they: consumption halts, and
nothing more is parked. Mend the defect and restart; the records are still on the topic."""


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
        tuning: Tuning | None = None,
    ) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._topics = tuple(topics)
        self._instance = instance
        self._handle = handle
        self._park = park
        self._tuning = tuning or Tuning()
        self._failing: set[UUID] = set()
        self._end = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._patience = Patience(group, self._end)
        self.progress = Progress(self._tuning.stuck_seconds)
        self._express = ExpressLane(bootstrap, group, self._tuning.express, handle, self.progress, self._tuning.tls)
        self._seat = Seat(group, self.progress, self._express.forget)
        self._probing = Probing(
            group, self._tuning, self._seat, self._express, self._patience, self.progress, self._end
        )

    def start(self) -> None:
        """Begin in the background; a broker that is not there yet is waited for."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Finish the batch in hand, commit it, and leave the group: the other members have the partitions at once."""
        self._end.set()
        if self._task is None:
            return
        _, late = await asyncio.wait([self._task], timeout=LEAVE_SECONDS + 1)
        for task in late:
            task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while not self._end.is_set():
            try:
                secured = security(self._tuning.tls)
            except OSError as error:  # somebody is just renewing the files
                log.warning("broker_unreachable", group=self._group, error=type(error).__name__)
                await self._probing.pause()
                continue
            broker = KafkaBroker(
                self._bootstrap.split(","),
                consumer_only=True,
                logger=None,
                graceful_timeout=FINISH_SECONDS,
                metadata_max_age_ms=METADATA_MS,
                security=secured,
            )
            subscription = broker.subscriber(
                *self._topics,
                group_id=self._group,
                group_instance_id=self._instance,
                session_timeout_ms=SESSION_MS,
                heartbeat_interval_ms=HEARTBEAT_MS,
                listener=self._seat,
                batch=True,
                ack_policy=AckPolicy.MANUAL,
                auto_offset_reset="earliest",
                max_records=BATCH_MOST,
                max_poll_interval_ms=HANDLER_LIMIT_MS,
                parser=parse_leniently,
                decoder=leave_encoded,
                **FETCH,
            )
            subscription(self._consume)
            try:
                async with asyncio.timeout(JOIN_SECONDS):
                    await broker.start()
                consumer = cast("AIOKafkaConsumer", subscription.consumer)
                tame(consumer)
                self._seat.take(consumer)
                await self._probing.until_stuck(subscription)
                if self._end.is_set():
                    leave_for_good(consumer)
            except (KafkaError, OSError, TimeoutError) as error:
                log.warning("broker_unreachable", group=self._group, error=type(error).__name__)
            except Exception:  # a consumer that ends in silence is the worst of all
                log.exception("consumer_failed", group=self._group)
            finally:
                self.progress.reachable = False
                await self._leave(broker)
            await self._probing.pause()

    async def _leave(self, broker: KafkaBroker) -> None:
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._express.close()
                await self._seat.commit()
                await broker.stop()
        except Exception as error:  # noqa: BLE001 - FastStream gathers what went wrong; we are leaving anyway
            log.warning("left_untidily", group=self._group, error=type(error).__name__)
        self._seat.leave()

    async def _consume(self, message: KafkaMessage) -> None:
        try:
            await self._take(message)
        except Exception:  # FastStream would pass over it, and the next commit would pass over the records
            log.critical("consumption_halted", group=self._group, exc_info=True)
            await self._halt()

    async def _take(self, message: KafkaMessage) -> None:
        records = cast("tuple[Record, ...]", message.raw_message)
        seat = self._seat.begin(records)
        self.progress.oldest_at = min(cast("Any", record).timestamp for record in records) / 1000
        results = [read(record) for record in self._express.not_yet_handled(records)]
        await self._settle([result for result in results if isinstance(result, Received)])
        await self._put_aside([result for result in results if isinstance(result, Poison)])
        self._seat.finish(records, seat)
        self.progress.handled += len(records)
        if self._end.is_set():
            await self._seat.commit()

    async def _settle(self, batch: Sequence[Received]) -> None:
        """Handle a batch; where it fails for a lasting reason, find the records that fail alone."""
        if not batch:
            return
        try:
            await self._patience.until_done(lambda: self._handle(batch))
            self._failing.clear()
        except Exception as error:  # whatever a handler raises must not lose the batch
            if len(batch) > 1:
                for one in batch:
                    await self._settle([one])
                return
            self._failing.add(batch[0].event_id)
            log.exception("record_failed", group=self._group, **named(batch[0].traceparent))
            await self._close_valve_if_ours()
            await self._put_aside([failed(batch[0], error)])

    async def _close_valve_if_ours(self) -> None:
        if len(self._failing) > MOST_FAILURES_IN_A_ROW:
            log.critical("consumption_halted", group=self._group, failures=len(self._failing))
            await self._halt()

    async def _halt(self) -> NoReturn:
        """Stay up, not ready, and do nothing more: after a restart the same records would only fail again."""
        self.progress.halted = True
        await self._end.wait()
        raise asyncio.CancelledError

    async def _put_aside(self, records: Sequence[Poison]) -> None:
        if records:
            traces = named_all([record.headers for record in records])
            reasons = sorted({record.reason for record in records})
            log.error("records_parked", group=self._group, reasons=reasons, **traces)
            await self._patience.until_done(lambda: self._park(records))
