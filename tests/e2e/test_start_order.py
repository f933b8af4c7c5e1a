"""Any part may come up last, and what it needs may still be missing: in the end a report is alerted."""

import asyncio
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import asyncpg
import httpx2
import pytest

from deploy.local.config import REFERENCE, SERVICES
from services.rules import reference as rules_reference
from shared.postgres import migrate
from tests.e2e.stack import Stack, running_stack
from tests.parts import a_key, a_report

PARTS = ("postgres", "kafka", *SERVICES)
PATIENCE_SECONDS = 150.0
ORDERS: tuple[tuple[str, ...], ...] = (
    (*SERVICES, "kafka", "postgres"),
    ("postgres", "notifier", "rules", "intake", "kafka"),
    ("kafka", "postgres", "intake", "notifier", "rules"),
    ("rules", "kafka", "postgres", "notifier", "intake"),
)


def stop_all(stack: Stack) -> None:
    for part in reversed(PARTS):
        stack.stop(part)


async def start_all(stack: Stack, order: Sequence[str]) -> None:
    """Start the parts, each when the one before has had time to look for what is not there yet."""
    for part in order:
        await asyncio.to_thread(stack.start, part)
        await asyncio.sleep(1.5)


async def report_is_alerted(stack: Stack) -> None:
    """File a report as soon as the door is open, and wait until its unit was alerted."""
    headers, deadline = stack.bank(**{"Idempotency-Key": a_key()}), time.monotonic() + PATIENCE_SECONDS
    body, report_id = a_report(), None
    async with httpx2.AsyncClient(timeout=5) as http:
        while report_id is None:
            assert time.monotonic() < deadline, "the door did not open"
            with suppress(httpx2.HTTPError):
                answer = await http.post(f"{stack.info['intake']}/v1/reports", json=body, headers=headers)
                report_id = answer.json().get("id") if answer.is_success else None
            await asyncio.sleep(0.1)
    while True:
        assert time.monotonic() < deadline, "no alert came"
        with suppress(OSError, asyncpg.PostgresError):
            async with stack.database("notifier") as notifier:
                if await notifier.fetchval("select exists (select from alert where report_id = $1)", report_id):
                    return
        await asyncio.sleep(0.2)


@pytest.mark.timeout(900)
async def test_parts_started_in_any_order_end_with_a_report_alerted(tmp_path: Path) -> None:
    with running_stack(tmp_path) as stack:
        for order in ORDERS:
            await asyncio.to_thread(stop_all, stack)
            await start_all(stack, order)
            await report_is_alerted(stack)


@pytest.mark.timeout(600)
async def test_services_wait_for_topics_and_for_rules_that_are_not_there_yet(tmp_path: Path) -> None:
    with running_stack(tmp_path) as stack:
        await asyncio.to_thread(stop_all, stack)
        shutil.rmtree(tmp_path / "kafka")
        await start_all(stack, ["postgres"])
        async with stack.database("rules") as rules:
            await rules.execute("drop schema rules cascade")
        await start_all(stack, [*SERVICES, "kafka"])
        waiting = asyncio.create_task(report_is_alerted(stack))
        await asyncio.sleep(3)  # in which nothing can be judged
        assert not waiting.done()
        await asyncio.to_thread(migrate, stack.info["databases"]["rules"], "rules")
        async with stack.database("rules") as rules:
            await rules_reference.publish(rules, REFERENCE / "rules", "test")
        await waiting
