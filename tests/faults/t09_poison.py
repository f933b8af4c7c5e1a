"""Each poison on each topic that is heard, on Apache Kafka: parked exactly once, the good go on, processors rest.

A client that writes raw bytes sends what nobody should send. Then reports are filed as on any morning.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
import psutil
from aiokafka import AIOKafkaProducer

from shared.events import (
    CASES,
    DISPOSITIONS,
    FEEDBACK,
    ORDERS,
    OUTCOMES,
    REPORTS,
    TOPICS,
    VERDICTS,
    dead_letters,
)
from tests.e2e.stack import Stack, running_stack
from tests.faults.checker import check
from tests.faults.clients import Bank, bodies, morning
from tests.faults.journal import Journal
from tests.faults.play import Outcome, Play
from tests.faults.poison import Spoilt, samples, sealed_by_nobody, unreadable, with_nul
from tests.faults.stored import settled
from tests.faults.topics import everything_on

SEEDS: Final = (1,)
HEARD_BY: Final[Mapping[str, tuple[str, ...]]] = {
    REPORTS: ("rules",),
    VERDICTS: ("intake", "notifier"),
    DISPOSITIONS: ("rules", "notifier"),
    CASES: ("intake",),
    ORDERS: ("intake",),
    FEEDBACK: ("notifier",),
    OUTCOMES: ("rules",),
}
OPENED_BY: Final = {REPORTS: "rules", VERDICTS: "notifier", FEEDBACK: "notifier"}
"""Who opens what is sealed in an event of a topic, and so must park what cannot be opened."""
STORED: Final = {REPORTS: "bank", CASES: "unit", ORDERS: "unit", DISPOSITIONS: "payee_token", OUTCOMES: "payee_token"}
"""A text of the event that lands in a database."""
GOOD_WITHIN_SECONDS: Final = 30.0
PARKED_WITHIN_SECONDS: Final = 60.0
WATCHED_SECONDS: Final = 5.0
MOST_PROCESSOR: Final = 0.5

Place = tuple[str, int, int]
"""A record's topic, partition and offset."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A poison, who must park it, and where its copies lie. Others may, but no more than once."""

    poison: Spoilt
    must: tuple[str, ...]
    places: list[Place] = field(default_factory=list)


async def play(run: Play) -> Outcome:
    """Send each poison several times, in a random order, then file good reports; look where everything went."""
    reports, times = (2_000, 5) if run.long else (100, 2)
    dice = random.Random(run.seed)  # noqa: S311 - a test's dice
    with running_stack(run.folder, KAFKA="apache") as stack:
        sent = _poisons()
        await _send(stack, dice, sent * times)
        began = asyncio.get_running_loop().time()
        journal = Journal(run.folder / "journal.jsonl")
        async with httpx2.AsyncClient(timeout=10) as http:
            bank = Bank(http, [stack.info["intake"]], stack.bank(), journal)
            await morning(bank, list(bodies(dice, reports)), 16)
        await settled(stack.info["databases"], 120)
        took = asyncio.get_running_loop().time() - began
        outcome = await check(stack.info["databases"], journal)
        letters = await _letters(stack, sum(len(one.must) for one in sent))
        said = await everything_on(stack.info["kafka"], map(dead_letters, TOPICS))
        busy = await _busy(stack)
    _check_parked(sent, letters, said, outcome)
    if took > GOOD_WITHIN_SECONDS:
        outcome.broken.append(f"good reports took {took:.1f} s")
    lazy = [f"{name} takes {share:.0%} of a processor" for name, share in busy.items() if share > MOST_PROCESSOR]
    outcome.broken += lazy
    outcome.operations += len(sent) * times
    outcome.figures |= {
        "poisons": len(sent) * times,
        "parked": letters.total(),
        "good s": round(took, 1),
        "busiest": f"{max(busy.values()):.0%}",
    }
    return outcome


def _poisons() -> list[Sent]:
    """Return every poison for every topic, and who must park it."""
    sent = []
    for event in samples():
        sent += [Sent(one, HEARD_BY[event.topic]) for one in unreadable(event)]
        if event.topic in OPENED_BY:
            sent.append(Sent(sealed_by_nobody(event), (OPENED_BY[event.topic],)))
        if event.topic in STORED:
            sent.append(Sent(with_nul(event, STORED[event.topic]), ()))
    return sent


async def _send(stack: Stack, dice: random.Random, sent: list[Sent]) -> None:
    dice.shuffle(sent)
    producer = AIOKafkaProducer(bootstrap_servers=stack.info["kafka"])
    await producer.start()
    try:
        for one in sent:
            poison = one.poison
            record = await producer.send_and_wait(poison.topic, poison.value, key=poison.key, headers=poison.headers)
            one.places.append((record.topic, record.partition, record.offset))
    finally:
        await producer.stop()


async def _letters(stack: Stack, expected: int) -> Counter[tuple[str, Place]]:
    """Return what each service has parked, once that is as much as it must be, or after a while."""
    found: Counter[tuple[str, Place]] = Counter()
    with suppress(TimeoutError):
        async with asyncio.timeout(PARKED_WITHIN_SECONDS):
            while found.total() < expected:
                found = Counter()
                for service in stack.info["databases"]:
                    async with stack.database(service) as database:
                        rows = await database.fetch("select topic, partition_number, offset_number from dead_letter")
                    found.update((service, tuple(row)) for row in rows)
                await asyncio.sleep(0.2)
            await settled(stack.info["databases"], PARKED_WITHIN_SECONDS)
    return found


def _check_parked(
    sent: Sequence[Sent], letters: Counter[tuple[str, Place]], said: Sequence[Any], outcome: Outcome
) -> None:
    """Hold the dead letters of each service, in its database and on its topic, against what was sent."""
    published = Counter(_where(record) for record in said)
    for one in sent:
        topic, what = one.poison.topic, one.poison.what
        for service in HEARD_BY[topic]:
            times = sum(letters[service, place] for place in one.places)
            copies = sum(published[service, place] for place in one.places)
            if times > 1 or copies > 1:
                outcome.double(f"{what} on {topic} was parked {times} times by {service} and published {copies} times")
            elif service in one.must and not (times and copies):
                outcome.lose(f"{what} on {topic} was not parked by {service}")
    known = {(service, place) for one in sent for service in HEARD_BY[one.poison.topic] for place in one.places}
    for service, place in letters.keys() - known:
        outcome.broken.append(f"{service} parked {place}, which was good")


def _where(record: Any) -> tuple[str, Place]:  # noqa: ANN401
    """Return who has published a dead letter, and where the poison lies, by the letter's own words."""
    headers = dict(record.headers)
    topic, partition, offset = headers["reason"].decode().partition(": ")[0].split("/")
    return headers["ce_source"].decode().rpartition("/")[2], (topic, int(partition), int(offset))


async def _busy(stack: Stack) -> dict[str, float]:
    """Return how much of a processor each service takes while nothing is asked of it."""
    processes = {name: psutil.Process(stack.pid(name)) for name in stack.info["databases"]}
    before = {name: sum(one.cpu_times()[:2]) for name, one in processes.items()}
    await asyncio.sleep(WATCHED_SECONDS)
    return {name: (sum(one.cpu_times()[:2]) - before[name]) / WATCHED_SECONDS for name, one in processes.items()}
