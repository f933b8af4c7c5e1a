"""The delivery worker: takes due deliveries from Postgres, calls out, writes down how it went.

It is apart from the consumer, since a slow receiver must not hold up the chain. The intent is on disk
before the call; whoever dies in the middle leaves the delivery due again, with the same id.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, assert_never

import httpx2
import structlog

from services.notifier import alert_store, webhook
from services.notifier.alert_store import Due
from services.notifier.metrics import Metrics
from services.notifier.webhook import Dead, Delivered, Retry
from shared.postgres import TRANSIENT, Pool
from shared.privacy import Seal, SealBrokenError
from shared.tasks import forever

log = structlog.get_logger()

LEASE_SECONDS: Final = 30.0
AT_ONCE: Final = 32
GIVE_UP_AFTER: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast and how patient a courier is, in seconds."""

    look_every: float = 0.5
    timeout: float = 5.0
    first_wait: float = 1.0
    longest_wait: float = 300.0


def wait_after(attempts: int, pace: Pace) -> float:
    """Seconds to the next try: twice as long each time, up to the longest wait."""
    return float(min(pace.first_wait * 2 ** min(attempts - 1, 20), pace.longest_wait))


PACE: Final = Pace()


class Courier:
    """Delivers alerts to webhooks. Several may work side by side, here or in other replicas."""

    def __init__(self, pool: Pool, identity: Seal, metrics: Metrics, pace: Pace = PACE) -> None:
        self._pool = pool
        self._identity = identity
        self._metrics = metrics
        self._pace = pace
        self._wake = asyncio.Event()
        self._client = httpx2.AsyncClient(timeout=pace.timeout, follow_redirects=False)
        self._task: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Begin to deliver."""
        self._task = asyncio.create_task(forever(self._work))

    async def close(self) -> None:
        """Finish the calls in hand, briefly, and stop."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._running:
            await asyncio.wait(self._running, timeout=2)
        await self._client.aclose()

    def hurry(self) -> None:
        """Look at once: alerts were committed here."""
        self._wake.set()

    async def _work(self) -> None:
        with suppress(TimeoutError):
            # not wait_for: Python 3.11's may swallow the cancellation that ends this loop
            async with asyncio.timeout(self._pace.look_every):
                await self._wake.wait()
        self._wake.clear()
        while room := AT_ONCE - len(self._running):
            found = await alert_store.claim_due(self._pool, room, LEASE_SECONDS)
            for due in found:
                task = asyncio.create_task(self._deliver(due))
                self._running.add(task)
                task.add_done_callback(self._done)
            if not found:
                break

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()):
            log.error("delivery_failed", exc_info=error)  # it is due again after the lease

    async def _deliver(self, due: Due) -> None:
        outcome = Dead("webhook removed") if due.removed else await self._try(due)
        with suppress(*TRANSIENT):  # then it is due again after the lease, with the same id
            await self._write_down(due, outcome)

    async def _try(self, due: Due) -> webhook.Outcome:
        try:
            secret = self._identity.open(due.sealed_secret, str(due.webhook_id))
            url = due.url if due.url.startswith("http") else self._identity.open(due.url, str(due.webhook_id))
        except SealBrokenError:
            return Dead("the webhook's secret cannot be opened")
        return await webhook.post(self._client, url, secret, due.alert_id, due.facts, self._pace.timeout)

    async def _write_down(self, due: Due, outcome: webhook.Outcome) -> None:
        age = datetime.now(UTC) - due.created_at
        if isinstance(outcome, Retry) and age > GIVE_UP_AFTER:
            outcome = Dead(f"gave up after {GIVE_UP_AFTER}: {outcome.reason}")
        match outcome:
            case Delivered():
                await alert_store.settle(self._pool, due, "delivered", None, 0)
                self._metrics.stage.labels("alert_to_delivered").observe(age.total_seconds())
            case Retry(reason):
                await alert_store.settle(self._pool, due, "pending", reason, wait_after(due.attempts, self._pace))
            case Dead(reason):
                log.error("delivery_dead", webhook=str(due.webhook_id), reason=reason)
                await alert_store.settle(self._pool, due, "dead", reason, 0)
            case _:
                assert_never(outcome)
        self._metrics.deliveries.labels(type(outcome).__name__.lower()).inc()
