"""Fixtures on real parts: one embedded PostgreSQL a session, one database a test, doors over real HTTP."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from shared.observe import configure_logging
from tests.parts import DatabaseServer, Door, database_server, intake_door, notifier_door

configure_logging("tests")
os.environ.pop("COLUMNS", None)  # pytest-xdist sets it, and commands would make their tables that narrow
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background jobs ignore it, and so would our runs
    signal.signal(signal.SIGINT, signal.default_int_handler)
# without a stopwatch: a busy machine is no failure
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    """Yield a real PostgreSQL with a migrated, loaded template database for each service."""
    with database_server(Path(tmp_path_factory.mktemp("postgres"))) as running:
        asyncio.run(running.make_templates())
        yield running


@pytest.fixture
async def database(server: DatabaseServer) -> Callable[[str], Awaitable[str]]:
    """Return a function that clones a service's template and gives the clone's DSN."""
    return server.clone


@pytest.fixture
async def intake(server: DatabaseServer) -> AsyncIterator[Door]:
    """Yield the banks' door over real HTTP, on a database of its own, with no broker to be reached."""
    async with intake_door(await server.clone("intake")) as door:
        yield door


@pytest.fixture
async def notifier(server: DatabaseServer) -> AsyncIterator[Door]:
    """Yield the police's door over real HTTP, on a database of its own, with no broker to be reached."""
    async with notifier_door(await server.clone("notifier")) as door:
        yield door
