"""Upkeep: what is past its time is forgotten, every hour.

Any replica may do it, at any time and together with others.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

import structlog

from shared.postgres import TRANSIENT, Pool
from shared.tasks import forever

log = structlog.get_logger()

EVERY_SECONDS: Final = 3600.0
AGAIN_SECONDS: Final = 300.0


async def every_hour(keep_up: Callable[[datetime], Awaitable[object]]) -> None:
    """Keep up at once and every hour until cancelled; where something it needs is busy, again in five minutes."""

    async def step() -> None:
        try:
            await keep_up(datetime.now(UTC))
        except TRANSIENT as error:
            log.warning("upkeep_put_off", error=type(error).__name__)
            await asyncio.sleep(AGAIN_SECONDS)
        else:
            await asyncio.sleep(EVERY_SECONDS)

    await forever(step)


async def forget_letters(pool: Pool, before: datetime) -> None:
    """Delete the dead letters that were replayed before a moment, and the records in those that were dropped.

    A dropped one stays as a line, since its record is to stay unheard. One that is parked waits for somebody.
    """
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            """
            with gone as (
                select id from dead_letter where state = 'replayed' and changed_at < $1 for update skip locked
            ), told as (
                delete from dead_letter_step where letter_id in (select id from gone)
            )
            delete from dead_letter where id in (select id from gone)
            """,
            before,
        )
        await connection.execute(
            "update dead_letter set sealed = null where state = 'dropped' and changed_at < $1 and sealed is not null",
            before,
        )
