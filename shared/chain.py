"""A service's place in the chain: its database, what it says, and what it hears."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from shared.consumer import Consumer
from shared.dead_letters import Poison, park
from shared.express import Since
from shared.kafka import Publisher, UnsafeBrokerError, ensure_topics, in_sync
from shared.observe import Runtime
from shared.outbox import Outgoing
from shared.postgres import TRANSIENT, Pool, UnsafeDatabaseError, open_pool
from shared.probing import Tuning
from shared.records import Received
from shared.relay import Relay
from shared.settings import Settings
from shared.tracing_export import exported
from shared.tracing_messages import handling as traced
from shared.upkeep import every_hour, forget_letters
from shared.watchdog import brokers_are_well, exit_for_supervisor, refuse_to_start, watch_pool, watch_producer

log = structlog.get_logger()

RETRY_SECONDS: Final = 1.0
LEAVE_SECONDS: Final = 6.5
"""With what the door takes to finish (`shared.http`), a stop stays under ten seconds, whatever hangs."""

Handle = Callable[[Sequence[Received]], Awaitable[Sequence[Outgoing]]]
"""Handles a batch, commits it, and returns the events it has promised."""


@dataclass(frozen=True, slots=True)
class Chain:
    """The parts a service is wired from."""

    pool: Pool
    relay: Relay
    consumer: Consumer
    publisher: Publisher

    def runtime(self) -> Runtime:
        """Return what health and metrics look at."""
        return Runtime(self.pool, self.consumer, self.publisher)


@asynccontextmanager
async def joined(
    settings: Settings,
    service: str,
    topics: Sequence[str],
    handling: Callable[[Pool], Handle],
    parked: Callable[[int], object],
    *,
    express: Mapping[str, Since] | None = None,
) -> AsyncIterator[Chain]:
    """Join the chain for as long as the context lasts. Parts that are not up yet are waited for.

    `handling` makes the batch handler once the pool is open; `parked` counts dead letters; `express` names topics
    whose fresh events go ahead of a backlog.
    """
    pool = await _patient_pool(settings, service)
    publisher = Publisher(
        settings.kafka_bootstrap_servers,
        f"/lanjie/{service}",
        restore=lambda: ensure_topics(
            settings.kafka_bootstrap_servers,
            partitions=settings.kafka_partitions,
            replicas=settings.kafka_replicas,
            tls=settings.broker_tls(),
        ),
        tls=settings.broker_tls(),
    )
    relay = Relay(pool, publisher.send)
    handle, seal, group = handling(pool), settings.narrative(), f"lanjie-{service}"

    async def handle_and_say(batch: Sequence[Received]) -> None:
        with traced(group, batch) as marked:
            relay.publish_soon(await handle(marked))

    async def put_aside(records: Sequence[Poison]) -> None:
        parked(len(records))
        relay.publish_soon(await park(pool, records, seal))

    consumer = Consumer(
        settings.kafka_bootstrap_servers,
        group,
        topics,
        instance=settings.instance(service),
        handle=handle_and_say,
        park=put_aside,
        tuning=Tuning(express or {}, settings.watchdog_seconds, tls=settings.broker_tls()),
    )
    relay.start()

    async def keep_up(now: datetime) -> None:
        await forget_letters(pool, now - timedelta(days=settings.letters_kept_days))

    work = (_join(settings, consumer), *_watchdogs(settings, pool, publisher), every_hour(keep_up))
    tasks = [asyncio.create_task(one) for one in work]
    async with exported(service, settings.instance(service)):
        try:
            yield Chain(pool, relay, consumer, publisher)
        finally:
            for task in tasks:
                task.cancel()
            await _leave(pool, relay, consumer, publisher)
            log.info("stopped", service=service)


def _watchdogs(settings: Settings, pool: Pool, publisher: Publisher) -> Sequence[Coroutine[None, None, None]]:
    seconds, copies = settings.watchdog_seconds, in_sync(settings.kafka_replicas)

    async def well() -> bool:
        return await brokers_are_well(settings.kafka_bootstrap_servers, copies, settings.broker_tls())

    return (
        watch_pool(pool, settings.database_url, seconds, exit_for_supervisor),
        watch_producer(publisher.failing_seconds, well, seconds, exit_for_supervisor),
    )


async def _leave(pool: Pool, relay: Relay, consumer: Consumer, publisher: Publisher) -> None:
    """Hear no more, then say what is in hand. What stays unsaid for lack of time stays in the outbox."""
    try:
        async with asyncio.timeout(LEAVE_SECONDS):
            await consumer.stop()
            await relay.stop()
            await publisher.stop()
            await pool.close()
    except TimeoutError:
        log.warning("left_in_haste")
        pool.terminate()


async def _patient_pool(settings: Settings, service: str) -> Pool:
    while True:
        try:
            return await open_pool(settings.database_url, service, most=settings.database_connections)
        except UnsafeDatabaseError as error:
            refuse_to_start(error)
        except TRANSIENT as error:
            log.warning("database_away", error=type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)


async def _join(settings: Settings, consumer: Consumer) -> None:
    while True:
        try:
            await ensure_topics(
                settings.kafka_bootstrap_servers,
                partitions=settings.kafka_partitions,
                replicas=settings.kafka_replicas,
                tls=settings.broker_tls(),
            )
        except UnsafeBrokerError as error:
            refuse_to_start(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, a consumer that never starts is worse
            log.warning("broker_away", error=type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)
        else:
            consumer.start()
            return
