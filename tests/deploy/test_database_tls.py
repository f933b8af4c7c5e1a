"""PGSSLMODE and PGSSLROOTCERT as the manifests set them: no password is said to a server that nobody vouches for."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.local.config import HOST
from tests.deploy.manifests import workloads
from tests.deploy.secured import certify
from tests.service.test_commands import Lanjie, lanjie

__all__ = ["lanjie"]

COMMANDS = pytest.mark.parametrize("command", [("rules", "migrate"), ("rules", "list")], ids=["dbmate", "asyncpg"])
ASKS_FOR_TLS = 8


@asynccontextmanager
async def a_database(folder: Path, heard: list[bytes]) -> AsyncIterator[int]:
    """Listen as PostgreSQL does over TLS, and yield the port; note what is said first, and hang up."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "broker.crt", folder / "broker.key")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readexactly(ASKS_FOR_TLS)
            writer.write(b"S")
            await writer.start_tls(context)
            heard.append(await reader.read(1000))
        except (OSError, asyncio.IncompleteReadError):
            pass  # they would not go on with us
        finally:
            writer.transport.abort()

    async with await asyncio.start_server(answer, HOST, 0) as server:
        yield server.sockets[0].getsockname()[1]


@COMMANDS
@pytest.mark.parametrize(
    ("authority", "host", "spoken_with"),
    [("ours", HOST, True), ("another", HOST, False), ("ours", "localhost", False)],
    ids=["vouched for", "by another authority", "under another name"],
)
async def test_only_a_server_that_the_authority_vouches_for_by_its_name_is_spoken_with(
    lanjie: Lanjie, tmp_path: Path, command: tuple[str, str], authority: str, host: str, *, spoken_with: bool
) -> None:
    for folder in ("ours", "another"):
        (tmp_path / folder).mkdir()
        certify(tmp_path / folder)
    heard: list[bytes] = []
    mode = workloads("production")["rules-migration"].settings["PGSSLMODE"]
    told = {"PGSSLMODE": mode, "PGSSLROOTCERT": str(tmp_path / authority / "ca.pem")}
    async with a_database(tmp_path / "ours", heard) as port:
        url = f"postgresql://intake:secret@{host}:{port}/intake"
        done = await lanjie(*command, DATABASE_URL=url, **told)
    assert done.exit_code == 1
    assert bool([one for one in heard if b"intake" in one]) is spoken_with, done.output
