"""The courier: takes due deliveries from Postgres, calls out, writes down how it went.

It is apart from the consumer, since a slow receiver must not hold up the chain. The intent is on disk
before the call; whoever dies in the middle leaves the delivery due again, with the same id. Each target has
a lane of its own, so that a slow one holds up nobody else; how fast a lane may go and whether it rests is
kept with the target, so that all replicas know.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog

from services.notifier.alerting import delivery_store
from services.notifier.alerting.channels.limits import Channel, limits_of
from services.notifier.alerting.channels.message import Message, asks_acknowledgement
from services.notifier.alerting.channels.outcome import Cause, Dead, Delivered, Outcome, Retry
from services.notifier.alerting.channels.sending import send
from services.notifier.alerting.channels.wires import Wires
from services.notifier.alerting.delivery_store import Due
from services.notifier.alerting.lane import LOW, PACE, Lane, Pace, Tried, health, most_targets, settlement
from services.notifier.duty import link
from services.notifier.metrics import Metrics
from shared import tracing
from shared.postgres import TRANSIENT, Pool
from shared.privacy import Seal, SealBrokenError, Tokens
from shared.tasks import forever
from shared.tracing import Kind, Span

log = structlog.get_logger()

LEASE_SECONDS: Final = 30.0
STOP_SECONDS: Final = 2.0


class Courier:
    """Delivers to all targets. Several may work side by side, here or in other replicas."""

    def __init__(
        self, pool: Pool, identity: Seal, tokens: Tokens, metrics: Metrics, wires: Wires, pace: Pace = PACE
    ) -> None:
        self._pool = pool
        self._identity = identity
        self._tokens = tokens
        self._metrics = metrics
        self._wires = wires
        self._pace = pace
        self._limits = limits_of(wires.settings.sms_per_minute)
        self._lanes: dict[UUID, Lane] = {}
        self._tried: list[Tried] = []
        self._wake = asyncio.Event()
        self._ended = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._running: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Begin to deliver."""
        self._tasks = [asyncio.create_task(forever(self._take)), asyncio.create_task(forever(self._write_down))]

    async def close(self) -> None:
        """Give back what was not tried, finish the calls in hand, briefly, write down how they went, and stop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        untried = [due.id for lane in self._lanes.values() for due in lane.store]
        for lane in self._lanes.values():
            lane.store.clear()
        with suppress(*TRANSIENT):
            async with asyncio.timeout(STOP_SECONDS):
                await delivery_store.give_back(self._pool, untried)
        if self._running:
            await asyncio.wait(self._running, timeout=STOP_SECONDS)
        with suppress(*TRANSIENT):
            async with asyncio.timeout(STOP_SECONDS):
                await self._settle()
        for task in self._running:
            task.cancel()  # its delivery is due again after its lease
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._wires.http.aclose()

    def hurry(self) -> None:
        """Look at once: alerts were committed here."""
        self._wake.set()

    async def _take(self) -> None:
        with suppress(TimeoutError):
            # not wait_for: Python 3.11's may swallow the cancellation that ends this loop
            async with asyncio.timeout(self._pace.look_every):
                await self._wake.wait()
        self._wake.clear()
        rooms = {target_id: lane.room for target_id, lane in self._lanes.items()}
        found = await delivery_store.claim_due(self._pool, most_targets(rooms), LEASE_SECONDS, self._limits, rooms)
        for due in found:
            lane = self._lanes.setdefault(due.target_id, Lane(self._limits[due.channel]))
            lane.store.append(due)
        for target_id in {due.target_id for due in found}:
            self._go_on(target_id)

    def _go_on(self, target_id: UUID) -> None:
        lane = self._lanes[target_id]
        while carried := lane.next():
            lane.in_flight += 1
            task = asyncio.create_task(self._deliver(target_id, carried))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        idle = not lane.in_flight and not lane.store and not lane.failing
        if idle:
            del self._lanes[target_id]
        if idle or len(lane.store) == LOW:
            self._wake.set()

    async def _deliver(self, target_id: UUID, carried: tuple[Due, ...]) -> None:
        lane = self._lanes[target_id]
        try:
            outcome = await self._call(carried)
        except Exception:  # a fault of ours: this message may wait, the others go on
            log.exception("delivery_failed", channel=carried[0].channel.value, **tracing.named(_trace_of(carried[0])))
            outcome = Retry("our own fault: see the log", Cause.SETTING)
        lane.in_flight -= 1
        lane.failing = lane.failing or isinstance(outcome, Retry)
        self._tried.append(Tried(carried, outcome, datetime.now(UTC)))
        self._ended.set()
        self._go_on(target_id)

    async def _call(self, carried: tuple[Due, ...]) -> Outcome:
        due = carried[0]
        if due.removed:
            return Dead("target removed", Cause.REMOVED)
        about = str(due.target_id)
        try:
            secret = due.sealed_secret and self._identity.open(due.sealed_secret, about)
            clear = due.channel == Channel.WEBHOOK and due.address.startswith("http")  # from before targets
            address = due.address if clear else self._identity.open(due.address, about)
        except SealBrokenError:
            return Retry("the target's address or secret cannot be opened", Cause.SETTING)  # keys can be set right
        began, messages = time.time_ns(), tuple(map(self._message, carried))
        outcome = await send(self._wires, due.channel, address, secret, messages)
        if tracing.on():
            _record(carried, messages, began, outcome)
        return outcome

    def _message(self, due: Due) -> Message:
        base, trace = self._wires.settings.public_url, _trace_of(due)
        trace = tracing.child(trace) if trace and tracing.on() else trace
        officers = due.owner == "officer" and asks_acknowledgement(due.type, due.facts)
        if not base or due.channel == Channel.WEBHOOK or not officers:
            return Message(due.message_id, due.type, due.facts, None, trace)
        url = link.url(base, self._tokens, due.id, due.created_at + link.GOOD_FOR)
        return Message(due.message_id, due.type, due.facts, url, trace)

    async def _write_down(self) -> None:
        await self._ended.wait()
        self._ended.clear()
        await self._settle()

    async def _settle(self) -> None:
        """Write down all that has ended since: one statement, however many. What fails to be written is kept."""
        tried = list(self._tried)
        if not tried:
            return
        self._ended.set()  # again, should this fail
        settlements = [settlement(due, one, self._pace) for one in tried for due in one.carried]
        judged = health(tried)
        back = [one.target_id for one in judged if one.probe and one.worked and not one.failed]
        if back:  # while they are closed to others, who could have taken what is made due
            await delivery_store.hasten(self._pool, back)
        resting = await delivery_store.settle(
            self._pool, settlements, judged, self._pace.first_rest, self._pace.longest_rest
        )
        del self._tried[: len(tried)]
        self._count(tried)
        if back:
            self._wake.set()
        await self._resume({one.target_id for one in judged}, resting)

    async def _resume(self, settled: set[UUID], resting: set[UUID]) -> None:
        back: list[Due] = []
        for target_id in settled & set(self._lanes):
            lane = self._lanes[target_id]
            if target_id in resting:
                back += lane.store
                lane.store.clear()
            lane.failing = False
            self._go_on(target_id)
        if back:
            await delivery_store.give_back(self._pool, [due.id for due in back])

    def _count(self, tried: Sequence[Tried]) -> None:
        for one in tried:
            due, outcome = one.carried[0], one.outcome
            cause = "" if isinstance(outcome, Delivered) else outcome.cause.value
            if isinstance(outcome, Dead):
                told = {"target": str(due.target_id), "channel": due.channel.value, "reason": outcome.reason}
                log.error("delivery_dead", **told, **tracing.named(_trace_of(due)))
            self._metrics.deliveries.labels(due.channel.value, due.owner, type(outcome).__name__.lower(), cause).inc(
                len(one.carried)
            )
            if isinstance(outcome, Delivered):
                for carried in one.carried:
                    self._metrics.stage.labels("alert_to_delivered").observe(
                        (one.at - carried.created_at).total_seconds()
                    )


def _trace_of(due: Due) -> str:
    """Return the trace of what a message is about; there is none in messages from before traces were kept."""
    return str(due.facts.get("traceparent") or "")


def _record(carried: Sequence[Due], messages: Sequence[Message], began: int, outcome: Outcome) -> None:
    """Record the delivery of each message that went along in a call."""
    ended = time.time_ns()
    error = "" if isinstance(outcome, Delivered) else outcome.cause.value
    for due, message in zip(carried, messages, strict=True):
        if message.traceparent:
            attributes = {"lanjie.channel": due.channel.value, "lanjie.owner": due.owner, "lanjie.try": due.attempts}
            tracing.record(
                Span(
                    f"deliver by {due.channel.value}",
                    Kind.CLIENT,
                    message.traceparent,
                    _trace_of(due),
                    began,
                    ended,
                    attributes,
                    error=error,
                )
            )
