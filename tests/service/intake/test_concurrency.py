"""Many posts at once: one row a key, whatever the order and whoever wins."""

import asyncio
import json
import random
from collections import Counter, defaultdict

import pytest
from httpx2 import Response

from services.intake import handlers, store
from services.intake.door import filing
from services.intake.report import Report
from services.intake.store import Filing
from shared.outbox import outgoing
from tests.parts import DatabaseServer, Door, a_key, a_report, bank, intake_door
from tests.service.intake.counter import post, waiting_for_locks

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHUFFLE = random.Random(7)  # noqa: S311 - an order of posts is no secret


async def test_of_500_posts_with_20_keys_one_report_a_key_is_stored(shared: Door) -> None:
    keys = {a_key(): a_report() for _ in range(20)}
    posts = [(key, {**body, "note": "改过"} if copy % 2 else body) for key, body in keys.items() for copy in range(25)]
    SHUFFLE.shuffle(posts)
    answers = await asyncio.gather(*(post(shared, body, key=key) for key, body in posts))

    assert {answer.status_code for answer in answers} <= {202, 409, 422}
    ids = accepted_by_key(posts, answers)
    assert set(ids) == set(keys)
    assert all(len(of_a_key) == 1 for of_a_key in ids.values())
    rows = await shared.rows("select idempotency_key, id::text from report where idempotency_key = any($1)", list(keys))
    assert {row["idempotency_key"]: {row["id"]} for row in rows} == ids
    assert len(rows) == 20
    stored = [row["id"] for row in rows]
    assert len(await shared.rows("select 1 from outbox where id = any($1::uuid[])", stored)) == 20


def accepted_by_key(posts: list[tuple[str, dict[str, object]]], answers: list[Response]) -> dict[str, set[str]]:
    """Return the ids that were given out for each key; a post of another body was never told it was accepted."""
    ids, bodies = defaultdict(set), defaultdict(set)
    for (key, body), answer in zip(posts, answers, strict=True):
        if answer.status_code == 202:
            ids[key].add(answer.json()["id"])
            bodies[key].add(str(body["note"]))
    assert all(len(notes) == 1 for notes in bodies.values())
    return dict(ids)


async def test_of_many_posts_of_one_reference_under_different_keys_one_is_stored(shared: Door) -> None:
    body = a_report()
    answers = await asyncio.gather(*(post(shared, body) for _ in range(30)))
    assert Counter(answer.status_code for answer in answers) == {202: 1, 409: 29}
    [stored] = await shared.rows("select id::text from report where bank_reference = $1", body["bank_reference"])
    told = {answer.json().get("id") or answer.json()["existing_id"] for answer in answers}
    assert told == {stored["id"]}


async def test_two_banks_posting_the_same_keys_at_once_both_have_all_their_reports(shared: Door) -> None:
    keys = [a_key() for _ in range(20)]
    theirs = [post(shared, a_report(branch_code="CCB-SZ-LH-001"), key=key, code="CCB") for key in keys]
    answers = await asyncio.gather(*(post(shared, a_report(), key=key) for key in keys), *theirs)
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 40
    rows = await shared.rows("select bank from report where idempotency_key = any($1)", keys)
    assert Counter(row["bank"] for row in rows) == {"ICBC": 20, "CCB": 20}


async def test_two_replicas_given_the_same_posts_in_different_orders_store_each_once(server: DatabaseServer) -> None:
    clone = await server.clone("intake")
    async with intake_door(clone) as one, intake_door(clone) as other:
        posts = [(a_key(), a_report()) for _ in range(60)]
        for _ in range(2):
            mixed = SHUFFLE.sample(posts, len(posts))
            answers = await asyncio.gather(
                *(post(one, body, key=key) for key, body in posts), *(post(other, body, key=key) for key, body in mixed)
            )
            assert {answer.status_code for answer in answers} == {202}
            assert len({answer.json()["id"] for answer in answers}) == 60
        assert await one.count("report") == 60
        assert await one.count("outbox") == 60


async def test_replicas_given_the_same_posts_in_opposite_orders_do_not_wait_in_a_circle(shared: Door) -> None:
    door = shared.app.state.door
    names = [(a_key(), f"{reference}-{a_key()}") for reference in ("A", "B", "C")]

    def filings(*order: int) -> list[Filing]:
        bodies = [(names[place][0], a_report(bank_reference=names[place][1])) for place in order]
        return [filing(door, "ICBC", key, Report.model_validate_json(json.dumps(body)), "") for key, body in bodies]

    async with shared.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        [first] = filings(1)
        promise = outgoing(first.event, first.event.report_id, awaits_answer=True)
        await store.insert_reports(connection, [first], [promise])
        there = asyncio.create_task(handlers.file_reports(door.pool, filings(0, 1, 2)))
        back = asyncio.create_task(handlers.file_reports(door.pool, filings(2, 1, 0)))
        await waiting_for_locks(shared, 2)
        await transaction.rollback()
    assert sorted(len(promises) for _, promises in await asyncio.gather(there, back)) == [0, 3]


async def test_dispositions_of_one_report_at_once_record_one(shared: Door) -> None:
    report_id = (await post(shared, a_report())).json()["id"]
    bodies = [{"outcome": "cancelled", "amount_fen": 9_800_000}, {"outcome": "proceeded", "amount_fen": 9_800_000}]
    where = f"/v1/reports/{report_id}/disposition"
    answers = await asyncio.gather(*(shared.client.post(where, json=bodies[n % 2], headers=bank()) for n in range(20)))
    assert Counter(answer.status_code for answer in answers) == {200: 10, 409: 10}
    assert len({answer.text for answer in answers if answer.status_code == 200}) == 1
    assert len(await shared.rows("select 1 from disposition where report_id = $1", report_id)) == 1
