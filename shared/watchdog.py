"""Watchdogs: what hangs for good ends the process, and the supervisor starts a new one.

Each first makes sure that the other side is well. While the database or the brokers are away a restart helps nobody.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, NoReturn

import asyncpg
import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from shared.broker_tls import Tls, client_options
from shared.events import TOPICS
from shared.postgres import TRANSIENT, Pool

log = structlog.get_logger()

HUNG: Final = 70
"""The exit code of a process that gave itself up (EX_SOFTWARE)."""
REFUSED: Final = 78
"""The exit code of a process that refuses to start on unsafe settings (EX_CONFIG)."""
LOOKS: Final = 12
"""How often a watchdog looks within its patience."""
CALL_SECONDS: Final = 5.0

GiveUp = Callable[[str, float], None]
"""Told what has hung, and for how many seconds."""


def exit_for_supervisor(what: str, seconds: float) -> None:
    """End the process at once: what hangs would hang a graceful stop too, and a crash loses nothing."""
    log.critical("gave_up", stuck=what, seconds=round(seconds), exit_code=HUNG)
    os._exit(HUNG)


def refuse_to_start(error: Exception) -> NoReturn:
    """End the process with the sentence that says what is unsafe, and what to do."""
    log.critical("refused_to_start", why=str(error), exit_code=REFUSED)
    os._exit(REFUSED)


async def watch_pool(pool: Pool, dsn: str, seconds: float, give_up: GiveUp) -> None:
    """Give up when no query gets through the pool for so many seconds while a fresh connection works."""
    loop = asyncio.get_running_loop()
    worked = loop.time()
    while True:
        try:
            # it stands in line with the others: a pool that is only busy lets it through in time
            async with asyncio.timeout(seconds):
                await pool.fetchval("select 1")
            worked = loop.time()
        except (*TRANSIENT, asyncpg.PostgresError):
            pass  # whatever it is: a watchdog that ends is never heard again
        if loop.time() - worked >= seconds and await _database_is_well(dsn):
            give_up("pool", loop.time() - worked)
        await asyncio.sleep(seconds / LOOKS)


async def _database_is_well(dsn: str) -> bool:
    with suppress(*TRANSIENT, asyncpg.PostgresError):
        async with asyncio.timeout(CALL_SECONDS):
            connection = await asyncpg.connect(dsn)
            try:
                return bool(await connection.fetchval("select true"))
            finally:
                connection.terminate()
    return False


async def watch_producer(
    failing_seconds: Callable[[], float], well: Callable[[], Awaitable[bool]], seconds: float, give_up: GiveUp
) -> None:
    """Give up when nothing could be published for so many seconds, by any producer we built, though brokers were well.

    The time before they were well does not count: after a long outage every producer needs a moment.
    """
    loop = asyncio.get_running_loop()
    since = None
    while True:
        failing = failing_seconds() > 0 and await well()
        since = (since or loop.time()) if failing else None
        if since is not None and loop.time() - since >= seconds:
            give_up("producer", failing_seconds())
        await asyncio.sleep(seconds / LOOKS)


async def brokers_are_well(bootstrap: str, in_sync: int, tls: Tls | None = None) -> bool:
    """Whether every partition has a leader and as many copies in sync as a record needs to be acknowledged."""
    limit = int(CALL_SECONDS * 1000)
    try:
        options = client_options(tls)
    except OSError:  # somebody is just renewing the files
        return False
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=limit, **options)
    try:
        async with asyncio.timeout(CALL_SECONDS):
            await admin.start()
            topics = await admin.describe_topics(sorted(TOPICS))
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        with suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(CALL_SECONDS):
                await admin.close()
    partitions = [partition for topic in topics for partition in topic["partitions"]]
    return bool(partitions) and all(
        partition["leader"] >= 0 and len(partition["isr"]) >= in_sync for partition in partitions
    )
