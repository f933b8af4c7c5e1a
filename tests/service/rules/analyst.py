"""What an analyst has at hand: the command, folders of packs, tables to read."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from services.cli import main
from services.rules.handlers import Court
from services.rules.packs import Packs
from shared.postgres import Pool
from tests.parts import KEY_BYTES, NARRATIVE
from tests.service.rules.builders import NOW, PACK

WIDE = "240"
"""Columns of a terminal on which no table breaks a word."""


async def lanjie(dsn: str, *words: object, **environment: str | None) -> Result:
    """Run `lanjie rules …` as its own program would be: outside the test's event loop."""
    told = {"DATABASE_URL": dsn, "NARRATIVE_KEYS": f"n1:{KEY_BYTES}", "TOKEN_KEY": KEY_BYTES, "COLUMNS": WIDE}
    runner = CliRunner(env={**told, **environment})
    done = await asyncio.to_thread(runner.invoke, main, ["rules", *map(str, words)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


async def published(dsn: str, folder: Path, *words: object) -> str:
    """Publish a pack; return what is said of it."""
    done = await lanjie(dsn, "publish", folder, "--author", "张三", *words)
    assert done.exit_code == 0, done.output
    return done.stdout


def folder_of(parent: Path, files: Mapping[str, str] = PACK, *changes: tuple[str, str], name: str = "pack") -> Path:
    """Write a pack into a folder; each change is a text in its rules, and what stands there instead."""
    folder = parent / name
    folder.mkdir()
    for file, written in files.items():
        text = written
        for old, new in changes if file == "rules.yaml" else ():
            assert text.count(old) == 1
            text = text.replace(old, new)
        (folder / file).write_text(text, encoding="utf-8")
    return folder


def cells(output: str) -> list[list[str]]:
    """Read the rows of the tables in an output, without their headers."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if line.startswith("│")]


@asynccontextmanager
async def following(pool: Pool) -> AsyncIterator[Packs]:
    """Follow the releases as a replica does; begin when there is a pack."""
    packs = Packs(pool)
    packs.start()
    try:
        await packs.in_force()
        yield packs
    finally:
        await packs.stop()


async def until(holds: Callable[[], bool], *, within: float = 20) -> None:
    """Return once something holds; fail after so many seconds."""
    async with asyncio.timeout(within):
        while not holds():  # noqa: ASYNC110 - it is shown to those who ask
            await asyncio.sleep(0.01)


async def a_published_court(pool: Pool, now: datetime = NOW) -> Court:
    """Return what judging needs: the packs that are released."""
    packs = Packs(pool)
    await packs.look()
    assert packs.now
    return Court(packs.now, NARRATIVE, now)


async def everything(pool: Pool) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of all tables."""
    tables = await pool.fetch("select tablename from pg_tables where schemaname = 'rules' order by 1")
    return {
        name: [dict(row) for row in await pool.fetch(f"select * from {name} t order by t::text")]
        for (name,) in map(tuple, tables)
    }
