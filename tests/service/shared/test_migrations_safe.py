"""A migration spares the services that are at work on its tables: it never makes them wait for whom it waits for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
import httpx2
import pytest

from deploy.local.config import ROOT
from shared.postgres import MigrationFailedError, Pace, RawConnection, migrate
from tests.parts import Door, a_key, a_report, bank, intake_door

MIGRATION: Final = ROOT / "services" / "intake" / "migrations" / "20261122000002_upkeep.sql"
CLIENTS: Final = 4
TAKEN_MEANWHILE: Final = 40
WAITS: Final = (
    "select true from pg_stat_activity where wait_event_type = 'Lock' and query ilike '%alter table report %'"
)
IN_HASTE: Final = Pace(lock_seconds=0.3, pause_seconds=0.3)

Dsn = Callable[[str], Awaitable[str]]


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[RawConnection]:
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "intake"})
    try:
        yield connection
    finally:
        await connection.close()


async def take_back(dsn: str) -> None:
    """Bring a database to the schema before a migration that needs the reports for itself."""
    async with connected(dsn) as connection, connection.transaction():
        await connection.execute(MIGRATION.read_text(encoding="utf-8").partition("-- migrate:down")[2])
        await connection.execute("delete from schema_migrations where version = $1", MIGRATION.name.partition("_")[0])


@asynccontextmanager
async def a_long_read(dsn: str) -> AsyncIterator[None]:
    """Hold the reports open for reading, as a report that runs for hours does."""
    async with connected(dsn) as connection, connection.transaction():
        await connection.fetch("select count(*) from report")
        yield


async def waited_for(connection: RawConnection, *, waits: bool) -> None:
    while bool(await connection.fetchval(WAITS)) is not waits:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.01)


async def is_migrated(connection: RawConnection) -> bool:
    return bool(await connection.fetchval("select to_regclass('report_with_details') is not null"))


@asynccontextmanager
async def clients(door: Door, answers: list[int]) -> AsyncIterator[None]:
    """Have clients file one report after the other, for as long as the context lasts."""

    async def client() -> None:
        while True:
            headers = bank(**{"Idempotency-Key": a_key()})
            answers.append((await door.client.post("/v1/reports", json=a_report(), headers=headers)).status_code)

    filing = [asyncio.create_task(client()) for _ in range(CLIENTS)]
    try:
        yield
    finally:
        for one in filing:
            one.cancel()
        for end in await asyncio.gather(*filing, return_exceptions=True):
            assert isinstance(end, asyncio.CancelledError | httpx2.HTTPError), end


async def test_reports_are_taken_while_a_migration_waits_for_a_long_read(database: Dsn) -> None:
    dsn = await database("intake")
    await take_back(dsn)
    answers: list[int] = []
    async with intake_door(dsn) as door, clients(door, answers), connected(dsn) as looking:
        async with a_long_read(dsn):
            migrating = asyncio.create_task(asyncio.to_thread(migrate, dsn, "intake", IN_HASTE))
            await waited_for(looking, waits=True)
            before = len(answers)
            while len(answers) < before + TAKEN_MEANWHILE:  # noqa: ASYNC110 - tasks of this test
                await asyncio.sleep(0.01)
            assert not migrating.done()
            assert not await is_migrated(looking)
        await migrating
        assert await is_migrated(looking)
        done = len(answers)
        while len(answers) < done + CLIENTS:  # noqa: ASYNC110 - tasks of this test
            await asyncio.sleep(0.01)
    assert set(answers) == {202}


async def test_a_migration_that_never_gets_its_lock_says_so_and_leaves_nothing_half_done(database: Dsn) -> None:
    dsn = await database("intake")
    await take_back(dsn)
    async with a_long_read(dsn), connected(dsn) as looking:
        with pytest.raises(MigrationFailedError, match="lock timeout"):
            await asyncio.to_thread(migrate, dsn, "intake", Pace(lock_seconds=0.1, pause_seconds=0.1, tries=2))
        assert not await is_migrated(looking)
    await asyncio.to_thread(migrate, dsn, "intake")


async def test_a_statement_that_takes_too_long_is_undone_and_not_tried_again(database: Dsn) -> None:
    dsn = await database("intake")
    await take_back(dsn)
    async with a_long_read(dsn), connected(dsn) as looking:
        with pytest.raises(MigrationFailedError, match="statement timeout"):
            await asyncio.to_thread(migrate, dsn, "intake", Pace(lock_seconds=60, statement_seconds=0.1))
        assert not await is_migrated(looking)


async def test_two_who_migrate_at_once_do_it_once(database: Dsn) -> None:
    dsn = await database("intake")
    await take_back(dsn)
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(asyncio.to_thread(migrate, dsn, "intake", IN_HASTE))
    async with connected(dsn) as looking:
        assert await is_migrated(looking)


async def test_what_waits_behind_a_migration_waits_no_longer_than_its_lock(database: Dsn) -> None:
    dsn = await database("intake")
    await take_back(dsn)
    async with a_long_read(dsn), connected(dsn) as looking, connected(dsn) as behind:
        migrating = asyncio.create_task(asyncio.to_thread(migrate, dsn, "intake", IN_HASTE))
        await waited_for(looking, waits=True)
        await behind.execute("select count(*) from report")  # waits behind the migration, not for the long read
        assert not migrating.done()
    await migrating
