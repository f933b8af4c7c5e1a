"""Loops in the background that nothing ends but their owner."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from shared.patience import COLLISIONS, COLLISIONS_IN_A_ROW, step_aside
from shared.postgres import TRANSIENT

log = structlog.get_logger()

BREATHER_SECONDS: Final = 1.0


async def forever(step: Callable[[], Awaitable[object]]) -> None:
    """Repeat a step until cancelled. What goes wrong in one is logged; after a breather the next one follows.

    A step whose transaction collided with another is taken again at once, a few times. A loop that ended in
    silence would look like one with nothing to do.
    """
    name, collisions = step.__qualname__, 0
    while True:
        try:
            await step()
            collisions = 0
        except TRANSIENT as error:
            if isinstance(error, COLLISIONS) and collisions < COLLISIONS_IN_A_ROW:
                collisions += 1
                await step_aside(collisions)
                continue
            collisions = 0
            log.warning("step_failed", step=name, error=type(error).__name__)
            await asyncio.sleep(BREATHER_SECONDS)
        except Exception:
            log.exception("step_failed", step=name)
            await asyncio.sleep(BREATHER_SECONDS)
