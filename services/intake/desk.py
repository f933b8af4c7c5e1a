"""The filing desk: concurrent posts share a transaction, and a post may wait for its verdict.

Group commit: while one transaction is on its way to disk, the posts that arrive meanwhile gather for the
next. No timer is needed: an idle desk commits a single report at once, a busy one hundreds together.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeVar
from uuid import UUID

from services.intake.handlers import FilingOutcome
from services.intake.store import Filing
from shared.errors import Refusal, conflict
from shared.postgres import TRANSIENT
from shared.tasks import forever

MOST_TOGETHER: Final = 500
MOST_WAITING: Final = 5000
CLERKS: Final = 2
LOOK_EVERY_SECONDS: Final = 0.25
ANSWERED_WITHIN_SECONDS: Final = 5.0
"""Somebody stands at the counter. A post that is still waiting then is told to come again, with its key."""

T = TypeVar("T")


@dataclass(slots=True)
class _Slip:
    filing: Filing
    outcome: asyncio.Future[FilingOutcome]

    def settle(self, outcome: FilingOutcome | Exception) -> None:
        """Tell the post, if it is still there."""
        if self.outcome.done():
            return
        if isinstance(outcome, Exception):
            self.outcome.set_exception(outcome)
        else:
            self.outcome.set_result(outcome)


async def in_time(outcome: Awaitable[T]) -> T:
    """Return what became of what was handed in. Raises `TimeoutError` where that is not known in time.

    It is stored then, or not: whoever sends it again with its key learns which.
    """
    async with asyncio.timeout(ANSWERED_WITHIN_SECONDS):
        return await outcome


def _key_of(filing: Filing) -> tuple[str, str]:
    return filing.event.bank, filing.idempotency_key


class FilingDesk:
    """Gathers posts into transactions. `file` is called with up to 500 of them at a time."""

    def __init__(self, file: Callable[[Sequence[Filing]], Awaitable[Sequence[FilingOutcome]]]) -> None:
        self._file = file
        self._slips: asyncio.Queue[_Slip] = asyncio.Queue(MOST_WAITING)
        self._in_hand: set[tuple[str, str]] = set()
        self._clerks: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Begin to take reports."""
        self._clerks = [asyncio.create_task(self._clerk()) for _ in range(CLERKS)]

    async def close(self) -> None:
        """File what has been handed in, then stop."""
        await self._slips.join()
        for clerk in self._clerks:
            clerk.cancel()
        await asyncio.gather(*self._clerks, return_exceptions=True)

    def hand_in(self, filing: Filing) -> asyncio.Future[FilingOutcome]:
        """Return what will be known once the report is on disk.

        A client that goes away does not take back what it handed in: only the future is cancelled with it.
        Raises 409 while a post with the same key is in hand, 503 when too many are waiting.
        """
        key = _key_of(filing)
        if key in self._in_hand:
            raise conflict("A request with this Idempotency-Key is being stored right now; send it again shortly.")
        slip = _Slip(filing, asyncio.get_running_loop().create_future())
        try:
            self._slips.put_nowait(slip)
        except asyncio.QueueFull:
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "More reports are waiting than can be stored; send this one again shortly.",
                headers={"Retry-After": "1"},
            ) from None
        self._in_hand.add(key)
        return slip.outcome

    async def _clerk(self) -> None:
        while True:
            slips = [await self._slips.get()]
            while len(slips) < MOST_TOGETHER and not self._slips.empty():
                slips.append(self._slips.get_nowait())
            try:
                outcomes: Sequence[FilingOutcome | Exception] = await self._file([slip.filing for slip in slips])
            except Exception as error:  # noqa: BLE001 - whatever it was, the waiting posts must hear of it
                outcomes = [error] * len(slips)
            for slip, outcome in zip(slips, outcomes, strict=True):
                self._in_hand.discard(_key_of(slip.filing))
                slip.settle(outcome)
                self._slips.task_done()


class VerdictBoard:
    """Wakes the posts that wait for a verdict.

    The consumer here says at once which reports were judged; what another replica consumed is seen by one
    look at the database for all who wait. When the service is `stopping`, nobody waits any longer.
    """

    def __init__(
        self, judged: Callable[[Sequence[UUID]], Awaitable[set[UUID]]], stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self._judged = judged
        self._stopping = stopping
        self._waiting: dict[UUID, set[asyncio.Event]] = {}
        self._looker: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to look."""
        self._looker = asyncio.create_task(forever(self._look))

    async def close(self) -> None:
        """Stop looking."""
        if self._looker:
            self._looker.cancel()
            await asyncio.gather(self._looker, return_exceptions=True)

    def show(self, report_ids: Sequence[UUID]) -> None:
        """Wake whoever waits for these reports: their verdicts are committed."""
        for report_id in report_ids:
            for event in self._waiting.get(report_id, ()):
                event.set()

    async def wait(self, report_id: UUID, seconds: float) -> None:
        """Return when the report is judged, or when the time is up."""
        event = asyncio.Event()
        self._waiting.setdefault(report_id, set()).add(event)
        try:
            with suppress(*TRANSIENT):
                self.show(list(await self._judged([report_id])))
            with suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), seconds)
        finally:
            self._waiting[report_id].discard(event)
            if not self._waiting[report_id]:
                del self._waiting[report_id]

    async def _look(self) -> None:
        await asyncio.sleep(LOOK_EVERY_SECONDS)
        if self._stopping():
            self.show(list(self._waiting))
        elif self._waiting:
            self.show(list(await self._judged(list(self._waiting))))
