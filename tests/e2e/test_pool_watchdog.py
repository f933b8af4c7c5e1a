"""A pool that hangs ends the process; one that is only busy, or whose database is away, does not."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg

from shared.postgres import open_pool
from shared.watchdog import watch_pool
from tests.e2e.test_watchdogs import GaveUp
from tests.parts import NOWHERE, DatabaseServer


async def test_a_pool_that_lends_nothing_is_given_up_while_a_fresh_connection_works(
    database: Callable[[str], Awaitable[str]],
) -> None:
    dsn, gave_up = await database("rules"), GaveUp()
    pool = await open_pool(dsn, "rules", most=2)
    watching = asyncio.create_task(watch_pool(pool, dsn, 0.5, gave_up))
    async with pool.acquire() as connection:
        await connection.fetchval("select pg_sleep(1.2)")
    assert gave_up.told == [], "one connection was left"
    held = [await pool.acquire() for _ in range(2)]
    await asyncio.wait_for(gave_up.event.wait(), 30)
    assert gave_up.told[0] == "pool"
    watching.cancel()
    for one in held:
        await pool.release(one)
    await pool.close()


async def test_a_pool_is_not_given_up_while_the_database_is_away(server: DatabaseServer) -> None:
    dsn, gave_up = await server.clone("rules"), GaveUp()
    pool = await open_pool(dsn, "rules", most=2)
    held = [await pool.acquire() for _ in range(2)]
    watching = asyncio.create_task(watch_pool(pool, f"postgresql://nobody@{NOWHERE}/none", 0.2, gave_up))
    await asyncio.sleep(1.0)  # several times its patience
    assert gave_up.told == []
    watching.cancel()
    for one in held:
        await pool.release(one)
    await pool.close()


async def test_a_pool_is_watched_on_after_its_database_was_renamed_for_a_while(server: DatabaseServer) -> None:
    dsn, gave_up = await server.clone("rules"), GaveUp()
    name, admin = dsn.rpartition("/")[2].partition("?")[0], await asyncpg.connect(server.dsn("postgres"))
    pool = await open_pool(dsn, "rules", most=2)
    watching = asyncio.create_task(watch_pool(pool, dsn, 0.5, gave_up))
    await admin.execute(f"alter database {name} with allow_connections false")
    await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name)
    await admin.execute(f"alter database {name} rename to away")
    await asyncio.sleep(1.5)  # several times its patience
    await admin.execute(f"alter database away rename to {name}")
    await admin.execute(f"alter database {name} with allow_connections true")
    assert gave_up.told == []
    held = [await pool.acquire() for _ in range(2)]
    await asyncio.wait_for(gave_up.event.wait(), 30)
    watching.cancel()
    for one in held:
        await pool.release(one)
    await pool.close()
    await admin.close()
