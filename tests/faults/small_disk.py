"""A PostgreSQL one of whose databases lies on a disk so small that it can be filled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from tests.parts import DatabaseServer, database_server

MEGABYTES: Final = 96
MOUNTED: Final = (
    f'mount -t tmpfs -o size={MEGABYTES}m none "$0" && exec unshare --user --map-user=1000 --map-group=1000 "$@"'
)
"""In a user namespace of its own anybody may mount, and nobody outside sees it; PostgreSQL must not run as its root."""


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """Intake's database on the small disk, and the file beside it that takes the room away."""

    server: DatabaseServer
    dsn: str
    ballast: Path

    async def fill(self) -> None:
        """Have the server write a file beside the database until not a page more can be had."""
        with suppress(asyncpg.DiskFullError):
            await _administer(
                self.server,
                f"copy (select repeat('x', 1000) from generate_series(1, {MEGABYTES * 1100})) to '{self.ballast}'",
            )

    async def free(self) -> None:
        """Make room again."""
        await _administer(self.server, f"copy (select '') to '{self.ballast}'")


@asynccontextmanager
async def small_disk(folder: Path) -> AsyncIterator[SmallDisk]:
    """Run the server; the log of its transactions lies elsewhere and never lacks room."""
    disk = folder / "disk"
    disk.mkdir(parents=True)
    before = ("unshare", "--user", "--mount", "--map-root-user", "sh", "-c", MOUNTED, str(disk))
    running = database_server(folder, before)
    server = await asyncio.to_thread(running.__enter__)
    try:
        await server.make_templates()
        await _administer(
            server,
            f"create tablespace small location '{disk}'",
            "create database intake_small template template_intake tablespace small",
        )
        yield SmallDisk(server, server.dsn("intake_small"), disk / "ballast")
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


async def _administer(server: DatabaseServer, *statements: str) -> None:
    connection = await asyncpg.connect(server.dsn("postgres"))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
