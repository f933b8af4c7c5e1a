"""A backlog on Apache Kafka: it drains at full speed, and who stands at a counter now does not wait for it."""

import asyncio
import json
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx2
import pytest

from tests.e2e.stack import Stack, running_stack
from tests.faults.checker import check, settled
from tests.faults.clients import Bank, bodies
from tests.faults.journal import Journal, State
from tests.parts import a_key, a_report

BACKLOG = int(os.environ.get("BACKLOG", "15000"))
"""BACKLOG=100000 is the long form."""
SENDERS = 4
EVERY_SECONDS = 0.2
WITHIN_SECONDS = 10.0
PATIENCE_SECONDS = 60 + BACKLOG / 50


@dataclass(frozen=True, slots=True)
class Visit:
    """A report that was filed while the backlog was there, and how soon its verdict was with the bank."""

    report: str
    shown_seconds: float
    level: str | None


async def file_backlog(bank: Bank, number: int) -> None:
    """File so many reports in batches of a hundred."""
    made = list(bodies(random.Random(5), number, accounts=number // 3))  # noqa: S311 - a test's dice
    batches = [made[start : start + 100] for start in range(0, number, 100)]

    async def sender() -> None:
        while batches:
            await bank.batch(batches.pop())

    await asyncio.gather(*(sender() for _ in range(SENDERS)))


async def visit(http: httpx2.AsyncClient, stack: Stack, journal: Journal) -> Visit:
    """File a report at alert level and wait for its verdict as a branch system does."""
    key, body = a_key(), a_report(payee__account=f"6217{random.randrange(10**12):012d}")  # noqa: S311 - likewise
    facts = {
        "bank_reference": body["bank_reference"],
        "amount_fen": body["transfer"]["amount_fen"],
        "account": body["payee"]["account"],
        "key": key,
    }
    begun = journal.begin("report", key, facts)
    headers = stack.bank(**{"Idempotency-Key": key, "Prefer": "wait=3"})
    at, url = time.monotonic(), f"{stack.info['intake']}/v1/reports"
    answer = await http.post(url, json=body, headers=headers)
    said = answer.json()
    ended = journal.end(begun, State.OK if answer.is_success else State.FAILED, said.get("id", ""))
    while said.get("level") is None and time.monotonic() - at < PATIENCE_SECONDS:
        said = (await http.get(f"{url}/{ended.id}", headers=headers)).json()
    return Visit(ended.id, time.monotonic() - at, said.get("level"))


async def lag(http: httpx2.AsyncClient, stack: Stack, service: str) -> int | None:
    """Return how many records a service has not handled yet; None while it is not up."""
    try:
        answer = (await http.get(f"{stack.info[service]}/health/ready")).json()
    except httpx2.HTTPError:
        return None
    return int(answer["lag"]) if answer["consumer"] == "ok" else None


async def visits_during_backlog(http: httpx2.AsyncClient, stack: Stack, journal: Journal) -> list[Visit]:
    """File reports one after another at a steady pace until rules has caught up with the backlog."""
    seen, under_way = 0, []
    while True:
        left = await lag(http, stack, "rules")
        seen = max(seen, left or 0)
        if left is not None and seen > BACKLOG / 4 and left < 2000:
            break
        if seen:
            under_way.append(asyncio.create_task(visit(http, stack, journal)))
        await asyncio.sleep(EVERY_SECONDS)
    assert seen > BACKLOG / 2, "there was a backlog"
    return list(await asyncio.gather(*under_way))


async def alerted_after(stack: Stack, visits: list[Visit]) -> list[float]:
    """Return how many seconds after each report was filed its alert was there."""
    ids = [UUID(one.report) for one in visits]
    async with stack.database("intake") as intake:
        filed = {
            row["id"]: row["filed_at"]
            for row in await intake.fetch("select id, filed_at from report where id = any($1)", ids)
        }
    async with stack.database("notifier") as notifier:
        alerts = await notifier.fetch(
            "select report_id, min(created_at) as at from alert where report_id = any($1) group by report_id", ids
        )
    assert len(alerts) == len(ids)
    return [(row["at"] - filed[row["report_id"]]).total_seconds() for row in alerts]


@pytest.mark.timeout(600 + PATIENCE_SECONDS)
async def test_a_report_filed_during_a_backlog_is_shown_and_alerted_within_ten_seconds(tmp_path: Path) -> None:
    with running_stack(tmp_path, KAFKA="apache") as stack:
        journal = Journal(tmp_path / "journal.jsonl")
        limits = httpx2.Limits(max_connections=200)
        async with httpx2.AsyncClient(timeout=60, limits=limits) as http, asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.to_thread(stack.stop, "rules")
            await file_backlog(Bank(http, [stack.info["intake"]], stack.bank(), journal), BACKLOG)
            await asyncio.to_thread(stack.start, "rules")
            began = time.monotonic()
            visits = await visits_during_backlog(http, stack, journal)
            drained = time.monotonic() - began
            await settled(stack.info["databases"], PATIENCE_SECONDS)
        alerted = await alerted_after(stack, visits)
        outcome = await check(stack.info["databases"], journal)
    assert outcome.healthy, outcome.broken[:5]
    assert {one.level for one in visits} == {"alert"}
    slowest = {"shown": max(one.shown_seconds for one in visits), "alerted": max(alerted), "of": len(visits)}
    (tmp_path / "figures.json").write_text(json.dumps({**slowest, "drained": drained}), encoding="utf-8")
    assert slowest["shown"] < WITHIN_SECONDS, slowest
    assert slowest["alerted"] < WITHIN_SECONDS, slowest
