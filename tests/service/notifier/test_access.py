"""Who may do what at the police's door."""

import hashlib

import pytest

from shared.outbox import new_id
from tests.parts import Door, bank_key, officer_of, officer_token
from tests.service.notifier.builders import ID_NUMBER, PAYEE, PAYEE_NAME, PAYER_NAME, PHONE, a_verdict, an_account
from tests.service.notifier.police import AUDITOR, CUIZHU, DONGMEN, a_case, case_of, inbox, recorded

CASE = "/v1/cases/01999999-0000-7000-8000-000000000000"
LOOKS = [("GET", "/v1/cases"), ("GET", CASE), ("GET", "/v1/alerts/stream")]
STEPS = ("take-over", "transfer", "link", "split", "notes", "attachments", "reopen", "objections")
DECISIONS = [("POST", f"{CASE}/{step}") for step in ("acknowledge", "orders", "close", *STEPS)]
UNMASK = ("POST", f"{CASE}/unmask")
CALLS = [*LOOKS, *DECISIONS, UNMASK]
module_loop = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": officer_token("陆峥")},
        {"Authorization": f"Basic {officer_token('陆峥')}"},
        {"Authorization": f"Bearer {officer_token('陆峥')}x"},
    ],
)
@module_loop
async def test_whoever_shows_no_valid_token_is_refused(
    shared_notifier: Door, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = await shared_notifier.client.request(method, path, json={}, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"


@module_loop
async def test_a_token_of_other_characters_is_refused(shared_notifier: Door) -> None:
    headers = {b"Authorization": "Bearer lanjie_officer_é".encode()}
    answer = await shared_notifier.client.get("/v1/cases", headers=headers)
    assert answer.status_code == 401


@pytest.mark.parametrize(("method", "path"), CALLS)
@module_loop
async def test_a_banks_key_is_refused_at_the_polices_door(shared_notifier: Door, method: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {bank_key('ICBC')}"}
    answer = await shared_notifier.client.request(method, path, json={}, headers=headers)
    assert answer.status_code == 403


@module_loop
async def test_a_revoked_token_is_refused(shared_notifier: Door) -> None:
    token = officer_token("the one who left")
    await shared_notifier.pool.execute(
        """
        insert into officer (id, name, unit, role, token_sha256, revoked_at)
        values ($1, 'the one who left', 'SZ', 'officer', $2, now())
        """,
        new_id(),
        hashlib.sha256(token.encode()).digest(),
    )
    answer = await shared_notifier.client.get("/v1/cases", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


@pytest.mark.parametrize(("method", "path"), [*DECISIONS, UNMASK])
@module_loop
async def test_an_auditor_decides_nothing(shared_notifier: Door, method: str, path: str) -> None:
    answer = await shared_notifier.client.request(method, path, json={"reason": "x"}, headers=AUDITOR)
    assert answer.status_code == 403
    assert "auditor" in answer.json()["detail"]


async def test_an_auditor_looks_at_everything_of_the_own_subtree(notifier: Door) -> None:
    case_id = await a_case(notifier)
    assert [line["id"] for line in await inbox(notifier, AUDITOR)] == [case_id]
    assert (await case_of(notifier, case_id, AUDITOR))["id"] == case_id


async def test_unmasking_shows_a_station_its_own_customers_and_not_another_stations(notifier: Door) -> None:
    account = an_account()
    case_id = await a_case(notifier, a_verdict(account), a_verdict(account, branch="ICBC-SZ-LH-002"))
    for unit, reports in (("SZ-LH-CZ", 1), ("SZ-LH-DM", 1), ("SZ-LH", 2)):
        role = "supervisor" if unit == "SZ-LH" else "officer"
        answer = await notifier.client.post(
            f"/v1/cases/{case_id}/unmask", json={"reason": "核实"}, headers=officer_of(unit, role)
        )
        assert len(answer.json()["reports"]) == reports


async def test_unmasking_shows_the_people_in_clear_and_records_who_looked_and_why(notifier: Door) -> None:
    verdict = a_verdict()
    case_id = await a_case(notifier, verdict)
    answer = await notifier.client.post(
        f"/v1/cases/{case_id}/unmask", json={"reason": " 电话核实收款人 "}, headers=CUIZHU
    )
    assert answer.status_code == 200
    [shown] = answer.json()["reports"]
    assert shown["report_id"] == str(verdict.report.report_id)
    assert (shown["payee"]["name"], shown["payee"]["account"]) == (PAYEE_NAME, PAYEE)
    payer = shown["payer"]
    assert (payer["name"], payer["id_number"], payer["phone"]) == (PAYER_NAME, ID_NUMBER, PHONE)
    assert await recorded(notifier, case_id) == [("officer:陆峥", "unmasked", "电话核实收款人")]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"reason": ""}', 422),
        (b'{"reason": "  "}', 422),
        (b"{}", 422),
        (b'{"reason": "a\\u0000b"}', 422),
        (b'{"reason": "x", "more": 1}', 422),
        (b"[]", 422),
        (b'{"reason": 7}', 422),
        (b'{"reason": "x"', 400),
        (b'{"reason": "x", "reason": "y"}', 400),
        (b'{"reason": "\\ud800"}', 400),
        (b"", 400),
    ],
)
@module_loop
async def test_unmasking_without_a_proper_reason_shows_nothing_and_is_not_recorded(
    shared_notifier: Door, body: bytes, status: int
) -> None:
    case_id = await a_case(shared_notifier, a_verdict(account=an_account()))
    answer = await shared_notifier.client.post(
        f"/v1/cases/{case_id}/unmask", content=body, headers={**CUIZHU, "Content-Type": "application/json"}
    )
    assert answer.status_code == status
    assert PAYEE not in answer.text
    assert await shared_notifier.rows("select * from audit where subject = $1", case_id) == []


async def test_unmasking_in_another_content_type_or_of_another_units_case_is_refused_and_not_recorded(
    notifier: Door,
) -> None:
    case_id = await a_case(notifier)
    path = f"/v1/cases/{case_id}/unmask"
    assert (await notifier.client.post(path, content=b"reason=x", headers=CUIZHU)).status_code == 415
    assert (await notifier.client.post(path, json={"reason": "x"}, headers=DONGMEN)).status_code == 404
    assert await notifier.count("audit") == 0
