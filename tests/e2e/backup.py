"""A run's databases backed up while it works, lost, and brought back by PostgreSQL's own programs."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from deploy.local.postgres import BIN
from tests.e2e.stack import Stack

RECEIVER = "pg_receivewal"


def _address(stack: Stack) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return how PostgreSQL's programs reach the run's server: their words, and their environment."""
    parts = urlsplit(stack.info["databases"]["intake"])
    words = ("-h", str(parts.hostname), "-p", str(parts.port), "-U", str(parts.username))
    return words, {**os.environ, "PGPASSWORD": str(parts.password)}


async def base_backup(stack: Stack, to: Path) -> None:
    """Copy the whole cluster while it works: all databases as they stood at one moment."""
    words, told = _address(stack)
    command = (str(BIN / "pg_basebackup"), *words, "-D", str(to), "-X", "stream", "-c", "fast")
    process = await asyncio.create_subprocess_exec(*command, env=told)
    assert await process.wait() == 0
    verified = (str(BIN / "pg_verifybackup"), "-q", str(to))
    process = await asyncio.create_subprocess_exec(*verified)
    assert await process.wait() == 0


@asynccontextmanager
async def log_kept(stack: Stack, to: Path) -> AsyncIterator[None]:
    """Keep the write-ahead log elsewhere: the server confirms nothing that is not there too."""
    await asyncio.to_thread(to.mkdir)
    words, told = _address(stack)
    command = (str(BIN / RECEIVER), *words, "-D", str(to), "--synchronous", "--no-loop")
    receiver = subprocess.Popen(command, env=told, stderr=subprocess.DEVNULL)  # noqa: ASYNC220 - over in a moment
    admin = await asyncpg.connect(f"{stack.info['databases']['intake'].rpartition('/')[0]}/postgres")
    try:
        await admin.execute(f"alter system set synchronous_standby_names = '{RECEIVER}'")
        await admin.execute("select pg_reload_conf()")
        async with asyncio.timeout(60):
            while not await admin.fetchval("select true from pg_stat_replication where sync_state = 'sync'"):
                assert receiver.poll() is None, "the log is not received"
                await asyncio.sleep(0.05)
        yield
    finally:
        admin.terminate()
        receiver.terminate()
        await asyncio.to_thread(receiver.wait, 20)


def kafka_copied(stack: Stack, to: Path) -> None:
    """Copy what the broker has, while it is stopped."""
    stack.stop("kafka")
    shutil.copytree(stack.folder / "kafka", to)
    stack.start("kafka")


def restored(base: Path, to: Path, secrets: Path, *, log: Path | None = None, kafka: Path | None = None) -> Path:
    """Make a run's folder from a backup: the cluster, the secrets that were kept apart, and an empty or an older Kafka.

    With the log of what came after the backup, the server recovers to its end.
    """
    to.mkdir()
    shutil.copy(secrets, to / "secrets.json")
    shutil.copytree(base, to / "postgres")
    with (to / "postgres" / "postgresql.auto.conf").open("a", encoding="utf-8") as settings:
        settings.write("synchronous_standby_names = ''\n")
        if log:
            settings.write(f'restore_command = \'cp "{log}/%f" "%p"\'\n')
    if log:
        (to / "postgres" / "recovery.signal").touch()
        for partial in log.glob("*.partial"):
            partial.rename(partial.with_suffix(""))
    if kafka:
        shutil.copytree(kafka, to / "kafka")
    return to
