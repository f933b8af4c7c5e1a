"""The judge's database."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from shared.postgres import Pool, open_pool


@pytest.fixture
async def dsn(database: Callable[[str], Awaitable[str]]) -> str:
    return await database("rules")


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    opened = await open_pool(dsn, "rules", most=4)
    yield opened
    await opened.close()


@pytest.fixture
async def other_pool(dsn: str) -> AsyncIterator[Pool]:
    """Yield what a second replica works with."""
    opened = await open_pool(dsn, "rules", most=4)
    yield opened
    await opened.close()
