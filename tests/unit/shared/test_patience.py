"""What fails for a passing reason is tried again: at once after a collision, else with patience, until the end."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from shared.patience import Patience
from shared.tasks import forever


def failing(*errors: Exception) -> tuple[list[float], Callable[[], Awaitable[None]]]:
    """Return work that fails with these errors in turn and then succeeds, and the times it was done at."""
    left, done = list(errors), []

    async def work() -> None:
        done.append(time.monotonic())
        if left:
            raise left.pop(0)

    return done, work


async def test_a_collision_is_tried_again_at_once_and_is_no_outage() -> None:
    done, work = failing(*[asyncpg.DeadlockDetectedError() for _ in range(4)])
    patience = Patience("test", asyncio.Event())
    await patience.until_done(work)
    assert len(done) == 5
    assert not patience.waiting_out


async def test_a_lasting_reason_is_raised_at_once() -> None:
    done, work = failing(ValueError("a defect"))
    with pytest.raises(ValueError, match="a defect"):
        await Patience("test", asyncio.Event()).until_done(work)
    assert len(done) == 1


async def test_an_outage_is_waited_out_until_we_are_told_to_end() -> None:
    ended = asyncio.Event()
    patience = Patience("test", ended)
    _, work = failing(*[ConnectionError() for _ in range(1000)])
    waiting = asyncio.create_task(patience.until_done(work))
    async with asyncio.timeout(10):
        while not patience.waiting_out:  # noqa: ASYNC110 - it is set without an event
            await asyncio.sleep(0.01)
    ended.set()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 10)


async def test_a_loop_takes_a_step_that_collided_again_without_its_breather() -> None:
    done, work = failing(asyncpg.SerializationError(), asyncpg.DeadlockDetectedError())
    through = asyncio.Event()

    async def step() -> None:
        await work()
        through.set()
        await asyncio.Event().wait()

    loop = asyncio.create_task(forever(step))
    await asyncio.wait_for(through.wait(), 10)
    loop.cancel()
    assert len(done) == 3
    assert done[-1] - done[0] < 1, "the breather lasts a second"
