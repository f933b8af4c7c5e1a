"""A service's place in the chain: its database, what it says, and what it hears."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import structlog

from shared.consumer import Consumer
from shared.dead_letters import Poison, park
from shared.kafka import Publisher, ensure_topics
from shared.outbox import Outgoing, Relay
from shared.postgres import TRANSIENT, Pool, open_pool
from shared.records import Received
from shared.settings import Settings

log = structlog.get_logger()

RETRY_SECONDS: Final = 1.0

Handle = Callable[[Sequence[Received]], Awaitable[Sequence[Outgoing]]]
"""Handles a batch, commits it, and returns the events it has promised."""


@dataclass(frozen=True, slots=True)
class Chain:
    """The parts a service is wired from."""

    pool: Pool
    relay: Relay
    consumer: Consumer


@asynccontextmanager
async def joined(
    settings: Settings,
    service: str,
    topics: Sequence[str],
    handling: Callable[[Pool], Handle],
    parked: Callable[[int], object],
) -> AsyncIterator[Chain]:
    """Join the chain for as long as the context lasts. Parts that are not up yet are waited for.

    `handling` makes the batch handler once the pool is open; `parked` counts dead letters.
    """
    pool = await _patient_pool(settings, service)
    publisher = Publisher(settings.kafka_bootstrap_servers, f"/lanjie/{service}")
    relay = Relay(pool, publisher.send)
    handle = handling(pool)

    async def handle_and_say(batch: Sequence[Received]) -> None:
        relay.publish_soon(await handle(batch))

    async def put_aside(records: Sequence[Poison]) -> None:
        parked(len(records))
        relay.publish_soon(await park(pool, records))

    consumer = Consumer(
        settings.kafka_bootstrap_servers,
        f"lanjie-{service}",
        topics,
        instance=settings.instance(service),
        handle=handle_and_say,
        park=put_aside,
    )
    relay.start()
    joining = asyncio.create_task(_join(settings, consumer))
    try:
        yield Chain(pool, relay, consumer)
    finally:
        joining.cancel()
        await consumer.stop()
        await relay.stop()
        await publisher.stop()
        with suppress(TimeoutError):
            await asyncio.wait_for(pool.close(), 3)
        log.info("stopped", service=service)


async def _patient_pool(settings: Settings, service: str) -> Pool:
    while True:
        try:
            return await open_pool(settings.database_url, service, most=settings.database_connections)
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
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, a consumer that never starts is worse
            log.warning("broker_away", error=type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)
        else:
            consumer.start()
            return
