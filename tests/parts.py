"""The parts tests are built from: a database server, doors, a report that is accepted."""

import asyncio
import base64
import csv
import os
import signal
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import asyncpg
import httpx2
from fastapi import FastAPI

from deploy.local import postgres
from deploy.local.config import HOST, REFERENCE, Local, free_port
from services.intake import app as intake_app
from services.intake import reference as intake_reference
from services.notifier import app as notifier_app
from services.notifier import reference as notifier_reference
from services.rules import reference as rules_reference
from shared.access import BANK_KEY, OFFICER_TOKEN
from shared.http import server_of
from shared.postgres import Pool, RawConnection, migrate, open_pool
from shared.privacy import Seal, Tokens
from shared.settings import read_keys

NOWHERE = f"{HOST}:9"
"""A broker's address where nobody listens."""

KEY_BYTES = base64.b64encode(bytes(range(32))).decode()
TOKENS = Tokens(bytes(range(32)))
IDENTITY = Seal(read_keys(f"i1:{KEY_BYTES}"))
NARRATIVE = Seal(read_keys(f"n1:{KEY_BYTES}"))


def bank_key(bank: str) -> str:
    """The key of a bank in every test database."""
    return f"{BANK_KEY}test-{bank}"


def officer_token(name: str) -> str:
    """The token of an officer (by name) in every test database."""
    return f"{OFFICER_TOKEN}test-{name.encode().hex()}"


def officers() -> list[dict[str, str]]:
    with (REFERENCE / "officers.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def officer_of(unit: str, role: str = "officer") -> dict[str, str]:
    """Headers of an officer of a unit with a role."""
    who = next(one for one in officers() if one["unit"] == unit and one["role"] == role)
    return {"Authorization": f"Bearer {officer_token(who['name'])}"}


def bank(code: str = "ICBC", **more: str) -> dict[str, str]:
    """Headers of a bank's JSON request."""
    return {"Authorization": f"Bearer {bank_key(code)}", "Content-Type": "application/json", **more}


@dataclass(frozen=True, slots=True)
class DatabaseServer:
    """A running PostgreSQL."""

    local: Local

    def dsn(self, database: str) -> str:
        return self.local.dsn(database)

    async def make_templates(self) -> None:
        """Make a migrated, loaded template database for each service."""
        admin = await self._connect("postgres")
        for service in ("intake", "rules", "notifier"):
            await admin.execute(f"create database template_{service}")
            await asyncio.to_thread(migrate, self.dsn(f"template_{service}"), service)
        await admin.close()
        connection = await self._connect("template_intake", "intake")
        await intake_reference.load(connection, REFERENCE)
        for row in await connection.fetch("select code from bank"):
            await intake_reference.add_key(connection, row["code"], bank_key(row["code"]), "test")
        await connection.close()
        connection = await self._connect("template_rules", "rules")
        await rules_reference.publish(connection, REFERENCE / "rules", "test")
        await connection.close()
        connection = await self._connect("template_notifier", "notifier")
        await notifier_reference.load(connection, REFERENCE)
        for officer in officers():
            await notifier_reference.add_officer(connection, **officer, token=officer_token(officer["name"]))
        await connection.close()

    async def clone(self, service: str) -> str:
        """Clone a service's template database; return the clone's DSN."""
        name = f"{service}_{uuid.uuid4().hex[:12]}"
        admin = await self._connect("postgres")
        await admin.execute(f"create database {name} template template_{service}")
        await admin.close()
        return self.dsn(name)

    async def _connect(self, database: str, schema: str = "public") -> RawConnection:
        return await asyncpg.connect(self.dsn(database), server_settings={"search_path": schema})


@contextmanager
def database_server(folder: Path, before: Sequence[str] = ()) -> Iterator[DatabaseServer]:
    """Run the embedded PostgreSQL in a folder, as the local run does; `before` are words to put before its command."""
    (folder / "logs").mkdir()
    local = Local(folder, {"postgres": free_port()}, {"postgres": "test"})
    postgres.initialise(local)
    environment = {**os.environ, "LANJIE_POSTGRES_PORT": str(local.ports["postgres"])}
    with (folder / "postgres.log").open("wb") as log:
        process = subprocess.Popen([*before, *postgres.command(local)], stdout=log, stderr=log, env=environment)
        try:
            _wait_until_up(local)
            yield DatabaseServer(local)
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait(20)


def _wait_until_up(local: Local) -> None:
    async def connects() -> bool:
        try:
            connection = await asyncpg.connect(local.dsn("postgres"), timeout=2)
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False
        await connection.close()
        return True

    deadline = time.monotonic() + 30
    while not asyncio.run(connects()):
        assert time.monotonic() < deadline, "PostgreSQL did not come up"
        time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Door:
    """A door that is open: where it is, a client, and its database."""

    url: str
    port: int
    client: httpx2.AsyncClient
    pool: Pool
    app: FastAPI

    async def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Query the door's database."""
        return [dict(row) for row in await self.pool.fetch(sql, *values)]

    async def count(self, table: str) -> int:
        """Count a table's rows."""
        return cast("int", await self.pool.fetchval(f"select count(*) from {table}"))


@asynccontextmanager
async def intake_door(dsn: str, **settings: Any) -> AsyncIterator[Door]:  # noqa: ANN401
    """Open the banks' door on a database."""
    told = intake_app.Settings(**{**_settings(dsn), **settings})
    async with _open(intake_app.build(told), dsn, "intake") as door:
        yield door


@asynccontextmanager
async def notifier_door(dsn: str, **settings: Any) -> AsyncIterator[Door]:  # noqa: ANN401
    """Open the police's door on a database."""
    told = notifier_app.Settings(**{**_settings(dsn), "allowed_private_hosts": HOST, **settings})
    async with _open(notifier_app.build(told), dsn, "notifier") as door:
        yield door


def _settings(dsn: str) -> dict[str, Any]:
    return {
        "database_url": dsn,
        "kafka_bootstrap_servers": NOWHERE,
        "port": 0,
        "token_key": KEY_BYTES,
        "identity_keys": f"i1:{KEY_BYTES}",
        "narrative_keys": f"n1:{KEY_BYTES}",
    }


@asynccontextmanager
async def _open(app: FastAPI, dsn: str, schema: str) -> AsyncIterator[Door]:
    port = free_port()
    server = server_of(app, HOST, port)
    serving = asyncio.create_task(server.serve())
    pool = await open_pool(dsn, schema, most=3)
    try:
        while not server.started:
            assert not serving.done(), "the door did not open"
            await asyncio.sleep(0.005)
        url = f"http://{HOST}:{port}"
        async with httpx2.AsyncClient(base_url=url, timeout=20) as client:
            yield Door(url, port, client, pool, app)
    finally:
        server.should_exit = True
        await serving
        await pool.close()


def a_report(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a report that is accepted; `transfer__amount_fen=1` changes a field, `note=DROP` leaves it out."""
    body: dict[str, Any] = {
        "bank_reference": f"ICBC-{uuid.uuid4().hex[:16]}",
        "branch_code": "ICBC-SZ-LH-001",
        "teller_id": "T1009",
        "observed_at": datetime.now(UTC).isoformat(),
        "transfer": {"amount_fen": 9_800_000, "currency": "CNY", "channel": "counter_transfer", "purpose": "还款"},
        "payer": {
            "name": "梁惠珍",
            "account": "6222020000000001024",
            "id_number": "44030119530314902X",
            "phone": "13900000002",
        },
        "payee": {
            "name": "蒙世坤",
            "account": "6217000000000002026",
            "bank_code": "CCB",
            "account_type": "personal",
        },
        "cues": ["on_phone_throughout", "safe_account"],
        "note": "客户一直戴着耳机通话，说要把钱转到安全账户",
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = body
        for parent in parents:
            place = place[parent]
        if value is DROP:
            del place[last]
        else:
            place[last] = value
    return body


DROP = object()


def a_key() -> str:
    """Return a fresh idempotency key."""
    return uuid.uuid4().hex
