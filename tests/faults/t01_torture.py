"""Reports from 16 retrying clients while every part is killed: nothing lost, nothing doubled, drained in time."""

import asyncio
import random
from typing import Final

import httpx2

from tests.e2e.stack import Stack, running_stack
from tests.faults.checker import check, settled
from tests.faults.clients import Bank, bodies, morning
from tests.faults.journal import Journal
from tests.faults.orders import PAYEES_BANK, UNIT, Desk, officer, payees_bank, told_by_webhook
from tests.faults.play import Outcome, Play

SEEDS: Final = (1,)
VICTIMS: Final = ("intake", "rules", "notifier", "postgres", "kafka")
CLIENTS: Final = 16
BETWEEN_KILLS_SECONDS: Final = (0.2, 2.2)
DRAINED_WITHIN_SECONDS: Final = 120.0


async def play(run: Play) -> Outcome:
    """Kill, compare, and say how long it took to drain."""
    reports, kills = (10_000, 50) if run.long else (800, 12)
    with running_stack(run.folder, KAFKA="apache") as stack:
        journal = Journal(run.folder / "journal.jsonl")
        dice = random.Random(run.seed)  # noqa: S311 - a test's dice
        queue = list(bodies(dice, reports))
        async with httpx2.AsyncClient(timeout=5) as http, told_by_webhook(stack) as receiver:
            bank = Bank(http, [stack.info["intake"]], stack.bank(), journal)
            police = Desk(http, stack.info["notifier"], stack.officer(UNIT), journal)
            payees = Desk(http, stack.info["intake"], stack.bank(PAYEES_BANK), journal)
            going_home = asyncio.Event()
            executing = asyncio.create_task(payees_bank(payees))
            async with asyncio.TaskGroup() as group:
                group.create_task(officer(police, going_home))
                killing = group.create_task(_kill(stack, dice, kills))
                await morning(bank, queue, CLIENTS)
                await killing
                drained = await settled(stack.info["databases"], DRAINED_WITHIN_SECONDS, deliveries=True)
                going_home.set()
            drained += await settled(stack.info["databases"], DRAINED_WITHIN_SECONDS, deliveries=True)
            executing.cancel()
            await asyncio.gather(executing, return_exceptions=True)
        outcome = await check(stack.info["databases"], journal, delivered=True)
    outcome.figures = {
        "kills": kills,
        "repeated posts": bank.repeats,
        "orders answered": len(journal.of("feedback")),
        "webhook calls": len(receiver.requests),
        "drained s": round(drained, 1),
    }
    return outcome


async def _kill(stack: Stack, dice: random.Random, kills: int) -> None:
    """Kill a random part again and again, sometimes before it is well up."""
    for _ in range(kills):
        await asyncio.sleep(dice.uniform(*BETWEEN_KILLS_SECONDS))
        await asyncio.to_thread(stack.kill, dice.choice(VICTIMS))
