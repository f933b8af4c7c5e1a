"""Where dead letters lie: the services' databases, by the environment or as the local run wrote them down."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

from shared import dead_letter_store
from shared.dead_letter_store import Which
from shared.postgres import RawConnection, Row
from shared.privacy import Seal
from shared.settings import read_keys, told

SERVICES: Final = ("intake", "rules", "notifier")


@dataclass(frozen=True, slots=True)
class Place:
    """One service's letters."""

    service: str
    dsn: str


Found = tuple[Place, Row]
"""A letter and where it lies."""


def _run(name: str) -> dict[str, Any]:
    """Read what the local run wrote down. Raises `ValueError` where there is none."""
    path = Path(os.environ.get("LANJIE_RUN_DIR", ".run")) / name
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            "set DATABASE_URL (for replay also KAFKA_BOOTSTRAP_SERVERS, for show and replay NARRATIVE_KEYS), "
            "or start a local run here ('make run')"
        ) from error
    return content


def brokers() -> str:
    """Return where Kafka is."""
    return told("KAFKA_BOOTSTRAP_SERVERS") or str(_run("lanjie.json")["kafka"])


def seal() -> Seal:
    """Return what letters are sealed with."""
    return Seal(read_keys(told("NARRATIVE_KEYS") or f"n1:{_run('secrets.json')['narrative_key']}"))


async def places() -> list[Place]:
    """Return the services whose letters can be reached."""
    dsn = told("DATABASE_URL")
    if dsn is None:
        return [Place(service, dsn) for service, dsn in _run("lanjie.json")["databases"].items()]
    connection = await asyncpg.connect(dsn)
    try:
        there = await dead_letter_store.has_letters(connection, SERVICES)
    finally:
        await connection.close()
    if not there:
        raise ValueError("the database at DATABASE_URL has no dead letters of intake, rules or notifier")
    return [Place(service, dsn) for service in there]


@asynccontextmanager
async def connected(place: Place) -> AsyncIterator[RawConnection]:
    """Connect to a service's database."""
    connection = await asyncpg.connect(place.dsn, server_settings={"search_path": place.service})
    try:
        yield connection
    finally:
        await connection.close()


async def found(which: Which, most: int) -> list[Found]:
    """Return letters of all places, those that were parked last first."""

    async def of(place: Place) -> list[Found]:
        async with connected(place) as connection:
            return [(place, row) for row in await dead_letter_store.letters(connection, which, most)]

    everywhere = await asyncio.gather(*(of(place) for place in await places()))
    together = [one for those in everywhere for one in those]
    return sorted(together, key=lambda one: one[1]["parked_at"], reverse=True)[:most]


async def exactly(ids: Sequence[str]) -> list[Found]:
    """Return the letters with these ids. Raises `ValueError` where one is no letter's, or the beginning of several."""
    letters = []
    for letter_id in dict.fromkeys(ids):
        fitting = await found(Which(ids=[letter_id]), 2)
        if len(fitting) != 1:
            raise ValueError(f"{'several letters begin with' if fitting else 'there is no letter'} {letter_id}")
        letters += fitting
    return letters


def by_place(letters: Iterable[Found]) -> list[tuple[Place, list[Row]]]:
    """Group letters by where they lie."""
    groups: dict[Place, list[Row]] = {}
    for place, row in letters:
        groups.setdefault(place, []).append(row)
    return list(groups.items())
