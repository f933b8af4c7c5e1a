"""A door that the tests of one file share, where each looks only at what is its own."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.parts import DatabaseServer, Door, intake_door


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(server: DatabaseServer) -> AsyncIterator[Door]:
    async with intake_door(await server.clone("intake")) as door:
        yield door
