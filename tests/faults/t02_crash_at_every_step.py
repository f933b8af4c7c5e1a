"""A service ends before or after each statement, commit, send, offset commit and call out; the next life goes on."""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import httpx2

from tests.faults.checker import check, settled
from tests.faults.clients import Bank, bodies
from tests.faults.journal import Journal, State
from tests.faults.lives import Service, chain, dice_of, grounds
from tests.faults.people import DRAINED_WITHIN_SECONDS, at_work, told_by_webhook
from tests.faults.play import Outcome, Play
from tests.parts import bank

SEEDS: Final = (2,)
STEPS_SHORT: Final = 5
"""Of each service, by dice."""

LEARNING_REPORTS: Final = 4
CLIENTS: Final = 2
ACCOUNTS: Final = 10**12
"""So many that each report is a case of its own."""

UNREACHED_AFTER_SECONDS: Final = 10.0
TRIES: Final = 3
PAUSE_SECONDS: Final = 0.2


@dataclass(slots=True)
class _Plan:
    """Which steps of a service are still to be tried. A step that no life comes to is tried a few times."""

    service: Service
    dice: random.Random
    most: int | None
    current: str = ""
    done: bool = False
    tries: dict[str, int] = field(default_factory=dict)

    def next(self) -> str:
        """Choose the step at which the next life ends; nothing, when none is left."""
        ended = self.service.ended_at()
        left = [one for one in self.service.steps() if one not in ended and self.tries.get(one, 0) < TRIES]
        if not left or (self.most is not None and len(ended) >= self.most):
            self.done, self.current = True, ""
        else:
            self.current = self.dice.choice(left)
            self.tries[self.current] = self.tries.get(self.current, 0) + 1
        return self.current

    async def follow(self) -> None:
        """End lives that do not come to their step, until no step is left."""
        self.service.last_step = self.next
        self.service.kill()
        while not self.done:
            life = self.service.life
            with suppress(TimeoutError):
                async with asyncio.timeout(UNREACHED_AFTER_SECONDS):
                    while self.service.life == life and not self.done:  # noqa: ASYNC110 - another process
                        await asyncio.sleep(0.05)
            if self.service.life == life and not self.done:
                self.service.kill()


async def play(run: Play) -> Outcome:
    """Learn the steps in a first life of each service, then end the lives at them, and compare."""
    journal = Journal(run.folder / "journal.jsonl")
    dice = dice_of(run.seed)
    async with (
        grounds(run.folder) as (databases, broker),
        chain(run.folder, databases, broker) as running,
        httpx2.AsyncClient(timeout=5) as http,
        told_by_webhook(running),
    ):
        clients = Bank(http, [running.services["intake"].url], bank(), journal)
        async with at_work(running, http, journal):
            await asyncio.gather(*(_visit(clients, dice) for _ in range(LEARNING_REPORTS)))
            await settled(running.databases, DRAINED_WITHIN_SECONDS, deliveries=True)
            most = None if run.long else STEPS_SHORT
            plans = [_Plan(service, dice, most) for service in running.services.values()]
            trying = asyncio.gather(*(plan.follow() for plan in plans))
            await asyncio.gather(*(_visits(clients, dice, trying) for _ in range(CLIENTS)))
            await trying
            await running.ready()
            drained = await settled(running.databases, DRAINED_WITHIN_SECONDS, deliveries=True)
        drained += await settled(running.databases, DRAINED_WITHIN_SECONDS, deliveries=True)
        outcome = await check(running.databases, journal, delivered=True)
        for plan in plans:
            _note(plan, outcome)
    outcome.figures |= {"repeated posts": clients.repeats, "drained s": round(drained, 1)}
    return outcome


def _note(plan: _Plan, outcome: Outcome) -> None:
    seen, ended = len(plan.service.steps()), len(plan.service.ended_at())
    outcome.figures[plan.service.name] = f"{ended} of {seen} steps"
    if not ended:
        outcome.broken.append(f"no life of {plan.service.name} came to the step it was to end at")
    if odd := set(plan.service.ended) - {137, -9}:
        outcome.broken.append(f"lives of {plan.service.name} ended by themselves, with {sorted(odd)}")


async def _visits(clients: Bank, dice: random.Random, trying: "asyncio.Future[list[None]]") -> None:
    while not trying.done():
        await _visit(clients, dice)
        await asyncio.sleep(PAUSE_SECONDS)


async def _visit(clients: Bank, dice: random.Random) -> None:
    """One customer: the report, and how the visit ended. Half of the money is left, for the police to stop."""
    [body] = bodies(dice, 1, ACCOUNTS)
    filed = await clients.report(body)
    if filed.state is State.OK:
        await clients.dispose(filed.id, "cancelled", filed.facts["amount_fen"] // 2)
