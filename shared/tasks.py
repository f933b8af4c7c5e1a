"""Loops in the background that nothing ends but their owner."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from shared.postgres import TRANSIENT

log = structlog.get_logger()

BREATHER_SECONDS: Final = 1.0


async def forever(step: Callable[[], Awaitable[object]]) -> None:
    """Repeat a step until cancelled. What goes wrong in one is logged; after a breather the next one follows.

    A loop that ended in silence would look like one with nothing to do.
    """
    while True:
        try:
            await step()
        except TRANSIENT as error:
            log.warning("step_failed", step=step.__qualname__, error=type(error).__name__)
            await asyncio.sleep(BREATHER_SECONDS)
        except Exception:
            log.exception("step_failed", step=step.__qualname__)
            await asyncio.sleep(BREATHER_SECONDS)
