"""PostgreSQL: one pool a service, its own schema on the search path, and no unsafe server."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
import asyncpg.pool

if TYPE_CHECKING:
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
    RawConnection = asyncpg.Connection[asyncpg.Record]
    Row = asyncpg.Record
else:  # asyncpg's classes take type arguments in its stubs only
    Connection = asyncpg.pool.PoolConnectionProxy
    Pool = asyncpg.Pool
    RawConnection = asyncpg.Connection
    Row = asyncpg.Record

AnyConnection: TypeAlias = Connection | RawConnection
"""One of a pool's, or one opened by a command."""

MUST_BE_ON: Final = ("fsync", "full_page_writes", "synchronous_commit")
COMMAND_TIMEOUT_SECONDS: Final = 30.0

TRANSIENT: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what asyncpg says of a connection that the server has just ended
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.ObjectNotInPrerequisiteStateError,
)
"""What goes away by itself: the same work tried again later may succeed."""


class UnsafeDatabaseError(Exception):
    """The database may forget what it has confirmed. Turn the named settings on, or use another server."""


class MigrationFailedError(Exception):
    """The schema could not be brought up to date. The message holds the tool's own words."""


async def open_pool(dsn: str, schema: str, *, most: int) -> Pool:
    """Open a pool whose connections see `schema` first.

    Our statements take sets as arrays, whose plan does not depend on the values: planning them anew at
    every call would cost more than running them.
    Raises `UnsafeDatabaseError` where the server would lose confirmed commits in a crash.
    """
    pool = await asyncpg.create_pool(
        dsn,
        min_size=2,
        max_size=most,
        command_timeout=COMMAND_TIMEOUT_SECONDS,
        server_settings={
            "search_path": schema,
            "application_name": f"lanjie-{schema}",
            "plan_cache_mode": "force_generic_plan",
            "enable_seqscan": "off",  # a plan made while a table was empty would read all of it ever after
            "jit": "off",
        },
        reset=_leave_as_it_is,
    )
    try:
        await refuse_unsafe(pool)
    except BaseException:
        await pool.close()
        raise
    return pool


async def _leave_as_it_is(_connection: RawConnection) -> None:
    """Spare the reset at every release: whatever we set, we set for one transaction (`set local`)."""


async def refuse_unsafe(pool: Pool) -> None:
    """Raise `UnsafeDatabaseError` where a setting allows confirmed commits to be lost."""
    off = await pool.fetch(
        "select name from pg_settings where name = any($1::text[]) and setting = 'off'", list(MUST_BE_ON)
    )
    if off:
        names = ", ".join(row["name"] for row in off)
        raise UnsafeDatabaseError(f"refusing to start: {names} is off, so confirmed reports could be lost")


def migrate(dsn: str, service: str) -> None:
    """Bring `service`'s schema up to date with dbmate, creating the schema where it is missing."""
    root = Path(__file__).parent.parent
    command = [
        dbmate(),
        *("--url", _dbmate_url(dsn, service)),
        *("--migrations-dir", str(root / "shared" / "migrations")),
        *("--migrations-dir", str(root / "services" / service / "migrations")),
        *("--no-dump-schema", "--migration-lock", "migrate"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MigrationFailedError(f"{service}: {re.sub(r':[^:@/]*@', ':***@', done.stderr.strip())}")


def dbmate() -> str:
    """Find the dbmate that the requirements installed."""
    beside = Path(sys.executable).with_name("dbmate")
    found = str(beside) if beside.exists() else shutil.which("dbmate")
    if found is None:
        raise MigrationFailedError("dbmate is not installed; it comes with the locked requirements")
    return found


def _dbmate_url(dsn: str, schema: str) -> str:
    parts = urlsplit(dsn)
    query = {"sslmode": "disable", **dict(parse_qsl(parts.query)), "search_path": schema}
    return urlunsplit(parts._replace(query=urlencode(query)))
