"""The reconciler: services tell each other what they have, and repeat what another one lacks.

Every minute one replica of each service says its tally (`lanjie.tallies.v1`). Whoever is the keeper of what is tallied
compares it with its own, and puts the obligations of the windows that differ back into the outbox; the chain answers
them as it answers any repetition. A window that stays different is a gap that repeating cannot mend: it is logged
once, and stays in the metric until it is mended or nobody looks at it any more.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Final

import structlog

from shared.chain import Chain, Handle
from shared.events import Tally, TallyTaken
from shared.outbox import Outgoing, new_id, outgoing
from shared.postgres import Connection, Pool
from shared.records import Received
from shared.settings import Settings
from shared.share import Compared, Mending, ReconcilingMetrics, Said, Share, between
from shared.tally import Gap, Gaps, Stretch, stretches, tally
from shared.tasks import forever

log = structlog.get_logger()

HOURS_A_ROUND: Final = 4
"""So many of the hours before the last one are looked at in a round: a tally must fit into a record."""

SLOW_HOURS: Final = 35 * 24
SLOW_TURNS: Final = 120
"""What goes on changing for weeks is looked at for longer, and less often."""

SILENT_AFTER_ROUNDS: Final = 3
WINDOWS_LOGGED: Final = 10


class Ear:
    """Holds the newest tally of each service until it is compared: comparing takes too long for a consumer."""

    def __init__(self) -> None:
        self.heard: dict[str, TallyTaken] = {}
        self.news = asyncio.Event()

    def hearing(self, handle: Handle) -> Handle:
        """Return a batch handler that keeps the tallies of a batch and hands on the rest."""

        async def handle_others(batch: Sequence[Received]) -> Sequence[Outgoing]:
            others = []
            for received in batch:
                if isinstance(received.event, TallyTaken):
                    self.heard[received.event.service] = received.event
                    self.news.set()
                else:
                    others.append(received)
            return await handle(others) if others else []

        return handle_others


@dataclass(slots=True)
class _Between:
    """What is known of the difference to one other service."""

    gaps: Gaps = field(default_factory=Gaps)
    heard_at: float = field(default_factory=time.monotonic)
    compared_at: float = field(default_factory=time.monotonic)

    def age(self) -> float:
        """Return how many seconds ago we compared, or began to."""
        return time.monotonic() - self.compared_at


class Reconciler:
    """Says a service's tally, and compares and mends by those of others. `publish` takes events that are committed."""

    def __init__(
        self,
        pool: Pool,
        publish: Callable[[Sequence[Outgoing]], None],
        ear: Ear,
        share: Share,
        settings: Settings,
        metrics: "ReconcilingMetrics",
    ) -> None:
        self._pool = pool
        self._publish = publish
        self._ear = ear
        self._share = share
        self._settings = settings
        self._others = {one.speaker: _Between() for one in share.compared}
        self._rounds = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._metrics = metrics
        for speaker, other in self._others.items():
            metrics.age.labels(self._name(speaker)).set_function(other.age)
            self._show(speaker)

    def open(self) -> None:
        """Begin to say and to compare."""
        steps = (self._say, self._listen) if self._share.compared else (self._say,)
        self._tasks = [asyncio.create_task(forever(step)) for step in steps]

    async def close(self) -> None:
        """Stop; what was not repeated yet is found again at the next round."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _say(self) -> None:
        await asyncio.sleep(self._settings.reconcile_every_seconds)
        self._forget_the_silent()
        await self.say(datetime.now(UTC))

    async def say(self, now: datetime) -> None:
        """Say the tally of this round, unless another replica has."""
        if await _is_ours(self._pool, self._settings.reconcile_every_seconds):
            self._publish([await self.taken(now)])

    async def taken(self, now: datetime) -> Outgoing:
        """Count, and return what is to be said of it."""
        before = now - timedelta(seconds=self._settings.reconcile_after_seconds)
        self._rounds += 1
        tallies: list[Tally] = []
        async with self._pool.acquire() as connection:
            for one in self._share.said:
                hours, turns = (SLOW_HOURS, SLOW_TURNS) if one.slow else self._hours_and_turns()
                these = stretches(before, self._rounds, hours, turns)
                tallies += [await _tallied(connection, one, stretch, before) for stretch in these]
        return outgoing(TallyTaken(service=self._share.service, before=before, tallies=tuple(tallies)), new_id())

    def _hours_and_turns(self) -> tuple[int, int]:
        hours = self._settings.reconcile_hours
        return hours, ceil(hours / HOURS_A_ROUND)

    async def _listen(self) -> None:
        await self._ear.news.wait()
        self._ear.news.clear()
        for speaker in [one for one in self._others if one in self._ear.heard]:
            await self.compare(self._ear.heard.pop(speaker))

    async def compare(self, said: TallyTaken) -> None:
        """Compare a tally with what we have, and repeat what is missing."""
        other = self._others[said.service]
        other.heard_at = time.monotonic()
        other.gaps.forget_before(said.before - timedelta(hours=max(SLOW_HOURS, self._settings.reconcile_hours) + 2))
        for one in self._share.compared:
            theirs = [those for those in said.tallies if those.what is one.what]
            if one.speaker == said.service and theirs:
                self._publish(await self._compare(one, theirs, other.gaps, said.before))
        other.compared_at = time.monotonic()
        self._show(said.service)

    async def _compare(
        self, one: Compared, theirs: Sequence[Tally], gaps: Gaps, before: datetime
    ) -> Sequence[Outgoing]:
        async with self._pool.acquire() as connection, connection.transaction():
            found = []
            for those in theirs:
                stretch = Stretch(those.begins, those.ends, timedelta(seconds=those.width_seconds))
                found += gaps.compare(those, await one.count(connection, stretch.windows(), before))
            hopeful = [gap for gap in found if not gap.given_up]
            tried, rows = await _repeated(connection, one.mend, hopeful, self._settings.reconcile_most)
        between = self._name(one.speaker)
        self._metrics.repeated.labels(between, one.what.value).inc(len(rows))
        if given_up := gaps.tried(tried):
            log.error("gaps_stay", between=between, of=one.what.value, **_told(given_up))
        if rows:
            log.warning("repeated", between=between, of=one.what.value, events=len(rows), **_told(tried))
        return rows

    def _name(self, speaker: str) -> str:
        return between(self._share, speaker)

    def _forget_the_silent(self) -> None:
        """Forget the gaps to whom we hear no more: another replica does, or it is down, which its own metrics tell."""
        silent = SILENT_AFTER_ROUNDS * self._settings.reconcile_every_seconds
        for speaker, other in self._others.items():
            if other.gaps.open and time.monotonic() - other.heard_at > silent:
                other.gaps.open.clear()
                self._show(speaker)

    def _show(self, speaker: str) -> None:
        missing = self._others[speaker].gaps.missing()
        for one in self._share.compared:
            if one.speaker == speaker:
                self._metrics.gaps.labels(self._name(speaker), one.what.value).set(missing[one.what])


@asynccontextmanager
async def reconciled(
    chain: Chain, ear: Ear, share: Share, settings: Settings, metrics: ReconcilingMetrics
) -> AsyncIterator[None]:
    """Have a service take its share for as long as the context lasts."""
    reconciler = Reconciler(chain.pool, chain.relay.publish_soon, ear, share, settings, metrics)
    reconciler.open()
    try:
        yield
    finally:
        await reconciler.close()


async def _is_ours(pool: Pool, every_seconds: float) -> bool:
    """Claim this round: one replica's tally a round is enough, and a little early is on time."""
    claimed = await pool.fetchval(
        "update tally_round set taken_at = now() where taken_at <= now() - $1 * interval '0.9 second' returning true",
        every_seconds,
    )
    return bool(claimed)


async def _tallied(connection: Connection, one: Said, stretch: Stretch, before: datetime) -> Tally:
    return tally(one.what, stretch, await one.count(connection, stretch.windows(), before))


async def _repeated(
    connection: Connection, mend: Mending | None, gaps: Sequence[Gap], most: int
) -> tuple[list[Gap], list[Outgoing]]:
    """Repeat the oldest gaps until that is so many events; return which were tried, and the events.

    What is in the outbox already merely waits, as in a backlog: a window with nothing else was not tried, and it does
    not keep others from being so.
    """
    tried: list[Gap] = []
    rows: list[Outgoing] = []
    for gap in sorted(gaps, key=lambda one: one.begins):
        if len(rows) >= most:
            break
        can_be_said = mend is not None and gap.mine.number > 0
        again = await mend(connection, [gap]) if mend and can_be_said else []
        if again or not can_be_said:
            tried.append(gap)
            rows += again
    return tried, rows


def _told(gaps: Sequence[Gap]) -> dict[str, object]:
    """Say which windows, as a log line may: no more than a few."""
    return {
        "windows": len(gaps),
        "first": [
            {"begins": gap.begins.isoformat(), "mine": gap.mine.number, "theirs": gap.theirs.number}
            for gap in sorted(gaps, key=lambda one: one.begins)[:WINDOWS_LOGGED]
        ],
    }
