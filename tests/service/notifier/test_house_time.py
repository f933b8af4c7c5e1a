"""The time of the house: whatever a replica's own clock says, deadlines are counted by the database's."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka.structs import ConsumerRecord

from deploy.local.config import ROOT
from services.notifier import consumers
from services.notifier.clock.house_time import HouseTime
from services.notifier.metrics import Metrics
from services.notifier.office import Office
from shared.outbox import new_id
from shared.postgres import Pool
from shared.records import Received
from tests.parts import IDENTITY, TOKENS
from tests.service.notifier.builders import a_verdict, an_account

NEAR = timedelta(seconds=30)


async def told_by(pool: Pool) -> datetime:
    at: datetime = await pool.fetchval("select clock_timestamp()")
    return at


async def test_it_is_the_databases_and_goes_on_between_two_questions(pool: Pool) -> None:
    house = HouseTime(pool, every_seconds=3600)
    first = await house.now()
    await asyncio.sleep(0.05)
    second = await house.now()
    assert timedelta(seconds=0.05) <= second - first
    assert abs(second - await told_by(pool)) < NEAR


async def test_it_is_asked_for_again_after_a_while_and_not_before(pool: Pool) -> None:
    rarely, always = HouseTime(pool, every_seconds=3600), HouseTime(pool, every_seconds=0)
    for house in (rarely, always):
        await house.now()
    await pool.close()
    assert abs(await rarely.now() - datetime.now(UTC)) < NEAR
    with pytest.raises(Exception, match="pool is clos"):
        await always.now()


async def test_a_case_that_a_verdict_opens_is_due_by_the_time_of_the_house(pool: Pool) -> None:
    ahead = timedelta(hours=1)

    async def an_hour_ahead() -> datetime:
        return datetime.now(UTC) + ahead

    async def alerted() -> None:
        """Nobody listens."""

    handle = consumers.handling(Office(pool, IDENTITY, TOKENS, now=an_hour_ahead), Metrics(), alerted)
    await handle(received())
    due: datetime = await pool.fetchval("select due_at from deadline")
    assert abs(due - await told_by(pool) - timedelta(seconds=60) - ahead) < NEAR


def received() -> Sequence[Received]:
    verdict = a_verdict(an_account())
    lying = ConsumerRecord(verdict.topic, 0, 0, 0, 0, None, None, 0, 0, 0, ())
    return [Received(verdict, new_id(), "", lying)]


def test_a_process_can_be_made_to_read_the_wrong_time() -> None:
    words = "import datetime, time; from datetime import UTC, datetime as d"
    show = f"{words}; print(d.now(UTC).timestamp() - time.time(), isinstance(d.fromtimestamp(0, UTC), d), time.time())"
    moved = f"from tests.faults.wrong_clock import move; move(3600); exec({show!r})"
    said = subprocess.run([sys.executable, "-c", moved], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    apart, known, at = said.split()
    assert abs(float(apart)) < 1
    assert known == "True"
    assert abs(float(at) - datetime.now(UTC).timestamp() - 3600) < NEAR.total_seconds()
