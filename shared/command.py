"""What the services' commands have in common: a connection, and refusals as one sentence."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg
import typer
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from shared.postgres import MigrationFailedError, RawConnection
from shared.privacy import SealBrokenError

T = TypeVar("T")


class Database(BaseSettings):
    """Which database a command works on: the environment variable DATABASE_URL."""

    database_url: str


@asynccontextmanager
async def connected(schema: str) -> AsyncIterator[RawConnection]:
    """Connect to the service's database."""
    connection = await asyncpg.connect(Database().database_url, server_settings={"search_path": schema})
    try:
        yield connection
    finally:
        await connection.close()


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
