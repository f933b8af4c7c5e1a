"""Watching a consumer from beside it: probes every second, and one that gets nothing done is built anew."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from faststream.kafka.subscriber.usecase import BatchSubscriber

from shared.broker_tls import Tls
from shared.express import MAIN_MOST_BESIDE, ExpressLane, Since
from shared.patience import Patience
from shared.progress import Progress
from shared.seat import Seat
from shared.watchdog import GiveUp, exit_for_supervisor

log = structlog.get_logger()

BATCH_MOST: Final = 250
PROBE_EVERY_SECONDS: Final = 1.0
PROBE_TIMEOUT_SECONDS: Final = 5.0
STUCK_AFTER_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a service may add. `express` names topics whose fresh events go ahead of a backlog.

    A consumer that gets nothing done for `stuck_seconds` is built anew, and when that does not help, `give_up` is
    told what is stuck, and for how many seconds.
    """

    express: Mapping[str, Since] = field(default_factory=dict)
    stuck_seconds: float = STUCK_AFTER_SECONDS
    give_up: GiveUp = exit_for_supervisor
    tls: Tls | None = None


@dataclass(slots=True)
class Probing:
    """Probes a consumer until `end`."""

    group: str
    tuning: Tuning
    seat: Seat
    express: ExpressLane
    patience: Patience
    progress: Progress
    end: asyncio.Event
    _handled_before: int = 0
    _rebuilt_for_nothing: bool = False

    async def until_stuck(self, subscription: BatchSubscriber) -> None:
        """Return at the end, or to have the consumer built anew when nothing got done for too long."""
        self.progress.note("")
        committing = asyncio.create_task(self.seat.keep_committing())
        try:
            while not self.end.is_set():
                await self._probe(subscription)
                if self.progress.troubled_seconds() > self.tuning.stuck_seconds and not self.progress.halted:
                    self._report_trouble()
                    return
                await self.pause()
        finally:
            committing.cancel()

    async def pause(self) -> None:
        """Wait for the next probe, or for the end."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.end.wait(), PROBE_EVERY_SECONDS)

    async def _probe(self, subscription: BatchSubscriber) -> None:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                lags = await self.seat.lags()
        except IllegalStateError:  # the group was rebalanced meanwhile
            return
        except (KafkaError, OSError, TimeoutError):
            self.progress.reachable = False
            self.progress.note("unreachable")
            return
        self._note(sum(lags.values()))
        await self._steer(lags, subscription)

    async def _steer(self, lags: Mapping[TopicPartition, int], subscription: BatchSubscriber) -> None:
        await self.express.steer(lags, time.time() - self.progress.oldest_at)
        subscription.max_records = MAIN_MOST_BESIDE if self.express.is_open() else BATCH_MOST

    def _note(self, lag: int) -> None:
        progress = self.progress
        progress.reachable = True
        progress.lag = lag
        gets_on = self.patience.waiting_out or progress.handled > self._handled_before
        self._handled_before = progress.handled
        self._rebuilt_for_nothing &= not gets_on
        if not progress.joined:
            progress.note("joining")
        else:
            progress.note("stuck" if lag and not gets_on else "")

    def _report_trouble(self) -> None:
        """Say what is wrong before the consumer is built anew. When that was no help, a new process may be."""
        progress = self.progress
        log.error("consumer_stuck", group=self.group, trouble=progress.trouble, lag=progress.lag)
        if progress.trouble == "stuck":
            if self._rebuilt_for_nothing:
                self.tuning.give_up("consumer", progress.troubled_seconds())
            self._rebuilt_for_nothing = True
