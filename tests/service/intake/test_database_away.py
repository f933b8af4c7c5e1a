"""While the database is away nothing is accepted, nothing is pretended, and nothing needs a restart."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from httpx2 import Response

from services.intake import desk
from shared.outbox import new_id
from tests.parts import DatabaseServer, Door, a_key, a_report, bank, intake_door
from tests.service.intake.counter import filed, ordered, post, problem_of, waiting_for_locks
from tests.service.intake.wire import Line, line_to

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True, slots=True)
class Remote:
    """A door whose line to the database can be cut, and another door that looks at the same database."""

    door: Door
    line: Line
    beside: Door


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def remote(server: DatabaseServer) -> AsyncIterator[Remote]:
    clone = await server.clone("intake")
    async with line_to(clone) as (line, dsn), intake_door(dsn) as door, intake_door(clone) as beside:
        yield Remote(door, line, beside)
        line.mend()


def unavailable(answer: Response) -> None:
    problem_of(answer, 503)
    assert int(answer.headers["retry-after"]) >= 1


async def recovered(door: Door) -> None:
    """Wait until the door serves again."""
    for _ in range(250):
        if (await door.client.get("/v1/orders", headers=bank())).status_code == 200:
            return
        await asyncio.sleep(0.02)
    pytest.fail("the door does not serve again")


async def test_every_call_is_refused_while_the_database_is_away_and_works_when_it_is_back(remote: Remote) -> None:
    door, report_id, order = remote.door, await filed(remote.door), await ordered(remote.beside)
    line = json.dumps({**a_report(), "idempotency_key": a_key()}).encode()
    feedback = {"result": "failure", "remark": "查无此户"}
    before = await remote.beside.count("report"), await remote.beside.count("outbox")
    remote.line.cut()
    unavailable(await post(door, a_report()))
    unavailable(await door.client.get(f"/v1/reports/{report_id}", headers=bank()))
    unavailable(await door.client.get("/v1/orders", headers=bank()))
    unavailable(await door.client.get(f"/v1/orders/{order.order_id}", headers=bank("CCB")))
    ndjson = bank(**{"Content-Type": "application/x-ndjson"})
    unavailable(await door.client.post("/v1/reports/batch", content=line, headers=ndjson))
    disposition = {"outcome": "cancelled", "amount_fen": 1}
    unavailable(await door.client.post(f"/v1/reports/{report_id}/disposition", json=disposition, headers=bank()))
    unavailable(await door.client.post(f"/v1/orders/{order.order_id}/feedback", json=feedback, headers=bank("CCB")))
    assert (await door.client.get("/health/live")).status_code == 200
    assert (await door.client.get("/health/ready")).status_code == 503
    remote.line.mend()
    await recovered(door)
    assert (await remote.beside.count("report"), await remote.beside.count("outbox")) == before
    assert await remote.beside.count("disposition") == await remote.beside.count("feedback") == 0
    assert (await door.client.get("/health/ready")).status_code == 200


async def test_a_post_that_knew_its_bank_before_the_line_was_cut_is_not_accepted_either(remote: Remote) -> None:
    await recovered(remote.door)
    posts = [(a_key(), a_report()) for _ in range(5)]
    remote.line.cut()
    for answer in await asyncio.gather(*(post(remote.door, body, key=key) for key, body in posts)):
        unavailable(answer)
    remote.line.mend()
    await recovered(remote.door)
    assert [(await post(remote.door, body, key=key)).status_code for key, body in posts] == [202] * 5


async def test_a_report_whose_connection_broke_is_stored_with_its_promise_or_not_at_all_and_can_be_sent_again(
    remote: Remote,
) -> None:
    key, body = a_key(), a_report()
    async with remote.beside.pool.acquire() as connection, connection.transaction():
        await connection.execute("lock table outbox in exclusive mode")
        posting = asyncio.create_task(post(remote.door, body, key=key))
        await waiting_for_locks(remote.beside)
        remote.line.cut()
        unavailable(await posting)
    remote.line.mend()
    await recovered(remote.door)
    sql = "select r.idempotency_key, o.id is not null as promised from report r full join outbox o using (id)"
    before = await remote.beside.rows(sql)
    assert all(row["idempotency_key"] and row["promised"] for row in before)
    answer = await post(remote.door, body, key=key)
    assert answer.status_code == 202
    after = await remote.beside.rows(sql)
    assert [row["promised"] for row in after if row["idempotency_key"] == key] == [True]


@pytest.mark.parametrize("together", [False, True], ids=["alone", "in a batch"])
async def test_a_report_that_is_not_stored_in_time_is_to_be_sent_again_and_is_stored_once(
    remote: Remote, monkeypatch: pytest.MonkeyPatch, *, together: bool
) -> None:
    monkeypatch.setattr(desk, "ANSWERED_WITHIN_SECONDS", 0.2)
    key, body = a_key(), a_report()

    async def filed_or_not() -> Response:
        if not together:
            return await post(remote.door, body, key=key)
        line = json.dumps({**body, "idempotency_key": key}).encode()
        told = bank(**{"Content-Type": "application/x-ndjson"})
        return await remote.door.client.post("/v1/reports/batch", content=line, headers=told)

    async with remote.beside.pool.acquire() as connection, connection.transaction():
        await connection.execute("lock table report in exclusive mode")
        unavailable(await filed_or_not())
        again = await filed_or_not()
        assert (again.json()["code"] if together else again.status_code) == 409, "it is in hand still"
    async with asyncio.timeout(20):
        while (again := await post(remote.door, body, key=key)).status_code == 409:  # noqa: ASYNC110 - clients poll
            await asyncio.sleep(0.02)
    assert again.status_code == 202
    assert len(await remote.beside.rows("select from report where idempotency_key = $1", key)) == 1


async def test_whatever_was_answered_with_202_while_the_line_came_and_went_is_stored(remote: Remote) -> None:
    async def blink() -> None:
        for _ in range(6):
            await asyncio.sleep(0.03)
            remote.line.cut()
            await asyncio.sleep(0.01)
            remote.line.mend()

    async def one_after_another() -> list[tuple[str, dict[str, object], Response]]:
        told = []
        while not blinking.done():
            key, body = a_key(), a_report()
            told.append((key, body, await post(remote.door, body, key=key)))
        return told

    blinking = asyncio.create_task(blink())
    told = [one for lane in await asyncio.gather(*(one_after_another() for _ in range(6))) for one in lane]
    assert {answer.status_code for _, _, answer in told} == {202, 503}
    rows = await remote.beside.rows("select idempotency_key, id::text from report")
    stored = {row["idempotency_key"]: row["id"] for row in rows}
    assert all(stored[key] == answer.json()["id"] for key, _, answer in told if answer.status_code == 202)
    await recovered(remote.door)
    for key, body, _ in told:
        assert (await post(remote.door, body, key=key)).status_code == 202
    keys = [key for key, _, _ in told]
    assert len(await remote.beside.rows("select 1 from report where idempotency_key = any($1)", keys)) == len(told)


async def test_a_stranger_learns_nothing_while_the_database_is_away(remote: Remote) -> None:
    remote.line.cut()
    unknown = {"Authorization": "Bearer lanjie_bank_unknown"}
    unavailable(await remote.door.client.get(f"/v1/reports/{new_id()}", headers=unknown))
    problem_of(await remote.door.client.get(f"/v1/reports/{new_id()}"), 401)
    remote.line.mend()
