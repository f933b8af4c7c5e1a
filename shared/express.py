"""The express lane: while a backlog is worked off, what somebody is waiting for just now is taken first.

A second reader, in no group, follows the ends of this member's partitions and hands what is fresh to the same
handler. It commits nothing. What it has handled the main reader passes over when it gets there; what it has
forgotten comes twice, which every handler takes.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as Place
from aiokafka.errors import IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, TopicPartition
from faststream.kafka.annotations import KafkaMessage

from shared.broker_tls import Tls, security
from shared.events import Event
from shared.fetching import FETCH, leave_encoded, parse_leniently, tame
from shared.patience import Patience
from shared.progress import Progress
from shared.records import Received, Record, read

log = structlog.get_logger()

LONG_LAG: Final = 500
LATE_SECONDS: Final = 3.0
"""A lag of that many records whose first is so old is a backlog; a shorter or younger one is a busy moment."""
SHORT_LAG: Final = 100
MAIN_MOST_BESIDE: Final = 100
"""Both readers share one event loop: beside the express lane, the main reader takes no more records at a time."""
FRESH_SECONDS: Final = 14.0
"""What is published so soon after somebody began to wait is fresh. Later ones are of the backlog, or repetitions: an
unanswered report is published again after 15 s."""
GIVEN_UP_SECONDS: Final = 30.0
"""So long somebody at a counter is taken to wait. Older ones are left in the line, so that the newest are in time."""
MOST_READ: Final = 500
MOST_AT_ONCE: Final = 50
MOST_WAITING: Final = 2000
MOST_REMEMBERED: Final = 100_000
"""What is beyond comes twice. Both bounds are of memory: some 10 MB each."""
TIME_BITS: Final = 64
OPEN_SECONDS: Final = 10.0
FINISH_SECONDS: Final = 2.0

Since = Callable[[Event], datetime | None]
"""Since when somebody has been waiting for what an event leads to; None if nobody does."""


class ExpressLane:
    """Opens and closes as the backlog comes and goes. `waiting` names the topics it serves."""

    def __init__(
        self,
        bootstrap: str,
        group: str,
        waiting: Mapping[str, Since],
        handle: Callable[[Sequence[Received]], Awaitable[None]],
        progress: Progress,
        tls: Tls | None = None,
    ) -> None:
        self._bootstrap = bootstrap
        self._tls = tls
        self._group = group
        self._waiting = waiting
        self._handle = handle
        self._progress = progress
        self._handled: dict[tuple[str, int], set[int]] = defaultdict(set)
        """Which records were taken ahead, by topic and partition."""
        self._fresh: list[tuple[datetime, Record]] = []
        """What waits in the lane, the newest last, with since when somebody has been waiting for it.

        Records wait as they came: read, they take several times the room."""
        self._news = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._broker: KafkaBroker | None = None
        self._places: frozenset[Place] = frozenset()
        self._patience = Patience(group, asyncio.Event())

    async def steer(self, lags: Mapping[Place, int], late_seconds: float) -> None:
        """Open or close, as the lag of this member's partitions and the age of what it handles call for."""
        mine = {place: lag for place, lag in lags.items() if place.topic in self._waiting}
        lag = sum(mine.values())
        if self._broker is not None:
            if lag < SHORT_LAG or self._places != mine.keys() or self._progress.halted:
                await self.close()
        elif lag > LONG_LAG and late_seconds > LATE_SECONDS and not self._progress.halted:
            await self._open(mine)
        elif lag < SHORT_LAG:
            self.forget()

    def is_open(self) -> bool:
        """Whether there is a backlog that fresh events go ahead of."""
        return self._broker is not None

    async def close(self) -> None:
        """Finish what is in hand and stop reading ahead."""
        broker, self._broker = self._broker, None
        worker, self._worker = self._worker, None
        if broker is None or worker is None:
            return
        self._news.set()
        await _quietly_stop(broker)
        await asyncio.wait([worker], timeout=FINISH_SECONDS)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        self._fresh.clear()
        log.info("express_lane_closed", group=self._group, ahead=self._progress.ahead)

    def forget(self) -> None:
        """Forget what was handled: the main reader is past it, or the partitions have gone to others."""
        self._handled.clear()

    def not_yet_handled(self, records: Sequence[Record]) -> Sequence[Record]:
        """Leave out what was taken ahead."""
        if not self._handled:
            return records
        left = []
        for record in records:
            handled, identity = self._handled[record.topic, record.partition], _identity(record)
            if identity in handled:
                handled.discard(identity)
            else:
                left.append(record)
        return left

    async def _open(self, lags: Mapping[Place, int]) -> None:
        broker = KafkaBroker(
            self._bootstrap.split(","),
            consumer_only=True,
            logger=None,
            graceful_timeout=FINISH_SECONDS,
            security=security(self._tls),
        )
        subscription = broker.subscriber(
            partitions=[TopicPartition(place.topic, place.partition) for place in sorted(lags)],
            batch=True,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="latest",
            max_records=MOST_READ,
            parser=parse_leniently,
            decoder=leave_encoded,
            **FETCH,
        )
        subscription(self._take)
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await broker.start()
                consumer = cast("AIOKafkaConsumer", subscription.consumer)
                tame(consumer)
                await _go_back(consumer, lags)
        except (KafkaError, IllegalStateError, OSError, TimeoutError) as error:
            log.warning("express_lane_not_opened", group=self._group, error=type(error).__name__)
            await _quietly_stop(broker)
        else:
            self._broker, self._places = broker, frozenset(lags)
            self._worker = asyncio.create_task(self._work())
            log.info("express_lane_opened", group=self._group)

    async def _take(self, message: KafkaMessage) -> None:
        now = datetime.now(UTC)
        for record in cast("tuple[Record, ...]", message.raw_message):
            result = read(record)
            if isinstance(result, Received):
                since = self._waiting[record.topic](result.event)
                if since is not None and _is_fresh(since, cast("Any", record).timestamp / 1000, now):
                    self._fresh.append((since, record))
        self._fresh.sort(key=lambda one: one[0])
        del self._fresh[:-MOST_WAITING]
        self._news.set()

    async def _work(self) -> None:
        """Take the newest that wait, over and over: who came last is served even if not all can be."""
        while self._broker is not None:
            await self._news.wait()
            self._news.clear()
            while self._fresh and self._broker is not None:
                newest = self._fresh[-MOST_AT_ONCE:]
                del self._fresh[-MOST_AT_ONCE:]
                results = [read(record) for _, record in newest]
                await self._take_ahead([result for result in results if isinstance(result, Received)])

    async def _take_ahead(self, batch: Sequence[Received]) -> None:
        if self._progress.halted:
            return
        try:
            await self._patience.until_done(lambda: self._handle(batch))
        except Exception as error:  # noqa: BLE001 - the main reader comes by, and knows what to do about it
            if len(batch) > 1:
                for one in batch:
                    await self._take_ahead([one])
                return
            log.warning("express_left_to_main", group=self._group, error=type(error).__name__)
            return
        self._progress.ahead += len(batch)
        if sum(len(handled) for handled in self._handled.values()) < MOST_REMEMBERED:
            for one in batch:
                self._handled[one.record.topic, one.record.partition].add(_identity(one.record))


def _identity(record: Record) -> int:
    """Tell a record from all others of its partition: by its offset and, on a topic that was made anew, its time in ms.

    It is one number, since there may be many.
    """
    identity: int = (record.offset << TIME_BITS) + cast("Any", record).timestamp  # -1 where there is none
    return identity


def _is_fresh(since: datetime, published: float, now: datetime) -> bool:
    return published - since.timestamp() < FRESH_SECONDS and (now - since).total_seconds() < GIVEN_UP_SECONDS


async def _go_back(consumer: AIOKafkaConsumer, lags: Mapping[Place, int]) -> None:
    """Begin with what may be fresh and is not handled; where nothing is, the reader is at the end.

    Of a flood only the end is read: what lies further back would not find room to wait, and the newest come last.
    """
    moment, room = int((time.time() - FRESH_SECONDS) * 1000), MOST_WAITING // len(lags)
    ends = await consumer.end_offsets(list(lags))
    for place, found in (await consumer.offsets_for_times(dict.fromkeys(lags, moment))).items():
        if found is not None:
            back = min(lags[place] + SHORT_LAG, room)  # some may have come since the lag was asked for
            consumer.seek(place, max(found.offset, ends[place] - back))


async def _quietly_stop(broker: KafkaBroker) -> None:
    try:
        async with asyncio.timeout(FINISH_SECONDS + 1):
            await broker.stop()
    except Exception as error:  # noqa: BLE001 - it holds nothing that could be lost
        log.warning("express_lane_left_untidily", error=type(error).__name__)
