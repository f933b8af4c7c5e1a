"""Many posts at once under one key, half of them altered: one row a key, and only one body is accepted.

They come through two doors, as two replicas are, so that the database alone can tell who was first.
"""

import asyncio
import copy
import random
import uuid
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from tests.faults.clients import PASSING, bodies
from tests.faults.database import own_server
from tests.faults.play import Outcome, Play
from tests.parts import Door, bank, intake_door

SEEDS: Final = (5,)
KEYS_AT_ONCE: Final = 8
PAUSE_SECONDS: Final = 0.1
ACCEPTED: Final = 202
KEY_REUSED: Final = 422


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one post was answered for good: its body's amount, the status, and the report's id if there is one."""

    amount_fen: int
    status: int
    id: str


async def play(run: Play) -> Outcome:
    """Post, and hold every answer against the one row."""
    keys, posts = (200, 50) if run.long else (40, 20)
    dice = random.Random(run.seed)  # noqa: S311 - a test's dice
    outcome = Outcome(operations=keys * posts)
    statuses: Counter[str] = Counter()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(own_server(run.folder))
        clone = await server.clone("intake")
        doors = [await stack.enter_async_context(intake_door(clone)) for _ in range(2)]
        door = doors[0]
        for _ in range(0, keys, KEYS_AT_ONCE):
            round_ = list(bodies(dice, KEYS_AT_ONCE))
            for key, answers in await asyncio.gather(*(_all_at_once(doors, body, posts, dice) for body in round_)):
                statuses.update(str(one.status) for one in answers)
                await _compare(door, key, answers, outcome)
        outcome.doubled += max(0, await door.count("report") - keys)
        if (rows := await door.count("report")) != keys:
            outcome.broken.append(f"{rows} rows of {keys} keys")
        if (promises := await door.count("outbox")) != keys:
            outcome.broken.append(f"{promises} promises of {keys} reports")
    outcome.figures = dict(sorted(statuses.items()))
    return outcome


async def _all_at_once(
    doors: Sequence[Door], body: dict[str, Any], posts: int, dice: random.Random
) -> tuple[str, Sequence[_Answer]]:
    altered = copy.deepcopy(body)
    altered["transfer"]["amount_fen"] += 1
    variants = [body, altered] * (posts // 2)
    dice.shuffle(variants)
    key = uuid.UUID(int=dice.getrandbits(128)).hex
    return key, await asyncio.gather(
        *(_post(doors[place % len(doors)], key, variant) for place, variant in enumerate(variants))
    )


async def _post(door: Door, key: str, body: dict[str, Any]) -> _Answer:
    """Post until it is answered for good."""
    while True:
        answer: httpx2.Response = await door.client.post(
            "/v1/reports", json=body, headers=bank(**{"Idempotency-Key": key})
        )
        if answer.status_code not in PASSING:
            said = answer.json().get("id", "") if answer.is_success else ""
            return _Answer(body["transfer"]["amount_fen"], answer.status_code, said)
        await asyncio.sleep(PAUSE_SECONDS)


async def _compare(door: Door, key: str, answers: Sequence[_Answer], outcome: Outcome) -> None:
    """Hold that the stored body was answered with its id, and any other one refused."""
    rows = await door.rows("select id::text, amount_fen from report where idempotency_key = $1", key)
    if len(rows) != 1:
        outcome.broken.append(f"key {key} has {len(rows)} rows")
        return
    for one in answers:
        stored = one.amount_fen == rows[0]["amount_fen"]
        wanted = (ACCEPTED, rows[0]["id"]) if stored else (KEY_REUSED, "")
        if (one.status, one.id) != wanted:
            what = "the stored body" if stored else "another body"
            outcome.broken.append(f"key {key}: {what} was answered {one.status} {one.id}, not {wanted}")
