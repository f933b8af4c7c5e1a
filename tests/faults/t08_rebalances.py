"""A rebalance storm: second consumers of rules and notifier come and go while banks file steadily."""

import asyncio
import random
import uuid
from typing import Final

import httpx2

from deploy.local.config import free_port
from tests.e2e.stack import Stack, running_stack
from tests.faults.checker import check, settled
from tests.faults.clients import Bank, bodies, steadily
from tests.faults.journal import Journal
from tests.faults.play import Outcome, Play
from tests.faults.replicas import replica

SEEDS: Final = (1,)
STORMY: Final = ("rules", "notifier")
REPORTS_PER_SECOND: Final = 20.0
EVERY_SECONDS: Final = 5.0
RECOVERED_WITHIN_SECONDS: Final = 60.0


async def play(run: Play) -> Outcome:
    """Let it blow, first with members who keep their name, then with strangers; then wait until all is well."""
    seconds = 300.0 if run.long else 24.0
    with running_stack(run.folder, KAFKA="apache") as stack:
        journal = Journal(run.folder / "journal.jsonl")
        dice = random.Random(run.seed)  # noqa: S311 - a test's dice
        async with httpx2.AsyncClient(timeout=20) as http:
            bank = Bank(http, [stack.info["intake"]], stack.bank(), journal)
            enough = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                group.create_task(steadily(bank, bodies(dice, 1_000_000), REPORTS_PER_SECOND, enough))
                storms = [_storm(stack, part, seconds, dice.getrandbits(32)) for part in STORMY]
                comings = sum(await asyncio.gather(*storms))
                enough.set()
        recovered = await settled(stack.info["databases"], RECOVERED_WITHIN_SECONDS)
        outcome = await check(stack.info["databases"], journal)
    outcome.figures = {"comings and goings": comings, "recovered s": round(recovered, 1)}
    return outcome


async def _storm(stack: Stack, part: str, seconds: float, seed: int) -> int:
    """Have a second consumer come and go: half the time under one name, half the time under a new one each time.

    It goes politely or is killed, by the dice. Return how often it came.
    """
    loop, dice, port = asyncio.get_running_loop(), random.Random(seed), free_port()  # noqa: S311
    told = stack.environment(part)
    began, comings = loop.time(), 0
    while (gone := loop.time() - began) < seconds:
        stranger = {} if gone < seconds / 2 else {"INSTANCE_ID": f"{part}-{uuid.UUID(int=dice.getrandbits(128)).hex}"}
        second = replica(stack, part, told, port=port, **stranger)
        comings += 1
        try:
            await asyncio.sleep(EVERY_SECONDS)
        finally:
            await second.end(politely=dice.random() < 1 / 2)
    return comings
