"""Canaries as personal data all the way, with kills, refusals, poison: in clear for nobody but those who may see it.

Looked through are the databases' dumps and files, all topics, all logs, the metrics, what refusals say, what goes to
screens and webhooks, and in the end what the poison left behind that quotes personal data.
"""

import asyncio
import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import httpx2
from aiokafka import AIOKafkaProducer

from shared.events import CASES, FEEDBACK, REPORTS, TOPICS, VERDICTS, ReportFiled, dead_letters
from shared.outbox import new_id
from tests.e2e.stack import Stack, running_stack
from tests.e2e.test_privacy import dump_of
from tests.faults.canaries import (
    FURTHER,
    NAME,
    QUOTED,
    WORDS,
    files_with,
    refused_reports,
    report_with_canaries,
    shown_in,
)
from tests.faults.clients import Bank
from tests.faults.journal import Journal, State
from tests.faults.orders import PAYEES_BANK, Desk, told_by_webhook
from tests.faults.play import Outcome, Play
from tests.faults.stored import settled
from tests.faults.topics import everything_on
from tests.parts import a_key

SEEDS: Final = (1,)
SERVICES: Final = ("intake", "rules", "notifier")
UNIT: Final = "SZ-LH-CZ"
PATIENCE_SECONDS: Final = 120.0


@dataclass(slots=True)
class Seen:
    """What was answered or sent to somebody who may not see it in clear: where, and what."""

    texts: list[tuple[str, bytes]] = field(default_factory=list)

    def note(self, where: str, answer: httpx2.Response) -> None:
        self.texts.append((where, answer.content + repr(dict(answer.headers)).encode()))


@dataclass(frozen=True, slots=True)
class Morning:
    """Everybody of one morning."""

    stack: Stack
    http: httpx2.AsyncClient
    bank: Bank
    officer: Desk
    payees_bank: Desk
    onward_bank: Desk
    seen: Seen
    dice: random.Random


async def play(run: Play) -> Outcome:
    """File reports, refuse some, order, answer, write, kill; then poison; look everywhere after each."""
    with running_stack(run.folder / "run") as stack:
        async with told_by_webhook(stack) as receiver, httpx2.AsyncClient(timeout=10) as http:
            journal = Journal(run.folder / "journal.jsonl")
            morning = _morning(stack, http, journal, random.Random(run.seed))  # noqa: S311 - a test's dice
            await _reports(morning, 200 if run.long else 20)
            cases = await _cases(morning, 60 if run.long else 6)
            await settled(stack.info["databases"], PATIENCE_SECONDS, deliveries=True)
            for service in SERVICES:
                morning.seen.note(f"metrics of {service}", await http.get(f"{stack.info[service]}/metrics"))
        morning.seen.texts += [("a webhook", one.body) for one in receiver.requests]
        outcome = Outcome(len(journal), figures={"cases": cases, "webhook calls": len(receiver.requests)})
        _look(morning.seen, outcome)
        await _look_everywhere(stack, outcome)
        poisons = await _poison(stack)
        await _look_after_poison(stack, poisons, outcome)
    return outcome


def _morning(stack: Stack, http: httpx2.AsyncClient, journal: Journal, dice: random.Random) -> Morning:
    intake, notifier = stack.info["intake"], stack.info["notifier"]
    return Morning(
        stack,
        http,
        Bank(http, [intake], stack.bank(), journal),
        Desk(http, notifier, stack.officer(UNIT), journal),
        Desk(http, intake, stack.bank(PAYEES_BANK), journal),
        Desk(http, intake, stack.bank("ICBC"), journal),
        Seen(),
        dice,
    )


async def _reports(morning: Morning, number: int) -> None:
    """File reports and bad ones, and kill each service once meanwhile."""
    kills = {number // 4: "rules", number // 2: "intake", number * 3 // 4: "notifier"}
    for at in range(number):
        await morning.bank.report(report_with_canaries(morning.dice))
        if at in kills:
            await asyncio.to_thread(morning.stack.kill, kills[at])
    url, headers = f"{morning.stack.info['intake']}/v1/reports", morning.stack.bank()
    for body in refused_reports(morning.dice):
        desk = morning.onward_bank
        told = {**headers, "Idempotency-Key": a_key()}
        answer = await Desk(morning.http, desk.url, told, desk.journal).ask("POST", "/v1/reports", body)
        assert not answer.is_success, body
        morning.seen.note("a refusal", answer)
    for content in (WORDS.encode(), WORDS.encode()[:-1], b'{"note": "' + WORDS.encode()):
        morning.seen.note(
            "a refusal", await morning.http.post(url, content=content, headers={**headers, "Idempotency-Key": a_key()})
        )
    morning.seen.note("a refusal", await morning.http.get(f"{url}/{WORDS}", headers=headers))


async def _cases(morning: Morning, number: int) -> int:
    """Work on some cases, with canaries in every text that officers and banks may write."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            inbox = await morning.officer.ask("GET", "/v1/cases?status=open")
            found = inbox.json()["cases"]
            if len(found) >= number:
                break
            await asyncio.sleep(0.2)
    morning.seen.note("the inbox", inbox)
    for case in found[:number]:
        await _work_on(morning, f"/v1/cases/{case['id']}")
    return number


async def _work_on(morning: Morning, case: str) -> None:
    ask = morning.officer.ask
    await ask("POST", f"{case}/acknowledge")
    await ask("POST", f"{case}/notes", {"text": WORDS})
    await ask("POST", f"{case}/attachments", {"reference": f"笔录/{NAME}", "title": f"{NAME}的笔录"})
    await ask("POST", f"{case}/unmask", {"reason": WORDS})
    morning.seen.note("a refusal", await ask("POST", f"{case}/orders", {"kind": WORDS}))
    ordered = await ask("POST", f"{case}/orders", {"kind": "stop", "reason": WORDS, "remark": WORDS})
    assert ordered.status_code == 201, ordered.text
    order = ordered.json()
    onward = {
        "bank_code": "ICBC",
        "account": f"{FURTHER}{morning.dice.randrange(10**6):06d}",
        "name": f"{NAME}丙某",
        "amount_fen": 100_000,
        "transferred_at": datetime.now(UTC).isoformat(),
    }
    done = {"stopped_fen": 9_000_000, "balance_before_fen": 9_000_000, "onward": [onward]}
    await _answer(morning, morning.payees_bank, order["id"], {**_success(), **done})
    further = await _further(morning, case)
    asked = {"kind": "stop", "reason": WORDS, "onward_id": further}
    follow_up = (await ask("POST", f"{case}/orders", asked)).json()
    failed = {"result": "failure", "remark": WORDS, "failure_cause": WORDS, "operator": f"{NAME}丁某"}
    await _answer(morning, morning.onward_bank, follow_up["id"], failed)
    morning.seen.note("a refusal", await ask("POST", f"{case}/close", {"finding": WORDS, "reason": WORDS}))
    await ask("POST", f"{case}/objections", {"by": f"{NAME}戊某", "text": WORDS})


def _success() -> dict[str, Any]:
    words = {"remark": WORDS, "operator": f"{NAME}丁某"}
    return {"result": "success", "executed_at": datetime.now(UTC).isoformat(), **words}


async def _answer(morning: Morning, bank: Desk, order_id: str, feedback: dict[str, Any]) -> None:
    path = f"/v1/orders/{order_id}"
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (await bank.ask("GET", path)).is_success:  # noqa: ASYNC110 - other processes bring it
            await asyncio.sleep(0.1)
    morning.seen.note("a refusal", await bank.ask("POST", f"{path}/feedback", {**feedback, "result": WORDS}))
    told = bank.journal.begin("feedback", f"f-{order_id}", {"order_id": order_id})
    answer = await bank.ask("POST", f"{path}/feedback", feedback)
    assert answer.is_success, answer.text
    morning.seen.note("a receipt", answer)
    bank.journal.end(told, State.OK)


async def _further(morning: Morning, case: str) -> str:
    """Wait until the account that the money moved on to is known; return its id."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            for account in (await morning.officer.ask("GET", case)).json()["accounts"]:
                if account["level"] == 2:
                    return str(account["id"])
            await asyncio.sleep(0.1)


def _look(seen: Seen, outcome: Outcome) -> None:
    for where, content in seen.texts:
        outcome.broken += [f"{where} shows {mark}" for mark in shown_in(content)]
    outcome.figures["answers and calls read"] = len(seen.texts)


async def _look_everywhere(stack: Stack, outcome: Outcome) -> None:
    """Look through dumps, topics and files: before any poison there is nothing in clear anywhere."""
    size = 0
    for service, dsn in stack.info["databases"].items():
        dump = await dump_of(dsn)
        size += len(dump)
        outcome.broken += [f"the dump of {service} shows {mark}" for mark in shown_in(dump)]
    records = await everything_on(stack.info["kafka"], [*TOPICS, *map(dead_letters, TOPICS)])
    for record in records:
        outcome.broken += [f"a record on {record.topic} shows {mark}" for mark in shown_in(_raw(record))]
    outcome.broken += await asyncio.to_thread(lambda: list(files_with(stack.folder)))
    outcome.figures |= {"dumps kB": size // 1000, "records read": len(records)}
    outcome.operations += len(records)


def _raw(record: Any) -> bytes:  # noqa: ANN401
    headers = b"".join(name.encode() + b" " + (value or b"") for name, value in record.headers)
    return (record.key or b"") + b" " + (record.value or b"") + b" " + headers


async def _poison(stack: Stack) -> int:
    """Send records that quote personal data in clear, wherever they can; wait until they are parked."""
    words = f"{QUOTED[0]}甲，账号{QUOTED[1]}000001".encode()
    typed = [("ce_type", ReportFiled.type.encode()), ("ce_id", str(new_id()).encode())]
    producer = AIOKafkaProducer(bootstrap_servers=stack.info["kafka"])
    await producer.start()
    poisons = [
        (REPORTS, words, b'{"payer": "' + words + b'"}', typed),
        (REPORTS, words, words, typed),
        (VERDICTS, None, b'{"level": "' + words + b'"}', [("ce_type", b"lanjie.verdict.reached.v1"), typed[1]]),
        (FEEDBACK, b"x", b"{}", [("ce_type", words), typed[1]]),
        (CASES, b"x", b"{}", [(words.decode(), words), *typed]),
    ]
    try:
        for topic, key, value, headers in poisons:
            await producer.send_and_wait(topic, value, key=key, headers=headers)
    finally:
        await producer.stop()
    heard = len(poisons) + 1  # verdicts are heard by two
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await _letters(stack) < heard:  # noqa: ASYNC110 - other processes park
            await asyncio.sleep(0.1)
        await settled(stack.info["databases"], PATIENCE_SECONDS)
    return heard


async def _letters(stack: Stack) -> int:
    found = 0
    for service in SERVICES:
        async with stack.database(service) as database:
            found += await database.fetchval("select count(*) from dead_letter")
    return found


async def _shown_to_operators(stack: Stack, service: str) -> str:
    """Return what the command says of a service's dead letters: of all, and of one."""
    listed = await stack.lanjie("dead", "list", "--json", part=service)
    ids = [one["id"] for one in json.loads(listed)]
    assert ids, f"{service} has parked what it heard"
    return listed + await stack.lanjie("dead", "show", ids[0], part=service)


async def _look_after_poison(stack: Stack, letters: int, outcome: Outcome) -> None:
    """What somebody else has put on a topic in clear lies there, and nowhere else."""
    for service, dsn in stack.info["databases"].items():
        dump = await dump_of(dsn)
        outcome.broken += [f"after the poison the dump of {service} shows {mark}" for mark in shown_in(dump, QUOTED)]
    records = await everything_on(stack.info["kafka"], map(dead_letters, TOPICS))
    if len(records) != letters:
        outcome.broken.append(f"{len(records)} dead letters of {letters}")
    for record in records:
        outcome.broken += [f"a dead letter on {record.topic} shows {mark}" for mark in shown_in(_raw(record), QUOTED)]
    outcome.broken += await asyncio.to_thread(lambda: list(files_with(stack.folder / "logs", QUOTED)))
    async with httpx2.AsyncClient(timeout=10) as http:
        for service in SERVICES:
            metrics = (await http.get(f"{stack.info[service]}/metrics")).content
            outcome.broken += [f"metrics of {service} show {mark}" for mark in shown_in(metrics, QUOTED)]
    for service in SERVICES:
        said = await _shown_to_operators(stack, service)
        outcome.broken += [f"`lanjie dead` shows {mark}" for mark in shown_in(said.encode(), QUOTED)]
    outcome.figures["dead letters"] = letters
