"""A pool on notifier's database, for what needs no door; a door that a file's tests share."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from shared.postgres import Pool, open_pool
from tests.parts import DatabaseServer, Door, notifier_door
from tests.service.notifier.builders import Gained, money


@pytest.fixture
async def dsn(database: Callable[[str], Awaitable[str]]) -> str:
    """Return the address of a database of the test's own."""
    return await database("notifier")


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    """Yield a pool on that database."""
    opened = await open_pool(dsn, "notifier", most=6)
    yield opened
    await opened.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_notifier(server: DatabaseServer) -> AsyncIterator[Door]:
    """Yield a door for a whole file, whose tests each work on a case of their own."""
    async with notifier_door(await server.clone("notifier")) as door:
        yield door


@pytest_asyncio.fixture(loop_scope="module")
async def gained(shared_notifier: Door) -> Gained:
    """Return a function that says what the shared door's ledger has gained in this test, in fen by kind."""
    before = await money(shared_notifier.pool)

    async def since() -> dict[str, int]:
        after = await money(shared_notifier.pool)
        return {kind: fen - before[kind] for kind, fen in after.items() if fen != before[kind]}

    return since
