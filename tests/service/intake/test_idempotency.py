"""The same report sent again, and what only looks like it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.parts import Door, a_key, a_report, bank
from tests.service.intake.counter import fields_of, judge, metric, no_trace, post, problem_of, waiting_for_locks

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def rows_of(door: Door, key: str) -> list[tuple[str, str]]:
    """The bank and reference of each stored report with a key."""
    rows = await door.rows("select bank, bank_reference from report where idempotency_key = $1 order by bank", key)
    return [(row["bank"], row["bank_reference"]) for row in rows]


async def test_a_report_without_a_key_is_refused(shared: Door) -> None:
    async with no_trace(shared):
        answer = await shared.client.post("/v1/reports", json=a_report(), headers=bank())
    assert "Idempotency-Key" in problem_of(answer, 400)["detail"]


@pytest.mark.parametrize(
    "key", ["", "a key", "k" * 129, '"', '""', '"k', 'k"', '"k"k"', "k\tk", "k,k", "k;k", "<k>", "k\\k"]
)
async def test_a_malformed_key_is_refused(shared: Door, key: str) -> None:
    async with no_trace(shared):
        document = problem_of(await post(shared, a_report(), key=key), 400)
    assert "Idempotency-Key" in document["detail"]


@pytest.mark.parametrize("key", ["密钥".encode(), "k１".encode(), b"k\xe9", b"k\x80"])
async def test_a_key_beyond_ascii_is_refused(shared: Door, key: bytes) -> None:
    headers = {name.encode(): value.encode() for name, value in bank().items()}
    async with no_trace(shared):
        answer = await shared.client.post("/v1/reports", json=a_report(), headers={**headers, b"Idempotency-Key": key})
        problem_of(answer, 400)


async def test_two_keys_in_one_request_are_refused(shared: Door) -> None:
    headers = [*bank().items(), ("Idempotency-Key", a_key()), ("Idempotency-Key", a_key())]
    async with no_trace(shared):
        problem_of(await shared.client.post("/v1/reports", json=a_report(), headers=headers), 400)


@pytest.mark.parametrize("key", ["K", "k" * 100 + "A.b_c:d/e+f=g-0123456789ABC"])
async def test_keys_of_any_allowed_length_and_character_are_accepted(shared: Door, key: str) -> None:
    assert (await post(shared, a_report(), key=key)).status_code == 202
    assert len(await rows_of(shared, key)) == 1


async def test_a_key_in_quotes_is_the_key_within_them(shared: Door) -> None:
    key, body = a_key(), a_report()
    first = await post(shared, body, key=f'"{key}"')
    assert (await post(shared, body, key=key)).json() == first.json()


async def test_the_same_report_under_the_same_key_gets_the_same_answer_and_is_stored_once(shared: Door) -> None:
    key, body = a_key(), a_report()
    promises = await shared.count("outbox")
    repeated = await metric(shared, "lanjie_reports_repeated_total", bank="ICBC")
    answers = [await post(shared, body, key=key) for _ in range(3)]
    assert {(answer.status_code, answer.text, answer.headers["location"]) for answer in answers} == {
        (202, answers[0].text, f"/v1/reports/{answers[0].json()['id']}")
    }
    assert await rows_of(shared, key) == [("ICBC", body["bank_reference"])]
    assert await shared.count("outbox") == promises + 1
    assert await metric(shared, "lanjie_reports_repeated_total", bank="ICBC") == repeated + 2


async def test_the_first_answer_stays_the_answer_after_the_verdict(shared: Door) -> None:
    key, body = a_key(), a_report()
    first = await post(shared, body, key=key)
    await judge(shared, first.json()["id"])
    assert (await post(shared, body, key=key)).json() == first.json()


async def test_spacing_order_and_escapes_do_not_make_another_report(shared: Door) -> None:
    key, body = a_key(), a_report()
    first = await post(shared, json.dumps(body, ensure_ascii=False, indent=3).encode(), key=key)
    again = await post(shared, json.dumps(dict(reversed(body.items()))).encode(), key=key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("transfer__amount_fen", 9_800_001),
        ("payee__account", "6217000000000002034"),
        ("payer__name", "梁惠贞"),
        ("note", ""),
        ("cues", ["safe_account"]),
        ("cues", ["safe_account", "on_phone_throughout"]),
        ("bank_reference", "ICBC-OTHER"),
    ],
)
async def test_another_report_under_the_same_key_is_refused(shared: Door, field: str, value: object) -> None:
    key, reference, observed_at = a_key(), a_key(), a_report()["observed_at"]
    same = {"bank_reference": reference, "observed_at": observed_at}
    first = await post(shared, a_report(**same), key=key)
    assert first.status_code == 202
    async with no_trace(shared):
        document = problem_of(await post(shared, a_report(**{**same, field: value}), key=key), 422)
    assert fields_of(document) == {"Idempotency-Key"}
    assert (await post(shared, a_report(**same), key=key)).json() == first.json()


async def test_the_same_reference_under_another_key_is_refused_with_the_id_it_has(shared: Door) -> None:
    body = a_report()
    first = await post(shared, body)
    async with no_trace(shared):
        assert problem_of(await post(shared, body), 409)["existing_id"] == first.json()["id"]
        altered = {**body, "note": "另一份"}
        assert problem_of(await post(shared, altered), 409)["existing_id"] == first.json()["id"]


async def test_two_banks_may_use_the_same_key_and_the_same_reference(shared: Door) -> None:
    key, reference = a_key(), a_key()
    ours = await post(shared, a_report(bank_reference=reference), key=key)
    theirs = a_report(bank_reference=reference, branch_code="CCB-SZ-LH-001")
    other = await post(shared, theirs, key=key, code="CCB")
    assert (ours.status_code, other.status_code) == (202, 202)
    assert ours.json()["id"] != other.json()["id"]
    assert await rows_of(shared, key) == [("CCB", reference), ("ICBC", reference)]


async def test_a_refused_report_does_not_use_up_its_key_or_reference(shared: Door) -> None:
    key, body = a_key(), a_report()
    problem_of(await post(shared, {**body, "teller_id": ""}, key=key), 422)
    assert (await post(shared, body, key=key)).status_code == 202


@asynccontextmanager
async def nothing_can_be_filed(door: Door) -> AsyncIterator[None]:
    """Hold every report between its arrival and its commit."""
    async with door.pool.acquire() as connection, connection.transaction():
        await connection.execute("lock table report in exclusive mode")
        yield


async def test_a_repetition_while_the_first_is_being_stored_is_told_so_and_does_not_wait(shared: Door) -> None:
    key, body = a_key(), a_report()
    async with nothing_can_be_filed(shared):
        first = asyncio.create_task(post(shared, body, key=key))
        await waiting_for_locks(shared)
        second, third = await post(shared, body, key=key), await post(shared, a_report(), key=key)
        other_bank = asyncio.create_task(post(shared, a_report(branch_code="CCB-SZ-LH-001"), key=key, code="CCB"))
        assert not first.done()
    problem_of(second, 409)
    problem_of(third, 409)
    assert (await first).status_code == 202
    assert (await other_bank).status_code == 202
    assert (await post(shared, body, key=key)).json() == (await first).json()


async def test_a_client_that_gives_up_waiting_does_not_take_its_report_back(shared: Door) -> None:
    key, body = a_key(), a_report()
    async with nothing_can_be_filed(shared):
        first = asyncio.create_task(post(shared, body, key=key))
        await waiting_for_locks(shared)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    answer = await post(shared, body, key=key)
    assert answer.status_code in {202, 409}
    async with asyncio.timeout(5):
        while answer.status_code == 409:
            answer = await post(shared, body, key=key)
    assert answer.status_code == 202
    assert len(await rows_of(shared, key)) == 1
