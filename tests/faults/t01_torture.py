"""Reports from 16 retrying clients while every part is killed: nothing lost, nothing doubled, drained in time."""

import asyncio
import random
from collections.abc import Sequence
from typing import Final

import httpx2

from tests.e2e.stack import Stack, running_stack
from tests.faults.checker import check, settled
from tests.faults.clients import Bank, bodies, morning
from tests.faults.journal import Journal
from tests.faults.play import Outcome, Play

SEEDS: Final = (1,)
VICTIMS: Final = ("intake", "rules", "notifier", "postgres", "kafka")
CLIENTS: Final = 16
DRAINED_WITHIN_SECONDS: Final = 120.0


async def play(run: Play) -> Outcome:
    """Kill, compare, and say how long it took to drain."""
    reports, kills = (10_000, 50) if run.long else (800, 12)
    with running_stack(run.folder, KAFKA="apache") as stack:
        journal = Journal(run.folder / "journal.jsonl")
        dice = random.Random(run.seed)  # noqa: S311 - a test's dice
        queue = list(bodies(dice, reports))
        async with httpx2.AsyncClient(timeout=5) as http, asyncio.TaskGroup() as group:
            bank = Bank(http, [stack.info["intake"]], stack.bank(), journal)
            killing = group.create_task(_kill(stack, dice, queue, reports, kills))
            await morning(bank, queue, CLIENTS)
            killed = await killing
        drained = await settled(stack.info["databases"], DRAINED_WITHIN_SECONDS)
        outcome = await check(stack.info["databases"], journal)
    outcome.figures = {"kills": killed, "repeated posts": bank.repeats, "drained s": round(drained, 1)}
    return outcome


async def _kill(stack: Stack, dice: random.Random, queue: Sequence[object], reports: int, kills: int) -> int:
    """Kill a random part each time so many more reports are under way."""
    for number in range(1, kills + 1):
        while len(queue) > reports - number * reports // (kills + 1):  # noqa: ASYNC110 - clients empty it
            await asyncio.sleep(0.02)
        await asyncio.to_thread(stack.kill, dice.choice(VICTIMS))
    return kills
