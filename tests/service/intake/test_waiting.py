"""`Prefer: wait`: an answer that is held until there is a verdict."""

import asyncio
import time
from collections.abc import Sequence
from uuid import UUID

import pytest
from httpx2 import Response

from services.intake.consumers import handling
from shared.events import Event, Level, ReportFiled
from shared.outbox import new_id
from shared.records import Received, read
from tests.parts import Door, a_key, a_report, bank
from tests.service.intake.counter import a_verdict, event_of, filed, judge, no_trace, post, problem_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


class ARecord:
    """An event as it lies on its topic."""

    def __init__(self, event: Event) -> None:
        self.topic, self.partition, self.offset = event.topic, 0, 0
        self.key: bytes | None = event.key().encode()
        self.value: bytes | None = event.model_dump_json().encode()
        self.headers: Sequence[tuple[str, bytes | None]] = [
            ("ce_type", event.type.encode()),
            ("ce_id", str(new_id()).encode()),
        ]


async def the_report(door: Door, reference: str) -> ReportFiled:
    """Wait until a report with this reference is stored."""
    for _ in range(200):
        if rows := await door.rows("select id from report where bank_reference = $1", reference):
            return await event_of(door, rows[0]["id"])
        await asyncio.sleep(0.01)
    pytest.fail("the report is not stored")


async def waiting_post(door: Door, *, wait: int = 3) -> tuple[asyncio.Task[Response], ReportFiled]:
    """Post a report that waits for its verdict; return once it is stored."""
    body = a_report()
    posting = asyncio.create_task(post(door, body, Prefer=f"wait={wait}"))
    return posting, await the_report(door, body["bank_reference"])


async def test_a_post_that_waits_is_answered_with_the_verdict_that_another_replica_stored(shared: Door) -> None:
    posting, event = await waiting_post(shared)
    assert not posting.done()
    await judge(shared, event.report_id, Level.CAUTION)
    answer = await asyncio.wait_for(posting, 2)
    assert answer.status_code == 200
    assert answer.headers["location"] == f"/v1/reports/{event.report_id}"
    assert answer.headers["preference-applied"] == "wait=3"
    shown = await shared.client.get(f"/v1/reports/{event.report_id}", headers=bank())
    assert (answer.json()["level"], answer.json()) == ("caution", shown.json())


async def test_a_post_that_waits_is_answered_with_the_verdict_that_is_consumed_here(shared: Door) -> None:
    posting, event = await waiting_post(shared)
    door = shared.app.state.door
    received = read(ARecord(a_verdict(event)))
    assert isinstance(received, Received)
    await handling(door.pool, door.board, door.metrics)([received])
    answer = await asyncio.wait_for(posting, 2)
    assert (answer.status_code, answer.json()["level"]) == (200, "alert")


async def test_many_posts_that_wait_each_get_their_own_verdict(shared: Door) -> None:
    waiting = [await waiting_post(shared) for _ in range(10)]
    for number, (_, event) in enumerate(waiting):
        await judge(shared, event.report_id, Level.ALERT if number % 2 else Level.CLEAR)
    answers = await asyncio.wait_for(asyncio.gather(*(posting for posting, _ in waiting)), 2)
    assert [answer.status_code for answer in answers] == [200] * 10
    assert [UUID(answer.json()["id"]) for answer in answers] == [event.report_id for _, event in waiting]
    assert [answer.json()["level"] for answer in answers] == ["clear", "alert"] * 5


async def test_a_post_that_waits_in_vain_is_accepted_all_the_same(shared: Door) -> None:
    began = time.monotonic()
    answer = await post(shared, a_report(), Prefer="wait=1")
    assert 1 <= time.monotonic() - began < 2.9
    assert (answer.status_code, answer.json()["status"]) == (202, "received")
    assert "preference-applied" not in answer.headers


async def test_nobody_waits_longer_than_three_seconds(shared: Door) -> None:
    began = time.monotonic()
    assert (await post(shared, a_report(), Prefer="wait=600")).status_code == 202
    assert 3 <= time.monotonic() - began < 6


@pytest.mark.parametrize(
    "preference", ["wait=0", "wait", "wait=-1", "wait=soon", "respond-async", "wait=１", "await=3"]
)
async def test_another_preference_is_no_reason_to_wait(shared: Door, preference: str) -> None:
    headers = {name.encode(): value.encode() for name, value in bank(**{"Idempotency-Key": a_key()}).items()}
    began = time.monotonic()
    answer = await shared.client.post(
        "/v1/reports", json=a_report(), headers={**headers, b"Prefer": preference.encode()}
    )
    assert answer.status_code == 202
    assert time.monotonic() - began < 0.9


async def test_a_repeated_post_that_waits_gets_the_verdict_at_once(shared: Door) -> None:
    key, body = a_key(), a_report()
    report_id = (await post(shared, body, key=key)).json()["id"]
    await judge(shared, UUID(report_id))
    answer = await post(shared, body, key=key, Prefer="respond-async, wait=3")
    assert (answer.status_code, answer.json()["id"], answer.json()["level"]) == (200, report_id, "alert")


async def test_a_look_at_a_report_may_wait_too(shared: Door) -> None:
    report_id = await filed(shared)
    looking = asyncio.create_task(shared.client.get(f"/v1/reports/{report_id}", headers=bank(Prefer="wait=3")))
    await asyncio.sleep(0.05)
    assert not looking.done()
    await judge(shared, report_id)
    assert (await asyncio.wait_for(looking, 2)).json()["status"] == "judged"


async def test_nobody_waits_for_a_report_that_is_not_there(shared: Door) -> None:
    report_id, began = await filed(shared), time.monotonic()
    problem_of(await shared.client.get(f"/v1/reports/{report_id}", headers=bank("CCB", Prefer="wait=3")), 404)
    async with no_trace(shared):
        problem_of(await post(shared, a_report(teller_id=""), Prefer="wait=3"), 422)
    assert time.monotonic() - began < 2.5
