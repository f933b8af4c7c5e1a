"""An upgrade without a pause: one replica after the other, on a newer schema, among events of a newer version.

What runs here plays the older version: it works on tables that have more than it knows, hears fields and types that it
does not know, and hands its work over to its successor while banks file.
"""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from shared.events import REPORTS, VERDICTS
from shared.outbox import new_id
from tests.e2e.stack import Stack
from tests.faults.checker import check, settled
from tests.faults.clients import Bank, bodies, morning
from tests.faults.journal import Journal
from tests.faults.orders import PAYEES_BANK, UNIT, Desk, officer, payees_bank
from tests.faults.replicas import replica

ORDER = ("rules", "intake", "notifier")
"""Who hears comes before who speaks: docs/day-two.md."""

TABLES = {
    "intake": ("report", "verdict", "bank_order", "outbox", "dead_letter"),
    "rules": ("sighting", "outcome", "outbox", "dead_letter"),
    "notifier": ("report", "fraud_case", "timeline", "ledger", "delivery", "outbox", "dead_letter"),
}
"""What a migration may bring before the processes that know it: columns that nobody has to fill, tables, indexes."""

LATER = """
alter table {table} add later_note text, add later_count integer not null default 0;
create index {table}_later on {table} (later_count) where later_count > 0;
"""
REPORTS_A_STEP = 24
CLIENTS = 4
PATIENCE_SECONDS = 120.0


@pytest.mark.timeout(480)
async def test_replicas_replaced_one_by_one_under_load_lose_and_double_nothing(
    own_stack: Stack, tmp_path: Path
) -> None:
    stack, journal = own_stack, Journal(tmp_path / "journal.jsonl")
    filed = list(bodies(random.Random(46), 5 * REPORTS_A_STEP, accounts=12))  # noqa: S311 - a test's dice
    home = asyncio.Event()
    async with httpx2.AsyncClient(timeout=30) as http:
        police = Desk(http, stack.info["notifier"], stack.officer(UNIT), journal)
        payees = Desk(http, stack.info["intake"], stack.bank(PAYEES_BANK), journal)
        at_work = asyncio.create_task(officer(police, home))
        executing = asyncio.create_task(payees_bank(payees))
        for step in (_newer_schema, _newer_events, *ORDER):
            async with asyncio.TaskGroup() as group:
                group.create_task(_file(http, stack, journal, filed))
                group.create_task(_replace(stack, step) if isinstance(step, str) else step(stack))
        await settled(stack.info["databases"], PATIENCE_SECONDS)
        home.set()
        await at_work
        await settled(stack.info["databases"], PATIENCE_SECONDS)
        executing.cancel()
        await asyncio.gather(executing, return_exceptions=True)
    outcome = await check(stack.info["databases"], journal)
    assert outcome.healthy, outcome.broken
    assert ": 0 differences" in await stack.lanjie("ledger", "verify", part="notifier")
    assert await _letters(stack) == {
        "rules": ["unknown_type"],
        "intake": ["unknown_version"],
        "notifier": ["unknown_version"],
    }


async def _file(http: httpx2.AsyncClient, stack: Stack, journal: Journal, filed: list[dict[str, object]]) -> None:
    queue = [filed.pop() for _ in range(REPORTS_A_STEP)]
    await morning(Bank(http, [stack.info["intake"]], stack.bank(), journal), queue, CLIENTS)


async def _replace(stack: Stack, part: str) -> None:
    """Start a replica beside the one there is, replace that one, and let the first go: never none."""
    beside = replica(stack, part, await asyncio.to_thread(stack.environment, part))
    try:
        await beside.ready()
        assert await asyncio.to_thread(stack.stop, part) == 0
        await asyncio.to_thread(stack.start, part)
        await _ready(stack.info[part])
    finally:
        await beside.end(politely=True)


async def _ready(url: str) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS), httpx2.AsyncClient(timeout=2) as http:
        while True:
            try:
                if (await http.get(f"{url}/health/ready")).json()["consumer"] == "ok":
                    return
            except httpx2.HTTPError:
                pass
            await asyncio.sleep(0.1)


async def _newer_schema(stack: Stack) -> None:
    """Bring in what a newer version's migrations may, while the processes of this one work."""
    for service, tables in TABLES.items():
        async with stack.database(service) as database:
            for table in tables:
                async with database.transaction():
                    await database.execute("set local lock_timeout = '2s'")
                    await database.execute(LATER.format(table=table))


async def _newer_events(stack: Stack) -> None:
    """Say again what was said, as a newer version would: with fields nobody knows, and in types nobody knows."""
    producer = AIOKafkaProducer(bootstrap_servers=stack.info["kafka"])
    await producer.start()
    try:
        for topic in (REPORTS, VERDICTS):
            for record in await _said(stack, topic):
                value = json.dumps({**json.loads(record.value), "later_field": {"since": "the next version"}})
                headers = [*record.headers, ("ce_later", b"1")]
                await producer.send(topic, value.encode(), record.key, headers=headers)
        for topic, kind in ((REPORTS, "lanjie.report.annotated.v1"), (VERDICTS, "lanjie.verdict.reached.v2")):
            named = [("ce_type", kind.encode()), ("ce_id", str(new_id()).encode()), ("ce_specversion", b"1.0")]
            await producer.send_and_wait(topic, b'{"later": true}', b"key", headers=named)
    finally:
        await producer.stop()


async def _said(stack: Stack, topic: str) -> list[Any]:
    """Return some of what lies on a topic."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=stack.info["kafka"], auto_offset_reset="earliest")
    await consumer.start()
    try:
        return [await asyncio.wait_for(anext(consumer), 30) for _ in range(REPORTS_A_STEP // 2)]
    finally:
        await consumer.stop()


async def _letters(stack: Stack) -> dict[str, list[str]]:
    """Return why each service put records aside."""
    found = {}
    for service in sorted(TABLES):
        async with stack.database(service) as database:
            rows = await database.fetch("select reason_class from dead_letter")
        found[service] = [row["reason_class"] for row in rows]
    return found
