"""Deadlines with two replicas, kills, a replica whose clock is an hour wrong, and acknowledgements at the last moment.

Verdicts come over a broker, so that either replica opens cases and starts their clocks. When something was due is
reckoned from the time at which the alert was committed, and how late it was followed up from commits as well: the
database's own times. The replica with the wrong clock is killed and comes back with one that is wrong the other way.
"""

import asyncio
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx2

from shared.kafka import Publisher
from shared.outbox import new_id, outgoing
from shared.postgres import Pool, open_pool
from tests.bench.deadlines import BRANCHES, open_cases, raced, replica, set_due, who_was_first
from tests.faults.broker import own_broker
from tests.faults.clients import NO_ANSWER
from tests.faults.database import own_server
from tests.faults.play import Outcome, Play
from tests.parts import officer_of
from tests.service.notifier.builders import a_verdict, an_account

SEEDS: Final = (1,)
HOUR: Final = 3600
SPAN_SECONDS: Final = 8
EARLY_SECONDS: Final = 2.0
"""A clock starts when a batch is taken, a little before it is committed."""
LATEST_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 90.0

STORY: Final = """
    select c.id, extract(epoch from opened.at)::float8 + $1::float8 as due,
           extract(epoch from taken.at)::float8 as acknowledged,
           extract(epoch from told.at)::float8 as escalated, told.times as escalations, missed.times as missed
    from fraud_case c
    cross join lateral (
        select min(pg_xact_commit_timestamp(xmin)) as at from alert
        where case_id = c.id and facts ->> 'kind' = 'opened') opened
    cross join lateral (
        select min(pg_xact_commit_timestamp(xmin)) as at from timeline
        where case_id = c.id and kind = 'acknowledged') taken
    cross join lateral (
        select min(pg_xact_commit_timestamp(xmin)) as at, count(*) as times from alert
        where case_id = c.id and facts ->> 'kind' = 'escalated') told
    cross join lateral (
        select count(*) as times from deadline
        where case_id = c.id and stage = 'acknowledge' and state = 'missed') missed
"""


@dataclass(slots=True)
class Replicas:
    """Two replicas by number, and where they answer now. The second has a wrong clock."""

    dsn: str
    folder: Path
    broker: str
    stack: AsyncExitStack
    urls: dict[int, str] = field(default_factory=dict)
    processes: dict[int, Any] = field(default_factory=dict)
    wrong_by: int = HOUR

    async def start(self, number: int) -> None:
        module = ("tests.faults.wrong_clock", str(self.wrong_by), "services.notifier") if number == 2 else None
        told = {"KAFKA_BOOTSTRAP_SERVERS": self.broker, "INSTANCE_ID": f"notifier-{number}"}
        running = replica(self.dsn, self.folder, number, module or ("services.notifier",), **told)
        self.urls[number], self.processes[number] = await self.stack.enter_async_context(running)

    async def kill(self, number: int) -> None:
        """`kill -9` a replica, and start it anew."""
        self.processes[number].kill()
        if number == 2:
            self.wrong_by = -self.wrong_by
        await self.start(number)


async def play(run: Play) -> Outcome:
    """Alert, acknowledge half of it, kill; then race acknowledgements against deadlines."""
    alerts, races = (2_000, 1_000) if run.long else (300, 150)
    dice = random.Random(run.seed)  # noqa: S311 - a test's dice
    (run.folder / "broker").mkdir()
    async with own_server(run.folder) as server, own_broker(run.folder / "broker") as broker:
        dsn = await server.clone("notifier")
        pool = await open_pool(dsn, "notifier", most=4)
        try:
            await _short_deadlines(pool)
            async with AsyncExitStack() as stack:
                replicas = Replicas(dsn, run.folder, broker, stack)
                await replicas.start(1)
                await replicas.start(2)
                outcome = Outcome(alerts + races)
                await _alerts(pool, replicas, dice, alerts, outcome)
                await _races(pool, replicas, dice, races, outcome)
        finally:
            await pool.close()
    return outcome


async def _short_deadlines(pool: Pool) -> None:
    await pool.execute(
        """
        insert into deadline_rule (unit, urgency, stage, seconds)
        select 'SZ', urgency, 'acknowledge', $1::integer from unnest(array['01', '02']) u (urgency)
        """,
        SPAN_SECONDS,
    )


async def _alerts(pool: Pool, replicas: Replicas, dice: random.Random, number: int, outcome: Outcome) -> None:
    """Publish verdicts for a while, have half of the cases acknowledged in time, kill each replica once."""
    seconds = number / 50
    async with asyncio.TaskGroup() as group:
        group.create_task(_publish(replicas.broker, number, seconds))
        group.create_task(_acknowledge_half(pool, replicas, dice, number))
        await asyncio.sleep(seconds / 2)
        await replicas.kill(2)
        await asyncio.sleep(max(0.0, SPAN_SECONDS - seconds / 2))
        await replicas.kill(1)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await _running(pool):  # noqa: ASYNC110 - other processes follow up
                await asyncio.sleep(0.1)
    except TimeoutError:
        outcome.broken.append(f"{await _running(pool)} deadlines are waited for after {PATIENCE_SECONDS:g} s")
    stories = [dict(row) for row in await pool.fetch(STORY, float(SPAN_SECONDS))]
    _check(stories, number, outcome)
    # their next steps are no part of it
    await pool.execute("update deadline set state = 'met' where state = 'running'")


async def _publish(broker: str, number: int, seconds: float) -> None:
    publisher = Publisher(broker, "/rules")
    pages = max(1, round(seconds / 0.2))
    try:
        for page in range(pages):
            count = number * (page + 1) // pages - number * page // pages
            verdicts = [a_verdict(an_account(), BRANCHES[at % len(BRANCHES)]) for at in range(count)]
            rows = [outgoing(verdict, new_id()) for verdict in verdicts]
            while rows:
                sent = set(await publisher.send(rows))
                rows = [row for row in rows if row.id not in sent]
            await asyncio.sleep(seconds / pages)
    finally:
        await publisher.stop()


async def _acknowledge_half(pool: Pool, replicas: Replicas, dice: random.Random, number: int) -> None:
    """Acknowledge about half of the cases within the first half of their time, at whichever replica answers."""
    seen: set[UUID] = set()
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        httpx2.AsyncClient(timeout=5) as client,
        asyncio.TaskGroup() as group,
    ):
        while len(seen) < number:
            for row in await pool.fetch("select id from fraud_case where id <> all($1::uuid[])", list(seen)):
                seen.add(row["id"])
                if dice.random() < 0.5:
                    wait = dice.uniform(0, SPAN_SECONDS / 2)
                    group.create_task(_acknowledge(client, replicas, dice, row["id"], wait))
            await asyncio.sleep(0.1)


async def _acknowledge(
    client: httpx2.AsyncClient, replicas: Replicas, dice: random.Random, case_id: UUID, wait: float
) -> None:
    await asyncio.sleep(wait)
    while True:
        url = replicas.urls[dice.choice((1, 2))]
        try:
            answer = await client.post(f"{url}/v1/cases/{case_id}/acknowledge", headers=officer_of("SZ"))
        except NO_ANSWER:
            await asyncio.sleep(0.05)
            continue
        assert answer.status_code == 200, answer.text
        return


async def _running(pool: Pool) -> int:
    running: int = await pool.fetchval(
        "select count(*) from deadline where stage = 'acknowledge' and step = 0 and state = 'running'"
    )
    return running


def _check(stories: Sequence[dict[str, Any]], alerts: int, outcome: Outcome) -> None:
    """Hold each case's story against what should have happened; times are seconds of the database's clock."""
    if len(stories) != alerts:
        outcome.lost += alerts - len(stories)
        outcome.broken.append(f"{len(stories)} cases of {alerts} alerts")
    late = []
    for one in stories:
        timely = one["acknowledged"] is not None and one["acknowledged"] < one["due"] - EARLY_SECONDS
        if one["escalated"] is None:
            if one["acknowledged"] is None:
                outcome.lost += 1
                outcome.broken.append(f"case {one['id']} was neither acknowledged nor escalated")
            continue
        late.append(one["escalated"] - one["due"])
        if timely:
            outcome.broken.append(f"case {one['id']} was escalated and had been acknowledged in time")
        if one["escalated"] < one["due"] - EARLY_SECONDS:
            outcome.broken.append(f"case {one['id']} was escalated {one['due'] - one['escalated']:.1f} s early")
        if one["escalations"] != one["missed"]:
            outcome.doubled += 1
            outcome.broken.append(f"case {one['id']}: {one['escalations']} alerts of {one['missed']} missed deadlines")
    late.sort()
    p99 = late[int(len(late) * 0.99)] if late else 0.0
    if p99 > LATEST_SECONDS:
        outcome.broken.append(f"one in a hundred was escalated {p99:.1f} s late or later")
    outcome.figures |= {"escalated": len(late), "late s p99": round(p99, 2)}


async def _races(pool: Pool, replicas: Replicas, dice: random.Random, number: int, outcome: Outcome) -> None:
    """Acknowledge around the very moment of the deadline: one of the two is first, never both, never neither."""
    case_ids = await open_cases(pool, number)
    await set_due(pool, case_ids, number / 50)
    await raced(pool, case_ids, list(replicas.urls.values()), dice)
    ended = await who_was_first(pool, case_ids)
    for what, how in (("both", "escalated and acknowledged in time"), ("neither", "neither"), ("wrong", "overruled")):
        if ended[what]:
            outcome.broken.append(f"{ended[what]} races of {number} ended as {how}")
    if ended["after"]:
        outcome.broken.append(f"{ended['after']} cases were escalated after an acknowledgement")
    outcome.figures |= {"races": ended["races"], "acknowledged first": ended["met"]}
