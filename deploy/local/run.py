"""`make run`: everything on this machine, then a morning at the counters, then up until Ctrl-C."""

import asyncio
import csv
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

import asyncpg
import httpx2
from rich.console import Console

from deploy.local import apache, postgres, prometheus
from deploy.local.config import (
    REFERENCE,
    ROOT,
    SERVICES,
    CannotRunError,
    Local,
    announced,
    refuse_taken_ports,
    write_lanjie_json,
)
from deploy.local.morning import play
from deploy.local.stack import refuse_second_run, supervised
from services.intake import reference as intake_reference
from services.notifier import reference as notifier_reference
from services.rules import reference as rules_reference
from shared.postgres import MigrationFailedError, RawConnection, migrate

PATIENCE_SECONDS: Final = 120.0
NO_WAIT: Final = False
SAMPLE: Final = REFERENCE.relative_to(ROOT) / "report.json"
console = Console(highlight=False)


def main() -> None:
    """Run until told to stop. Exit with a sentence and a non-zero code where that cannot be."""
    signal.signal(signal.SIGTERM, _interrupted)
    began = time.monotonic()
    try:
        local = Local.from_environment()
        refuse_second_run(local)
        refuse_taken_ports(local.ports)
        if local.apache:
            console.print("Apache Kafka's jars: fetched by Maven the first time")
            apache.jars()
        if local.ops:
            console.print("Prometheus and Alertmanager: Debian's packages are fetched the first time")
            prometheus.prepare(local)
        postgres.initialise(local)
        with supervised(local) as supervisor, announced(local):
            info = asyncio.run(_bring_up(local, supervisor.commands))
            console.print(f"ready after {time.monotonic() - began:.1f} s")
            if os.environ.get("DEMO", "1") != "0":
                asyncio.run(play({**info, "mail_port": local.ports["mail"]}, local.environment("notifier"), console))
            _say_doors(info, local)
            supervisor.process.wait()
            console.print("\nstopped from outside")
    except (CannotRunError, MigrationFailedError) as error:
        console.print(f"lanjie cannot run: {error}", style="red", soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("\nstopped; 'make run' goes on with the data, 'make clean' forgets it")


def _interrupted(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


async def _bring_up(local: Local, supervisor: Any) -> dict[str, Any]:  # noqa: ANN401 - an XML-RPC proxy
    console.print(f"data in {local.folder}")
    await _databases(local)
    console.print("PostgreSQL and Kafka are up; migrating and loading the reference data …")
    for service in SERVICES:
        await asyncio.to_thread(migrate, local.dsn(service), service)
    info = await _reference(local)
    for service in SERVICES:
        supervisor.startProcess(service, NO_WAIT)
    await _all_ready(local)
    write_lanjie_json(local, info)
    return info


async def _databases(local: Local) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            connection = await asyncpg.connect(local.dsn("postgres"), timeout=2)
            break
        except (OSError, TimeoutError, asyncpg.PostgresError) as error:
            if time.monotonic() > deadline:
                log = local.folder / "logs" / "postgres.log"
                raise CannotRunError(f"PostgreSQL did not come up ({type(error).__name__}); see {log}") from error
            await asyncio.sleep(0.1)
    try:
        there = {row["datname"] for row in await connection.fetch("select datname from pg_database")}
        for service in SERVICES:
            if service not in there:
                await connection.execute(f'create database "{service}"')
    finally:
        await connection.close()


async def _reference(local: Local) -> dict[str, Any]:
    """Load the reference data, let banks and officers in, and return what `lanjie.json` says."""
    banks = [row["code"] for row in _rows(REFERENCE / "banks.csv")]
    officers = _rows(REFERENCE / "officers.csv")
    keys, tokens = local.credentials(banks, [officer["name"] for officer in officers])
    connection = await _connect(local, "intake")
    await intake_reference.load(connection, REFERENCE)
    for bank in banks:
        await intake_reference.add_key(connection, bank, keys[bank], "demo")
    await connection.close()
    connection = await _connect(local, "rules")
    await rules_reference.publish(connection, REFERENCE / "rules", "make run")
    await connection.close()
    connection = await _connect(local, "notifier")
    await notifier_reference.load(connection, REFERENCE)
    for officer in officers:
        await notifier_reference.add_officer(connection, **officer, token=tokens[officer["name"]])
    await connection.close()
    return {
        **{part: local.url(part) for part in (*SERVICES, *(prometheus.PARTS if local.ops else ()))},
        "kafka": local.kafka,
        "databases": {service: local.dsn(service) for service in SERVICES},
        "bank_keys": {bank: keys[bank] for bank in banks},
        "officers": [{**officer, "token": tokens[officer["name"]]} for officer in officers],
        "branches": [row["code"] for row in _rows(REFERENCE / "branches.csv")],
    }


async def _connect(local: Local, service: str) -> RawConnection:
    return await asyncpg.connect(local.dsn(service), server_settings={"search_path": service})


async def _all_ready(local: Local) -> None:
    """Wait until every service is ready and its consumer has joined its group."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    waiting = set(SERVICES)
    async with httpx2.AsyncClient(timeout=2) as client:
        while waiting:
            for service in sorted(waiting):
                with suppress(httpx2.HTTPError):
                    answer = await client.get(f"{local.url(service)}/health/ready")
                    if answer.status_code == 200 and answer.json()["consumer"] == "ok":  # noqa: PLR2004
                        waiting.discard(service)
            if time.monotonic() > deadline:
                names = ", ".join(sorted(waiting))
                raise CannotRunError(f"{names} did not become ready; see the logs in {local.folder}/logs")
            await asyncio.sleep(0.05)


def _say_doors(info: dict[str, Any], local: Local) -> None:
    bank, key = next(iter(info["bank_keys"].items()))
    officer = info["officers"][0]
    post = f"""curl -s {info["intake"]}/v1/reports \\
  -H 'Authorization: Bearer {key}' \\
  -H 'Content-Type: application/json' -H "Idempotency-Key: $(date +%s)" -H 'Prefer: wait=3' \\
  -d "$(sed "s/REFERENCE/$(date +%s)/" {SAMPLE})\""""
    follow = f"""curl -sN {info["notifier"]}/v1/alerts/stream \\
  -H 'Authorization: Bearer {officer["token"]}'"""
    console.print(
        f"""
[bold]doors[/]    banks {info["intake"]}   police {info["notifier"]}   rules {info["rules"]}
         each with /metrics and /health/ready{_ops(local)}
[bold]bank[/]     {bank}  {key}
[bold]officer[/]  {officer["name"]} ({officer["unit"]}, {officer["role"]})  {officer["token"]}
         all of them: {local.folder}/lanjie.json

[bold]file a report[/]
{post}
[bold]follow the alerts[/]
{follow}

Ctrl-C stops everything.""",
        soft_wrap=True,
    )


def _ops(local: Local) -> str:
    if not local.ops:
        return ""
    return "\n[bold]ops[/]      " + "   ".join(f"{part} {local.url(part)}" for part in prometheus.PARTS)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
