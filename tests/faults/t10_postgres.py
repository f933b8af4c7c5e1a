"""PostgreSQL ends connections, holds a lock, hands none out, or has no room: 503, and never a false success."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg
import httpx2

from services.intake.desk import ANSWERED_WITHIN_SECONDS
from tests.faults.at_intake import compared, unanswered_are_broken
from tests.faults.clients import Bank, bodies, morning
from tests.faults.database import own_server
from tests.faults.journal import Journal, State
from tests.faults.play import Outcome, Play
from tests.faults.small_disk import SmallDisk, small_disk
from tests.parts import Door, bank, intake_door

SEEDS: Final = (10,)
CLIENTS: Final = 16
ENDED_EVERY_SECONDS: Final = 0.2
AT_ONCE: Final = 40
"""More than the door has connections."""

READY_WITHIN_SECONDS: Final = 10.0
AFTERWARDS: Final = 10
PASSING: Final = {200, 202, 409, 429, 503}
"""What a client may be told while there is trouble; in particular no 500."""


@dataclass(slots=True)
class _Scene:
    """A door on a database of its own, its clients, and a way to the database around the door."""

    dsn: str
    door: Door
    bank: Bank
    journal: Journal
    dice: random.Random
    long: bool
    figures: dict[str, float | str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def bodies(self, number: int) -> list[dict[str, Any]]:
        """Return so many reports that nobody has filed."""
        return list(bodies(self.dice, number))

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[Any]:
        """Connect to the database, around the door."""
        connection = await asyncpg.connect(self.dsn, server_settings={"search_path": "intake"})
        try:
            yield connection
        finally:
            await connection.close()


Trouble = Callable[[_Scene], Awaitable[None]]


async def play(run: Play) -> Outcome:
    """Play the four troubles, one after the other, and hold after each that all is stored and all is well again."""
    dice = random.Random(run.seed)  # noqa: S311 - a test's dice
    total = Outcome(operations=0)
    async with own_server(run.folder) as server:
        for trouble in (_connections_ended, _locked, _exhausted):
            _add(total, await _played(trouble, await server.clone("intake"), run, dice))
    async with small_disk(run.folder / "small") as disk:
        _add(total, await _played(lambda scene: _full(scene, disk), disk.dsn, run, dice))
    return total


async def _played(trouble: Trouble, dsn: str, run: Play, dice: random.Random) -> Outcome:
    journal = Journal(run.folder / f"{dsn.rpartition('/')[2]}.jsonl")
    async with intake_door(dsn) as door, httpx2.AsyncClient(timeout=60) as http:
        client = Bank(http, [door.url], bank(), journal)
        scene = _Scene(dsn, door, client, journal, dice, run.long)
        await trouble(scene)
        await morning(client, scene.bodies(AFTERWARDS), CLIENTS)
    outcome = await compared(dsn, journal)
    unanswered_are_broken(journal, outcome)
    if wrong := set(client.answers) - PASSING:
        scene.broken.append(f"answers were {sorted(wrong)}")
    outcome.figures = scene.figures
    outcome.broken += [*scene.broken, *client.hasty]
    return outcome


def _add(total: Outcome, one: Outcome) -> None:
    total.operations += one.operations
    total.lost += one.lost
    total.doubled += one.doubled
    total.figures |= one.figures
    total.broken += one.broken


async def _connections_ended(scene: _Scene) -> None:
    """End all connections but ours every so often, while clients post."""
    ended = 0

    async def end() -> None:
        nonlocal ended
        sql = """
            select count(pg_terminate_backend(pid)) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()
        """
        async with scene.beside() as connection:
            while True:
                ended += await connection.fetchval(sql)
                await asyncio.sleep(ENDED_EVERY_SECONDS)

    ending = asyncio.create_task(end())
    await morning(scene.bank, scene.bodies(2000 if scene.long else 200), CLIENTS)
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)
    scene.figures["connections ended"] = ended


async def _locked(scene: _Scene) -> None:
    """Hold a lock on the table that reports are written to; nothing may be accepted until it is gone.

    One table, since whoever waits for a second one may be waited for.
    """
    seconds = 35 if scene.long else ANSWERED_WITHIN_SECONDS + 2
    posting = asyncio.create_task(morning(scene.bank, scene.bodies(AT_ONCE), CLIENTS))
    async with scene.beside() as connection, connection.transaction():
        await connection.execute("lock table report in access exclusive mode")
        told = scene.bank.answers[503]
        before = len(scene.journal.of("report", State.OK))
        await asyncio.sleep(seconds)  # as long as the lock is held, not until something is so
        during = len(scene.journal.of("report", State.OK))
        # an answer may have been on its way when the lock was got
        if during - before > CLIENTS:
            scene.broken.append(f"{during - before} reports were accepted while their table was locked")
    told = scene.bank.answers[503] - told
    await posting
    scene.figures["503 in the lock"] = told
    if told < CLIENTS:
        scene.broken.append(f"{told} of {CLIENTS} clients were told to come again while nothing could be stored")


async def _exhausted(scene: _Scene) -> None:
    """Let more requests wait for a lock than there are connections; who asks for one meanwhile is told so."""
    filed = [await scene.bank.report(body) for body in scene.bodies(AT_ONCE)]
    async with asyncio.TaskGroup() as group, scene.beside() as connection, connection.transaction():
        await connection.execute("lock table disposition in access exclusive mode")
        for one in filed:
            group.create_task(scene.bank.dispose(one.id, "cancelled", one.facts["amount_fen"]))
        await _none_left(scene)
        began = asyncio.get_running_loop().time()
        ready = await _ready(scene)
        scene.figures["told not ready in s"] = round(asyncio.get_running_loop().time() - began, 1)
        if ready != 503:
            scene.broken.append(f"with no connection left, /health/ready answered {ready}, not 503 in time")
    if await _ready(scene) != 200:
        scene.broken.append("with connections again, the door is not ready")


async def _none_left(scene: _Scene) -> None:
    """Return when each connection of the door waits for the lock."""
    sql = """
        select count(*) filter (where wait_event_type = 'Lock') >= count(*) - 1 from pg_stat_activity
        where datname = current_database() and application_name = 'lanjie-intake' and wait_event is not null
          and backend_type = 'client backend' and pid <> all($1::int[])
    """
    mine = await scene.door.pool.fetchval("select array[pg_backend_pid()]")
    async with asyncio.timeout(20), scene.beside() as connection:
        while not await connection.fetchval(sql, mine):  # noqa: ASYNC110 - PostgreSQL tells nobody
            await asyncio.sleep(0.05)


async def _ready(scene: _Scene) -> int:
    try:
        answer = await scene.door.client.get("/health/ready", timeout=READY_WITHIN_SECONDS)
    except httpx2.TimeoutException:
        return 0
    return answer.status_code


async def _full(scene: _Scene, disk: SmallDisk) -> None:
    """Fill the disk; what cannot be written is refused; then make room."""
    await morning(scene.bank, scene.bodies(AT_ONCE), CLIENTS)
    await disk.fill()
    before = scene.bank.answers[503]
    posting = asyncio.create_task(morning(scene.bank, scene.bodies(200), CLIENTS))
    async with asyncio.timeout(60):
        while scene.bank.answers[503] < before + CLIENTS:  # noqa: ASYNC110 - clients count it
            await asyncio.sleep(0.05)
    await disk.free()
    await posting
    scene.figures["503 on a full disk"] = scene.bank.answers[503] - before
