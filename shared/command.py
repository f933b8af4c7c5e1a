"""What the services' commands have in common: a connection, and refusals as one sentence."""

import asyncio
import getpass
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg
import typer
from pydantic import Field, ValidationError

from shared.postgres import MigrationFailedError, Pace, RawConnection, migrate
from shared.privacy import SealBrokenError
from shared.settings import Told

T = TypeVar("T")


class Database(Told):
    """Which database a command works on: DATABASE_URL."""

    database_url: str


class Migrating(Database):
    """How a migration spares the services at work: see `shared.postgres.Pace`."""

    migration_lock_seconds: float = Field(default=2.0, gt=0)
    migration_statement_seconds: float = Field(default=300.0, ge=0)


def migrated(service: str) -> None:
    """Bring a service's schema up to date; end with a sentence and code 1 where it cannot be done."""

    async def work() -> None:
        told = Migrating()
        pace = Pace(told.migration_lock_seconds, told.migration_statement_seconds)
        migrate(told.database_url, service, pace)

    run(work)


@asynccontextmanager
async def connected(schema: str) -> AsyncIterator[RawConnection]:
    """Connect to the service's database."""
    connection = await asyncpg.connect(Database().database_url, server_settings={"search_path": schema})
    try:
        yield connection
    finally:
        await connection.close()


def whoever() -> str:
    """Return the name of who is at the terminal."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run a command's work; end with a sentence and code 1 where it cannot be done."""

    async def main() -> T:
        return await work()

    with_reason: tuple[type[Exception], ...] = (
        OSError,
        ValueError,
        asyncpg.PostgresError,
        MigrationFailedError,
        SealBrokenError,
    )
    try:
        return asyncio.run(main())
    except ValidationError as error:
        missing = ", ".join(str(one["loc"][0]).upper() for one in error.errors())
        typer.secho(f"set the environment variable {missing}", fg="red", err=True)
        raise typer.Exit(1) from None
    except with_reason as error:
        typer.secho(f"{type(error).__name__}: {error}", fg="red", err=True)
        raise typer.Exit(1) from None
