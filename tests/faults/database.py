"""A database server of a fault test's own, for tests that need no whole run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.local import postgres
from tests.parts import DatabaseServer, database_server


@asynccontextmanager
async def own_server(folder: Path) -> AsyncIterator[DatabaseServer]:
    """Run a PostgreSQL with a template database for each service. It keeps the times of its commits."""
    postgres.SETTINGS["track_commit_timestamp"] = "on"
    server = database_server(folder)
    running = await asyncio.to_thread(server.__enter__)
    try:
        await running.make_templates()
        yield running
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)
