"""PostgreSQL: one pool a service, its own schema on the search path, and no unsafe server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
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
PASSING: Final = re.compile(r"\((55P03|25006)\)")
"""What a migration says that could not have a lock in time, or found a server that is still recovering."""

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


@dataclass(frozen=True, slots=True)
class Pace:
    """How a migration spares those at work on the tables.

    It waits for a lock for `lock_seconds` at most, since all who come after it wait behind it; then it makes room for
    `pause_seconds` and tries again, so many `tries`. A statement that takes `statement_seconds` is undone (0: none is).
    """

    lock_seconds: float = 2.0
    statement_seconds: float = 300.0
    pause_seconds: float = 1.0
    tries: int = 60


def migrate(dsn: str, service: str, pace: Pace = Pace()) -> None:
    """Bring `service`'s schema up to date with dbmate, creating the schema where it is missing.

    Each migration is a transaction, so one that has to wait too long leaves nothing half done.
    """
    root = Path(__file__).parent.parent
    command = [
        dbmate(),
        *("--url", _dbmate_url(dsn, service, pace)),
        *("--migrations-dir", str(root / "shared" / "migrations")),
        *("--migrations-dir", str(root / "services" / service / "migrations")),
        *("--no-dump-schema", "--migration-lock", "migrate"),
    ]
    for left in reversed(range(pace.tries)):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not done.returncode:
            return
        if not (left and PASSING.search(done.stderr)):
            raise MigrationFailedError(f"{service}: {re.sub(r':[^:@/]*@', ':***@', done.stderr.strip())}")
        time.sleep(pace.pause_seconds)


def dbmate() -> str:
    """Find the dbmate that the requirements installed."""
    beside = Path(sys.executable).with_name("dbmate")
    found = str(beside) if beside.exists() else shutil.which("dbmate")
    if found is None:
        raise MigrationFailedError("dbmate is not installed; it comes with the locked requirements")
    return found


def _dbmate_url(dsn: str, schema: str, pace: Pace) -> str:
    parts = urlsplit(dsn)
    query = {
        "sslmode": os.environ.get("PGSSLMODE", "disable"),  # asyncpg goes by it too, and by PGSSLROOTCERT
        **dict(parse_qsl(parts.query)),
        "search_path": schema,
        "lock_timeout": f"{pace.lock_seconds * 1000:.0f}",
        "statement_timeout": f"{pace.statement_seconds * 1000:.0f}",
    }
    return urlunsplit(parts._replace(query=urlencode(query)))
