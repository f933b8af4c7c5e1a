"""Who may come in at the banks' door, and how often."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from services.intake import reference
from shared.access import BANK_KEY, fingerprint
from tests.parts import DatabaseServer, Door, a_key, a_report, bank, bank_key, intake_door, officer_token
from tests.service.intake.counter import no_trace, post, problem_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

ABSENT = "01a20361-dd09-7531-9465-a8b478ffbef7"
"""An id that nothing has."""

CALLS = [
    ("POST", "/v1/reports"),
    ("POST", "/v1/reports/batch"),
    ("GET", f"/v1/reports/{ABSENT}"),
    ("POST", f"/v1/reports/{ABSENT}/disposition"),
    ("GET", "/v1/orders"),
    ("GET", f"/v1/orders/{ABSENT}"),
    ("POST", f"/v1/orders/{ABSENT}/feedback"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_every_call_needs_a_credential(shared: Door, method: str, path: str) -> None:
    async with no_trace(shared):
        answer = await shared.client.request(method, path, json=a_report())
    problem_of(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_an_officers_token_is_of_no_use_at_any_call(shared: Door, method: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {officer_token('陈志强')}"}
    async with no_trace(shared):
        problem_of(await shared.client.request(method, path, json=a_report(), headers=headers), 403)


@pytest.mark.parametrize(
    "credential",
    [
        "",
        "Bearer",
        f"Bearer {BANK_KEY}",
        f"Bearer {BANK_KEY}unknown",
        f"Bearer {bank_key('ICBC')}x",
        f"Bearer {bank_key('ICBC')[:-1]}",
        f"Basic {bank_key('ICBC')}",
        bank_key("ICBC"),
        f"Bearer {bank_key('ICBC')} {bank_key('ICBC')}",
        f"Bearer {BANK_KEY}' or true --",
        f"Bearer {BANK_KEY}\xe9",
    ],
)
async def test_what_is_no_valid_key_is_refused(shared: Door, credential: str) -> None:
    headers = {b"Authorization": credential.encode("latin-1"), b"Idempotency-Key": a_key().encode()}
    async with no_trace(shared):
        answer = await shared.client.post("/v1/reports", json=a_report(), headers=headers)
        problem_of(answer, 401)
    assert "ICBC" not in answer.text


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_schemes_letter_case_does_not_matter(shared: Door, scheme: str) -> None:
    assert (await post(shared, a_report(), Authorization=f"{scheme} {bank_key('ICBC')}")).status_code == 202


async def add_key(door: Door, name: str, expires_at: datetime | None = None) -> dict[str, str]:
    """Give ICBC one more key; return the headers that show it."""
    key = BANK_KEY + name
    async with door.pool.acquire() as connection:
        await reference.add_key(connection, "ICBC", key, name, expires_at)
    return {"Authorization": f"Bearer {key}"}


async def test_an_expired_key_is_refused(shared: Door) -> None:
    expired = await add_key(shared, "expired", datetime.now(UTC) - timedelta(seconds=1))
    problem_of(await shared.client.get("/v1/orders", headers=expired), 401)


async def test_a_key_expires_while_it_is_in_use(shared: Door) -> None:
    expiring = await add_key(shared, "expiring", datetime.now(UTC) + timedelta(hours=1))
    assert (await shared.client.get("/v1/orders", headers=expiring)).status_code == 200
    await shared.pool.execute("update bank_key set expires_at = now() where label = 'expiring'")
    await refused_within(shared, expiring, seconds=1.5)


async def test_a_revoked_key_is_refused_within_a_second_and_the_others_of_its_bank_are_not(shared: Door) -> None:
    revoked = await add_key(shared, "revoked")
    assert (await shared.client.get("/v1/orders", headers=revoked)).status_code == 200
    async with shared.pool.acquire() as connection:
        assert await reference.revoke_keys(connection, "ICBC", "revoked") == 1
    await refused_within(shared, revoked, seconds=1.5)
    assert (await shared.client.get("/v1/orders", headers=bank())).status_code == 200


async def refused_within(door: Door, headers: dict[str, str], *, seconds: float) -> None:
    for _ in range(round(seconds * 20)):
        answer = await door.client.get("/v1/orders", headers=headers)
        if answer.status_code != 200:
            problem_of(answer, 401)
            return
        await asyncio.sleep(0.05)
    pytest.fail("the key still opens the door")


async def test_a_revoked_key_that_nobody_has_used_lately_is_refused_at_once(shared: Door) -> None:
    unused = await add_key(shared, "unused")
    await shared.pool.execute("update bank_key set revoked_at = now() where label = 'unused'")
    problem_of(await shared.client.get("/v1/orders", headers=unused), 401)


async def test_a_key_is_stored_as_a_hash_only(shared: Door) -> None:
    rows = await shared.rows("select bank_key::text as row, sha256 from bank_key")
    assert fingerprint(bank_key("ICBC")) in [row["sha256"] for row in rows]
    assert not any(BANK_KEY in row["row"] for row in rows)


async def test_a_bank_over_its_rate_is_told_when_to_come_again_and_other_banks_are_served(
    server: DatabaseServer,
) -> None:
    async with intake_door(await server.clone("intake"), rate_per_second=0.25, rate_burst=3) as door:
        assert [(await post(door, a_report())).status_code for _ in range(3)] == [202] * 3
        answer = await post(door, a_report())
        problem_of(answer, 429)
        assert 1 <= int(answer.headers["retry-after"]) <= 4
        assert await door.count("report") == 3
        foreign = a_report(branch_code="CCB-SZ-LH-001")
        assert (await post(door, foreign, code="CCB")).status_code == 202


async def test_a_bank_that_waited_as_it_was_told_is_served_again(server: DatabaseServer) -> None:
    async with intake_door(await server.clone("intake"), rate_per_second=2, rate_burst=1) as door:
        assert (await post(door, a_report())).status_code == 202
        refused = await post(door, a_report())
        await asyncio.sleep(int(refused.headers["retry-after"]))
        assert (await post(door, a_report())).status_code == 202


async def test_a_batch_costs_as_many_reports_as_it_has_lines(server: DatabaseServer) -> None:
    async with intake_door(await server.clone("intake"), rate_per_second=0.25, rate_burst=3) as door:
        headers = bank(**{"Content-Type": "application/x-ndjson"})
        assert (await door.client.post("/v1/reports/batch", content=b"1\n2\n", headers=headers)).status_code == 200
        problem_of(await door.client.post("/v1/reports/batch", content=b"1\n2\n", headers=headers), 429)
        assert (await door.client.post("/v1/reports/batch", content=b"1\n", headers=headers)).status_code == 200


async def test_a_batch_larger_than_the_bucket_is_taken_when_it_is_full_and_paid_off_afterwards(
    server: DatabaseServer,
) -> None:
    async with intake_door(await server.clone("intake"), rate_per_second=0.25, rate_burst=3) as door:
        headers = bank(**{"Content-Type": "application/x-ndjson"})
        assert (await door.client.post("/v1/reports/batch", content=b"1\n" * 9, headers=headers)).status_code == 200
        answer = await post(door, a_report())
        problem_of(answer, 429)
        assert int(answer.headers["retry-after"]) > 20
