"""A consumer's seat in its group: which partitions it holds, how far it has come in them, and what it says of that."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from shared.progress import Progress
from shared.records import Record

log = structlog.get_logger()

COMMIT_EVERY_SECONDS: Final = 0.25
"""A crash may bring the work of so long again. A commit a batch would cost the broker as much as the records."""
COMMIT_SECONDS: Final = 2.0


class Seat(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """Hears from aiokafka whether we are in the group. `lost` is called when the partitions may go to others."""

    def __init__(self, group: str, progress: Progress, lost: Callable[[], None]) -> None:
        self._group = group
        self._progress = progress
        self._lost = lost
        self._consumer: AIOKafkaConsumer | None = None
        self._done: dict[tuple[str, int], int] = {}
        self._committed: dict[tuple[str, int], int] = {}
        self.number = 0
        """Grows whenever the partitions are taken away, so that what was begun before is not noted after."""

    def take(self, consumer: AIOKafkaConsumer) -> None:
        """Begin to speak for a consumer."""
        self._consumer = consumer

    def leave(self) -> None:
        """Forget everything: the consumer has stopped."""
        self._consumer = None
        self._unseat()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Commit what is done, so that the next holder begins behind it."""
        if revoked:
            await self.commit()
        self._unseat()

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Note that the group has settled, and whether there is a partition for us."""
        self._progress.joined, self._progress.assigned = True, bool(assigned)

    def _unseat(self) -> None:
        self._progress.joined = self._progress.assigned = False
        self.number += 1
        self._done.clear()
        self._committed.clear()
        self._lost()

    def begin(self, records: Sequence[Record]) -> int:
        """Note that records are in hand, though aiokafka's position is past them. Return this seat's number."""
        for record in records:
            place = record.topic, record.partition
            # an offset goes back where a topic was deleted and made anew
            self._done[place] = min(self._done.get(place, record.offset), record.offset)
        return self.number

    def finish(self, records: Sequence[Record], number: int) -> None:
        """Note that records are handled, which came when this seat had that number."""
        if number == self.number:
            for record in records:
                self._done[record.topic, record.partition] = record.offset + 1

    async def commit(self) -> None:
        """Commit how far we have come, where that is news to the broker."""
        if self._consumer is None:
            return
        held = self._consumer.assignment()
        due = {
            place: done
            for place, done in self._done.items()
            if self._committed.get(place) != done and TopicPartition(*place) in held
        }
        if not due:
            return
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                await self._consumer.commit({TopicPartition(*place): done for place, done in due.items()})
        except (KafkaError, IllegalStateError, TimeoutError) as error:
            # the group was rebalanced meanwhile: whoever has the partition now gets these records again
            log.info("offsets_not_committed", group=self._group, error=type(error).__name__)
        else:
            self._committed.update(due)

    async def keep_committing(self) -> None:
        """Commit from time to time until cancelled."""
        while True:
            await asyncio.sleep(COMMIT_EVERY_SECONDS)
            await self.commit()

    async def lags(self) -> Mapping[TopicPartition, int]:
        """Return how many records of each partition we hold are not handled yet.

        On a topic that was made anew, where we seem to be past its end, that is all of them.
        """
        consumer = self._consumer
        assert consumer, "there is a consumer while it is watched"
        held = consumer.assignment()
        ends = await consumer.end_offsets(list(held)) if held else {}
        done = {place: self._done[place] if place in self._done else await consumer.position(place) for place in ends}
        return {place: end - done[place] if done[place] <= end else end for place, end in ends.items()}
