"""The watch on the clock: every replica has one, and none of them leads.

Due times lie in Postgres. Whoever locks a case first follows its deadlines up; a case that somebody is at work on is
looked at again a moment later.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from services.notifier.clock import clock_store, escalation
from services.notifier.clock.clock import Deadlines
from services.notifier.clock.escalation import Fired, NotFiredError
from services.notifier.metrics import Metrics
from services.notifier.office import Office
from shared.outbox import Outgoing, unanswered
from shared.postgres import Pool
from shared.tasks import forever

log = structlog.get_logger()

LOOK_EVERY_SECONDS: Final = 0.25
"""Another replica may have started a deadline that comes sooner than all we know of."""

AGAIN_AFTER_SECONDS: Final = 0.05
"""What is due lies in cases that others hold: their transactions take milliseconds."""

AT_ONCE: Final = 200
SET_ASIDE_SECONDS: Final = 1.0
LONGEST_ASIDE_SECONDS: Final = 300.0
RULES_EVERY_SECONDS: Final = 5.0


class HouseRules:
    """The rules of how long stages may take, as the database has them; read anew every few seconds."""

    def __init__(self, pool: Pool, every_seconds: float = RULES_EVERY_SECONDS) -> None:
        self._pool = pool
        self._every_seconds = every_seconds
        self._rules = Deadlines()
        self._task: asyncio.Task[None] | None = None

    def now(self) -> Deadlines:
        return self._rules

    async def open(self) -> None:
        """Read them, and begin to read them again."""
        self._rules = await clock_store.rules(self._pool)
        self._task = asyncio.create_task(forever(self._read))

    async def close(self) -> None:
        """Read them no longer."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> None:
        await asyncio.sleep(self._every_seconds)
        self._rules = await clock_store.rules(self._pool)


class Watch:
    """Follows up what is due, as soon as it is due. Several may work side by side, here or in other replicas.

    `publish` takes events that are committed; `alerted` is called once new alerts are.
    """

    def __init__(
        self,
        office: Office,
        metrics: Metrics,
        publish: Callable[[Sequence[Outgoing]], None],
        alerted: Callable[[], Awaitable[None]],
    ) -> None:
        self._office = office
        self._metrics = metrics
        self._publish = publish
        self._alerted = alerted
        self._most = AT_ONCE
        self._aside: dict[UUID, tuple[float, float]] = {}
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to watch."""
        self._task = asyncio.create_task(forever(self._look))

    async def close(self) -> None:
        """Stop; what was half done is undone, and another replica does it."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _look(self) -> None:
        aside = [case_id for case_id, (until, _) in self._aside.items() if until > time.monotonic()]
        now, ahead = await clock_store.next_due(self._office.pool, aside)
        if ahead is None or ahead > timedelta(0):
            soon = LOOK_EVERY_SECONDS if ahead is None else ahead.total_seconds()
            await asyncio.sleep(min(soon, LOOK_EVERY_SECONDS))
            return
        looked = time.monotonic()
        try:
            fired = await escalation.fire(self._office, now, self._most, aside)
        except NotFiredError as error:
            self._isolate(error)
            return
        self._most = min(AT_ONCE, self._most * 2)
        if not fired.settled:
            await asyncio.sleep(AGAIN_AFTER_SECONDS)
            return
        self._count(fired, now + timedelta(seconds=time.monotonic() - looked))
        await self._say(fired)

    def _isolate(self, error: NotFiredError) -> None:
        """Take half as many at a time, down to the one that fails; that one waits, ever longer, the others go on."""
        if len(error.case_ids) > 1:
            self._most = len(error.case_ids) // 2
            return
        [case_id] = error.case_ids
        _, waited = self._aside.get(case_id, (0.0, SET_ASIDE_SECONDS / 2))
        wait = min(waited * 2, LONGEST_ASIDE_SECONDS)
        self._aside[case_id] = (time.monotonic() + wait, wait)
        self._metrics.deadlines_failed.inc()
        log.error("deadline_not_followed_up", case_id=str(case_id), again_in_seconds=wait, exc_info=error)

    async def _say(self, fired: Fired) -> None:
        for one in fired.settled:
            self._aside.pop(one.case.id, None)
        self._publish(fired.rows)
        await self._alerted()
        if fired.ask_again:
            self._publish(await unanswered(self._office.pool, fired.ask_again))

    def _count(self, fired: Fired, at: datetime) -> None:
        """Count what followed. `at` is the database's time, so that no replica's clock shows in the lateness."""
        for one in fired.settled:
            what = one.due.what
            if one.follows:
                late = (at - one.due.since).total_seconds()
                self._metrics.lateness.labels(what.stage.value).observe(max(0.0, late))
                self._metrics.escalations.labels(what.stage.value, str(min(what.step, 24)), one.case.in_charge).inc()
