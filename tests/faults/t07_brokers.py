"""Three brokers under load: leaders killed, one halted, two and all killed, a disk wiped, a topic deleted."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

import httpx2

from shared.events import REPORTS, VERDICTS
from tests.e2e.stack import running_stack
from tests.faults.checker import check, settled
from tests.faults.clients import Bank, bodies, steadily
from tests.faults.cluster import PARTS, Cluster
from tests.faults.journal import Journal
from tests.faults.play import Outcome, Play

SEEDS: Final = (1,)
REPORTS_PER_SECOND: Final = 20.0
DRAINED_WITHIN_SECONDS: Final = 120.0
BROKERS: Final = tuple(PARTS.values())

Step = tuple[str, Callable[[], Awaitable[object]]]


async def play(run: Play) -> Outcome:
    """Hurt the brokers in every way while banks file; intake's door must not notice."""
    with running_stack(run.folder, KAFKA="apache", KAFKA_BROKERS="3") as stack:
        journal = Journal(run.folder / "journal.jsonl")
        dice = random.Random(run.seed)  # noqa: S311 - a test's dice
        async with httpx2.AsyncClient(timeout=20) as http:
            bank = Bank(http, [stack.info["intake"]], stack.bank(), journal)
            enough, intake = asyncio.Event(), stack.pid("intake")
            async with asyncio.TaskGroup() as group:
                group.create_task(steadily(bank, bodies(dice, 1_000_000), REPORTS_PER_SECOND, enough))
                for name, step in _steps(Cluster(stack), random.Random(run.seed), long=run.long):  # noqa: S311
                    run.say(name)
                    await step()
                enough.set()
        drained = await settled(stack.info["databases"], DRAINED_WITHIN_SECONDS)
        outcome = await check(stack.info["databases"], journal)
        if stack.pid("intake") != intake:
            outcome.broken.append("intake ended while only brokers were hurt")
    refused = {status: number for status, number in bank.answers.items() if status not in (200, 202)}
    if refused:
        outcome.broken.append(f"intake answered {refused} while only brokers were hurt")
    outcome.figures = {"drained s": round(drained, 1), **bank.silences}
    return outcome


def _steps(cluster: Cluster, dice: random.Random, *, long: bool) -> list[Step]:
    """Return what is done, one after the other. Each waits until the cluster is whole before the next."""
    times, seconds = (30, 60.0) if long else (4, 8.0)

    async def leaders() -> None:
        for _ in range(times):
            victim = await cluster.leader(REPORTS, dice.randrange(4))
            await cluster.kill(victim)
            await cluster.back(victim)
        await cluster.whole()

    async def halted() -> None:
        await cluster.halt(await cluster.leader(VERDICTS, dice.randrange(4)), seconds)
        await cluster.whole()

    async def killed(number: int) -> None:
        victims = dice.sample(BROKERS, number)
        await cluster.kill(*victims)
        await cluster.back(*victims)
        await cluster.whole()

    async def wiped() -> None:
        victim = dice.choice(BROKERS)
        await cluster.wipe(victim)
        await cluster.back(victim)
        await cluster.whole()

    async def deleted() -> None:
        topic = dice.choice((REPORTS, VERDICTS))
        await cluster.delete(topic)
        await cluster.there(topic)

    return [
        (f"the leader killed {times} times", leaders),
        (f"a leader halted for {seconds:g} s", halted),
        ("two of three killed", lambda: killed(2)),
        ("all killed", lambda: killed(3)),
        ("a disk wiped", wiped),
        ("a topic deleted", deleted),
    ]
