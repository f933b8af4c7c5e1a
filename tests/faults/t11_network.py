"""The network delays, loses and cuts one way, between banks and intake, the services and PostgreSQL, and Kafka."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from tests.faults.checker import check, settled
from tests.faults.clients import Bank, bodies
from tests.faults.journal import Journal, State
from tests.faults.lives import chain, dice_of, grounds
from tests.faults.people import DRAINED_WITHIN_SECONDS, at_work, told_by_webhook
from tests.faults.play import Outcome, Play
from tests.faults.proxy import CALM, HOST, Line, Way, Weather, line_to, line_to_database
from tests.parts import bank

SEEDS: Final = (11,)
STORM: Final = Weather(delay=0.1, jitter=0.05, loss=0.05, stall=1.0)
"""Each way; there and back it is 200 ± 100 ms."""

CLIENTS: Final = 8
REPORTS: Final = 100_000
"""More than are filed before the time is over."""


@dataclass(frozen=True, slots=True)
class _Lines:
    """All lines by name, and what each service is told so that it takes them."""

    lines: Mapping[str, Line]
    told: Mapping[str, Mapping[str, str]]


async def play(run: Play) -> Outcome:
    """File through storm and cuts; then compare."""
    journal = Journal(run.folder / "journal.jsonl")
    dice = dice_of(run.seed)
    storm_seconds, cut_seconds, cuts = (120.0, 30.0, 12) if run.long else (6.0, 5.0, 2)
    async with AsyncExitStack() as stack:
        databases, broker = await stack.enter_async_context(grounds(run.folder))
        laid = await stack.enter_async_context(_lines(databases, broker, dice))
        running = await stack.enter_async_context(chain(run.folder, databases, broker, laid.told))
        await stack.enter_async_context(told_by_webhook(running))
        http = await stack.enter_async_context(httpx2.AsyncClient(timeout=30))
        port = int(running.services["intake"].url.rpartition(":")[2])
        counter = await stack.enter_async_context(line_to(HOST, port, dice))
        clients = Bank(http, [f"http://{HOST}:{counter.port}"], bank(), journal)
        lines = {**laid.lines, "banks to intake": counter}
        over = asyncio.Event()
        async with at_work(running, http, journal):
            filing = asyncio.gather(*(_file(clients, bodies(dice, REPORTS), over) for _ in range(CLIENTS)))
            await _storm(lines, storm_seconds)
            await _cut(run, lines, dice_of(run.seed), cuts, cut_seconds)
            over.set()
            await filing
            drained = await settled(running.databases, DRAINED_WITHIN_SECONDS, deliveries=True)
        drained += await settled(running.databases, DRAINED_WITHIN_SECONDS, deliveries=True)
        outcome = await check(running.databases, journal, delivered=True)
        lives = sum(len(service.ended) for service in running.services.values())
    outcome.broken += [f"the line {name} carried nothing" for name, line in lines.items() if not line.carried]
    accepted = len(journal.of("report", State.OK))
    resets = sum(line.resets for line in lines.values())
    outcome.figures = {
        "reports": accepted,
        "repeated posts": clients.repeats,
        "connections reset": resets,
        "cuts": cuts,
        "services that ended": lives,
        "drained s": round(drained, 1),
    }
    return outcome


async def _file(clients: Bank, queue: Iterator[dict[str, Any]], over: asyncio.Event) -> None:
    """One teller after the other, until it is over; every fifth customer keeps the money."""
    for place, body in enumerate(queue):
        if over.is_set():
            return
        filed = await clients.report(body)
        if place % 5 == 0:
            await clients.dispose(filed.id, "cancelled", filed.facts["amount_fen"])


@asynccontextmanager
async def _lines(databases: Mapping[str, str], broker: str, dice: random.Random) -> AsyncIterator[_Lines]:
    """Lay a line from each service to its database, and one to the broker."""
    broker_port = int(broker.rpartition(":")[2])
    lines: dict[str, Line] = {}
    told: dict[str, dict[str, str]] = {}
    async with AsyncExitStack() as stack:
        for service, dsn in databases.items():
            line, through = await stack.enter_async_context(line_to_database(dsn, dice))
            kafka = await stack.enter_async_context(line_to(HOST, broker_port, dice))
            lines |= {f"{service} to PostgreSQL": line, f"{service} to Kafka": kafka}
            told[service] = {"DATABASE_URL": through, "DETOURS": f"{broker_port}:{kafka.port}"}
        yield _Lines(lines, told)


async def _storm(lines: Mapping[str, Line], seconds: float) -> None:
    for line in lines.values():
        line.weather = STORM
    await asyncio.sleep(seconds)  # as long as it lasts
    for line in lines.values():
        line.weather = CALM


async def _cut(run: Play, lines: Mapping[str, Line], dice: random.Random, cuts: int, seconds: float) -> None:
    """Cut a line one way, one after the other, to a database and to the broker by turns."""
    kinds = [[name for name in lines if name.endswith(end)] for end in ("PostgreSQL", "Kafka")]
    for number in range(cuts):
        name, way = dice.choice(kinds[number % 2]), dice.choice(list(Way))
        run.say(f"cut {name}, {way.value}, for {seconds:.0f} s")
        lines[name].cut(way)
        await asyncio.sleep(seconds)  # as long as it lasts
        lines[name].mend()
