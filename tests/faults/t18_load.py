"""Load: steadily, in a burst, and a backlog: memory stays flat, what is too much is refused, nothing is lost."""

import asyncio
import random
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

import httpx2
import psutil

from deploy.local.config import SERVICES
from tests.e2e.stack import Stack, running_stack
from tests.faults.checker import check, settled
from tests.faults.clients import Bank, bodies, morning, steadily
from tests.faults.cluster import start, stop
from tests.faults.journal import Journal
from tests.faults.play import Outcome, Play

SEEDS: Final = (1,)
STEADY_PER_SECOND: Final = 40.0
ALLOWED_PER_SECOND: Final = 600
ALLOWED_AT_ONCE: Final = 300
BURST_CLIENTS: Final = 64
BATCH: Final = 200
MOST_MEGABYTES: Final = 200.0
"""Of any service at any time. The benchmark holds them to less; this catches what grows with a queue."""
MOST_GROWTH_MEGABYTES: Final = 60.0
"""From the steady load to after the backlog: caches that fill, buffers of a full batch; not a list of reports."""


async def play(run: Play) -> Outcome:
    """Load it in three ways and weigh it after each."""
    seconds, burst, backlog = (180.0, 5_000, 100_000) if run.long else (12.0, 800, 10_000)
    limits = {"RATE_PER_SECOND": str(ALLOWED_PER_SECOND), "RATE_BURST": str(ALLOWED_AT_ONCE)}
    with running_stack(run.folder, KAFKA="apache", **limits) as stack:
        journal = Journal(run.folder / "journal.jsonl")
        filed = bodies(random.Random(run.seed), 1_000_000, accounts=2_000)  # noqa: S311 - a test's dice
        async with httpx2.AsyncClient(timeout=60) as http:
            bank = Bank(http, [stack.info["intake"]], stack.bank(), journal)
            await _steady(bank, filed, seconds)
            await settled(stack.info["databases"], 120)
            before = _megabytes(stack)
            run.say(f"after the steady load {_said(before)}")
            await morning(bank, list(islice(filed, burst)), BURST_CLIENTS)
            run.say(f"after a burst {_said(_megabytes(stack))}")
            drained = await _backlog(stack, bank, filed, backlog)
            after = _megabytes(stack)
            run.say(f"after a backlog of {backlog} {_said(after)}")
        outcome = await check(stack.info["databases"], journal)
    refused = bank.answers[429] + bank.answers[503]
    _judge(outcome, bank, before, after)
    outcome.figures = {"refused with 429 or 503": refused, "backlog": backlog, "drained a second": round(drained)}
    outcome.figures |= {f"{service} MB": f"{before[service]:.0f} to {after[service]:.0f}" for service in SERVICES}
    return outcome


async def _steady(bank: Bank, filed: Iterator[dict[str, Any]], seconds: float) -> None:
    enough = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, enough.set)
    await steadily(bank, filed, STEADY_PER_SECOND, enough)


async def _backlog(stack: Stack, bank: Bank, filed: Iterator[dict[str, Any]], number: int) -> float:
    """Let reports pile up while rules is away; return how many a second are done with once it is back."""
    stop(stack, "rules")
    queue = [list(islice(filed, BATCH)) for _ in range(number // BATCH)]

    async def client() -> None:
        while queue:
            await bank.batch(queue.pop())

    await asyncio.gather(*(client() for _ in range(4)))
    start(stack, "rules")
    return number / await settled(stack.info["databases"], number / 50 + 120)


def _megabytes(stack: Stack) -> dict[str, float]:
    return {service: psutil.Process(stack.pid(service)).memory_info().rss / 1e6 for service in SERVICES}


def _said(weights: Mapping[str, float]) -> str:
    return ", ".join(f"{service} {megabytes:.0f} MB" for service, megabytes in weights.items())


def _judge(outcome: Outcome, bank: Bank, before: Mapping[str, float], after: Mapping[str, float]) -> None:
    outcome.broken += bank.hasty
    if not bank.answers[429] + bank.answers[503]:
        outcome.broken.append("a burst above what a bank is allowed was not refused")
    for service, megabytes in after.items():
        grown = megabytes - before[service] if service != "rules" else 0.0  # rules was started anew
        if megabytes > MOST_MEGABYTES or grown > MOST_GROWTH_MEGABYTES:
            outcome.broken.append(f"{service} takes {megabytes:.0f} MB, {grown:.0f} more than before")
