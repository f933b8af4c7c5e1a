"""Everything is lost but a backup: what it held is whole again, and what came after it is told or brought again.

One run is backed up under load and killed. It is restored from the base backup alone with an empty Kafka, and from the
base backup and the log since with a Kafka that is older than the databases.
"""

import asyncio
import random
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.config import SERVICES
from tests.e2e.backup import base_backup, kafka_copied, log_kept, restored
from tests.e2e.stack import Stack, running_stack
from tests.faults.checker import check, settled
from tests.faults.clients import Bank, bodies, morning
from tests.faults.journal import Journal, State
from tests.faults.orders import PAYEES_BANK, UNIT, Desk, officer, payees_bank

BEFORE, AFTER, ACCOUNTS, CLIENTS = 30, 20_000, 12, 4
"""More reports are there than can be filed before the end: it comes in the middle, however fast the machine is."""
MEANWHILE = 12
PATIENCE_SECONDS = 200.0
HASTE = {"RECONCILE_EVERY_SECONDS": "1", "RECONCILE_AFTER_SECONDS": "2", "KAFKA": "embedded"}
"""What a broker is does not matter here, and the embedded one is up at once."""

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True, slots=True)
class Lost:
    """What is left of a run: its backups, its secrets, and what its clients know, at the backup and at the end."""

    base: Path
    log: Path
    kafka: Path
    secrets: Path
    reports: Mapping[str, dict[str, Any]]
    at_backup: Mapping[str, State]
    journal: Journal

    def known(self, path: Path) -> Journal:
        """Return what was sure when the backup began; what came later is not."""
        journal = Journal(path)
        for one in self.journal:
            asked = journal.begin(one.kind, one.key, one.facts)
            if self.at_backup.get(one.key, State.UNKNOWN) is not State.UNKNOWN:
                journal.end(asked, one.state, one.id)
        return journal


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Lost:
    """Play a run, back it up while it works, and kill it."""
    return asyncio.run(_lost(Path(tmp_path_factory.mktemp("lost"))))


async def _lost(folder: Path) -> Lost:
    journal = Journal(folder / "journal.jsonl")
    queue = list(bodies(random.Random(46), BEFORE + AFTER, ACCOUNTS))  # noqa: S311 - a test's dice
    reports = {str(body["bank_reference"]): body for body in queue}
    with running_stack(folder / "run", **HASTE) as stack:
        async with _at_work(stack, journal) as bank:
            await morning(bank, queue[:BEFORE], CLIENTS)
            await settled(stack.info["databases"], PATIENCE_SECONDS)
            await asyncio.to_thread(kafka_copied, stack, folder / "kafka")
            filing = asyncio.create_task(morning(bank, queue[BEFORE:], CLIENTS))
            await _accepted(journal, BEFORE + MEANWHILE)
            async with log_kept(stack, folder / "log"):
                at_backup = {one.key: one.state for one in journal}
                await base_backup(stack, folder / "base")
                await _accepted(journal, len(journal.of("report", State.OK)) + MEANWHILE)
                await asyncio.to_thread(stack.kill, "postgres")
            assert not filing.done(), "it was to be lost in the middle"
            filing.cancel()
            await asyncio.gather(filing, return_exceptions=True)
        shutil.copy(stack.folder / "secrets.json", folder / "secrets.json")
    shutil.rmtree(folder / "run")
    left = (folder / "base", folder / "log", folder / "kafka", folder / "secrets.json")
    return Lost(*left, reports, at_backup, journal)


async def _accepted(journal: Journal, number: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(journal.of("report", State.OK)) < number:  # noqa: ASYNC110 - tasks of this test
            await asyncio.sleep(0.02)


@asynccontextmanager
async def _at_work(stack: Stack, journal: Journal) -> AsyncIterator[Bank]:
    """Have an officer and the payees' bank at work; yield the bank that files."""
    async with httpx2.AsyncClient(timeout=20) as http:
        police = Desk(http, stack.info["notifier"], stack.officer(UNIT), journal)
        payees = Desk(http, stack.info["intake"], stack.bank(PAYEES_BANK), journal)
        working = [asyncio.create_task(officer(police, asyncio.Event())), asyncio.create_task(payees_bank(payees))]
        try:
            yield Bank(http, [stack.info["intake"]], stack.bank(), journal)
        finally:
            for one in working:
                one.cancel()
            await asyncio.gather(*working, return_exceptions=True)


async def _send_again(stack: Stack, lost: Lost, journal: Journal) -> None:
    """Have the bank send again what nobody is sure of, with the keys of then."""
    async with httpx2.AsyncClient(timeout=20) as http:
        for one in journal.of("report", State.UNKNOWN):
            body, headers = lost.reports[one.facts["bank_reference"]], stack.bank(**{"Idempotency-Key": one.key})
            answer = await http.post(f"{stack.info['intake']}/v1/reports", json=body, headers=headers)
            assert answer.status_code == 202, answer.text
            journal.end(one, State.OK, answer.json()["id"])


async def _whole(stack: Stack, journal: Journal) -> None:
    """Wait until nothing is open and nothing is missing, then hold it against what the clients know."""
    async with _at_work(stack, journal):
        await settled(stack.info["databases"], PATIENCE_SECONDS)
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await _amiss(stack, asyncio.get_running_loop().time() - began):  # noqa: ASYNC110 - others mend it
                await asyncio.sleep(0.2)
        await settled(stack.info["databases"], PATIENCE_SECONDS)
    outcome = await check(stack.info["databases"], journal)
    assert outcome.healthy, outcome.broken
    assert ": 0 differences" in await stack.lanjie("ledger", "verify", part="notifier")


async def _amiss(stack: Stack, seconds: float) -> set[str]:
    """Return which comparisons of the services tell of a gap, or were not made within so many seconds."""
    found = set()
    async with httpx2.AsyncClient(timeout=20) as http:
        for service in SERVICES:
            text = (await http.get(f"{stack.info[service]}/metrics")).text
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    age = sample.name == "lanjie_reconciliation_last_success_seconds" and sample.value > seconds
                    if age or (sample.name == "lanjie_reconciliation_gaps" and sample.value):
                        found.add(sample.labels["between"])
    return found


async def test_from_the_backup_alone_all_before_it_is_whole_and_what_came_after_is_sent_again(
    lost: Lost, tmp_path: Path
) -> None:
    journal = lost.known(tmp_path / "known.jsonl")
    later = {one.facts["bank_reference"] for one in journal.of("report", State.UNKNOWN)}
    with running_stack(restored(lost.base, tmp_path / "run", lost.secrets), **HASTE) as stack:
        await _whole(stack, journal)
        async with stack.database("intake") as database:
            there = {row["bank_reference"] for row in await database.fetch("select bank_reference from report")}
        assert later - there, "nothing came after the backup"
        await _send_again(stack, lost, journal)
        assert not journal.of("report", State.UNKNOWN)
        await _whole(stack, journal)


async def test_with_the_log_since_the_backup_all_that_was_accepted_is_back(lost: Lost, tmp_path: Path) -> None:
    run = restored(lost.base, tmp_path / "run", lost.secrets, log=lost.log, kafka=lost.kafka)
    with running_stack(run, **HASTE) as stack:
        await _send_again(stack, lost, lost.journal)
        await _whole(stack, lost.journal)
