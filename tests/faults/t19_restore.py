"""Each database restored to an earlier point than Kafka's offsets: reconciled, and what cannot be is told.

rules and notifier get back all that intake holds. intake itself has nobody to ask: what it lost stays in the metric.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

import asyncpg
import httpx2
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.stack import Stack, running_stack
from tests.faults.checker import check, settled
from tests.faults.clients import Bank, bodies, morning
from tests.faults.journal import Journal
from tests.faults.play import Outcome, Play

SEEDS: Final = (19,)
SERVICES: Final = ("intake", "rules", "notifier")
HASTE: Final = {"RECONCILE_EVERY_SECONDS": "1", "RECONCILE_AFTER_SECONDS": "3"}
PATIENCE_SECONDS: Final = 120.0
PHANTOMS: Final = "notifier_intake cases"
"""Cases that a restored notifier does not know, and banks do: nobody can give them back."""


async def play(run: Play) -> Outcome:
    """File, back up, file more; restore one service after the other, and look at what comes back."""
    each = 3000 if run.long else 150
    with running_stack(run.folder / "run", KAFKA="apache", **HASTE) as stack:
        journal = Journal(run.folder / "journal.jsonl")
        queue = list(bodies(random.Random(run.seed), 2 * each))  # noqa: S311 - a test's dice
        async with httpx2.AsyncClient(timeout=10) as http:
            bank = Bank(http, [stack.info["intake"]], stack.bank(), journal)
            await morning(bank, queue[:each], 16)
            await settled(stack.info["databases"], PATIENCE_SECONDS)
            await _stopped(stack, SERVICES, "backup")
            known = {one.id for one in journal.of("report")}
            await morning(bank, queue[each:], 16)
            await settled(stack.info["databases"], PATIENCE_SECONDS)
            figures: dict[str, float | str] = {"rules mended s": await _restored(stack, http, run, "rules", each)}
            figures["notifier mended s"] = await _restored(stack, http, run, "notifier", each)
            outcome = await check(stack.info["databases"], journal)
            lost = len(journal.of("report")) - len(known)
            figures["gaps told"] = await _intake_restored(stack, http, outcome, lost)
    outcome.figures = figures
    return outcome


async def _restored(stack: Stack, http: httpx2.AsyncClient, run: Play, service: str, lost: int) -> float:
    """Restore a service; return how long after its start nothing was missing any more."""
    await _stopped(stack, [service], "restore")
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(PATIENCE_SECONDS * (10 if run.long else 1)):
        while not await _is_whole(stack, http, service, 2 * lost):  # noqa: ASYNC110 - other processes mend it
            await asyncio.sleep(0.2)
    run.say(f"{service} is whole again")
    return round(asyncio.get_running_loop().time() - began, 1)


async def _is_whole(stack: Stack, http: httpx2.AsyncClient, service: str, reports: int) -> bool:
    table = "verdict where version = 1" if service == "rules" else "report"
    async with stack.database(service) as database:
        if await database.fetchval(f"select count(*) from {table}") < reports:
            return False
    with suppress(TimeoutError):
        await settled(stack.info["databases"], 5)
        return not (await _gaps(stack, http)).keys() - {PHANTOMS}
    return False


async def _intake_restored(stack: Stack, http: httpx2.AsyncClient, outcome: Outcome, lost: int) -> float:
    """Restore intake; return how many reports it is told to lack, once that is what it lacks."""
    await _stopped(stack, ["intake"], "restore")
    told: Mapping[str, float] = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while told.get("intake_rules reports") != lost or told.get("intake_notifier reports") != lost:
                await asyncio.sleep(0.2)
                told = await _gaps(stack, http)
    for between in ("intake_rules reports", "intake_notifier reports"):
        if told.get(between) != lost:
            outcome.broken.append(f"intake lacks {lost} reports, and {between} tells of {told.get(between, 0):.0f}")
    return told.get("intake_rules reports", 0)


async def _gaps(stack: Stack, http: httpx2.AsyncClient) -> Mapping[str, float]:
    """Return the gaps of all services that are not 0."""
    found: Counter[str] = Counter()
    for service in SERVICES:
        text = (await http.get(f"{stack.info[service]}/metrics")).text
        for family in text_string_to_metric_families(text):
            if family.name == "lanjie_reconciliation_gaps":
                found.update({_name(sample.labels): sample.value for sample in family.samples if sample.value})
    return found


def _name(labels: Mapping[str, str]) -> str:
    return f"{labels['between']} {labels['of']}"


async def _stopped(stack: Stack, services: Sequence[str], what: str) -> None:
    """Back services' databases up, or restore them, while they are stopped."""
    for service in services:
        await asyncio.to_thread(stack.stop, service)
    for service in services:
        dsn = stack.info["databases"][service]
        admin = await asyncpg.connect(f"{dsn.rpartition('/')[0]}/postgres")
        if what == "backup":
            await admin.execute(f"create database {service}_then template {service}")
        else:
            await admin.execute(f"drop database {service} with (force)")
            await admin.execute(f"alter database {service}_then rename to {service}")
        await admin.close()
    for service in services:
        await asyncio.to_thread(stack.start, service)
    async with httpx2.AsyncClient(timeout=2) as http, asyncio.timeout(PATIENCE_SECONDS):
        for service in services:
            while not await _is_ready(http, stack.info[service]):  # noqa: ASYNC110 - other processes start
                await asyncio.sleep(0.1)


async def _is_ready(http: httpx2.AsyncClient, url: str) -> bool:
    with suppress(httpx2.HTTPError):
        return (await http.get(f"{url}/health/ready")).status_code == 200
    return False
