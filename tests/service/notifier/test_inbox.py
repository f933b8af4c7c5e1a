"""What officers see: the inbox, one case, masks."""

from datetime import datetime, timedelta

import pytest

from services.notifier.orders import answering
from shared.events import DispositionOutcome
from shared.privacy import mask_number
from tests.parts import Door
from tests.service.notifier.builders import (
    CLEAR_TEXTS,
    PAYEE,
    PAYER,
    a_contradiction,
    a_disposition,
    a_success,
    a_verdict,
    count,
    hear,
    now,
    take,
)
from tests.service.notifier.police import (
    CITY,
    CUIZHU,
    FUTIAN,
    a_case,
    acknowledge,
    case_of,
    close,
    done,
    inbox,
    ordered,
    timeline,
)

ACCOUNTS = [f"621700000000000000{number}" for number in range(4)]


async def test_the_inbox_shows_the_latest_change_first_and_filters_by_status_time_and_number(notifier: Door) -> None:
    assert await inbox(notifier) == []
    first, second, third = [await a_case(notifier, a_verdict(account=account)) for account in ACCOUNTS[:3]]
    assert (await acknowledge(notifier, first)).status_code == 200
    assert (await close(notifier, second)).status_code == 200
    assert [line["id"] for line in await inbox(notifier)] == [second, first, third]
    assert [line["id"] for line in await inbox(notifier, limit=2)] == [second, first]
    for status, case_id in (("open", third), ("acknowledged", first), ("closed", second)):
        assert [line["id"] for line in await inbox(notifier, status=status)] == [case_id]
    since = (await case_of(notifier, first))["changed_at"]
    assert [line["id"] for line in await inbox(notifier, since=since)] == [second, first]
    later = (datetime.fromisoformat(since) + timedelta(microseconds=1)).isoformat()
    assert [line["id"] for line in await inbox(notifier, since=later)] == [second]
    assert [line["id"] for line in await inbox(notifier, since=since, status="acknowledged")] == [first]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"status": "asleep"}, "query.status"),
        ({"since": "yesterday"}, "query.since"),
        ({"since": "2026-11-22T09:31:00"}, "query.since"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "query.since"),
        ({"since": "9999-12-31T23:59:59-14:00"}, "query.since"),
        ({"limit": "0"}, "query.limit"),
        ({"limit": "501"}, "query.limit"),
        ({"limit": "many"}, "query.limit"),
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_query_that_cannot_be_understood_is_refused_by_its_field(
    shared_notifier: Door, query: dict[str, str], field: str
) -> None:
    answer = await shared_notifier.client.get("/v1/cases", params=query, headers=CITY)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_the_inbox_says_who_has_a_case_and_what_is_due_next(notifier: Door) -> None:
    case_id = await a_case(notifier, a_verdict(account=ACCOUNTS[0]))
    [line] = await inbox(notifier)
    assert (line["unit"], line["in_charge"], line["responsible"], line["urgency"]) == (*["SZ-LH-CZ"] * 2, None, "02")
    assert line["next_due"] == {"stage": "acknowledge", "due_at": line["acknowledge_by"]}
    await done(notifier, case_id, "transfer", unit="SZ-FT", reason="x")
    await done(notifier, case_id, "take-over", FUTIAN)
    [line] = await inbox(notifier)
    assert (line["unit"], line["in_charge"], line["responsible"]) == ("SZ-LH-CZ", "SZ-FT", "贺临江")
    assert line["next_due"]["stage"] == "order"
    assert (await close(notifier, case_id)).status_code == 200
    [line] = await inbox(notifier)
    assert line["next_due"] is None


async def test_of_several_deadlines_the_inbox_shows_the_first_that_is_no_mere_warning(notifier: Door) -> None:
    case_id = await a_case(notifier, a_verdict(account=ACCOUNTS[0]))
    await hear(notifier.pool, a_success(await ordered(notifier, case_id)))
    running = [(due["stage"], due["step"]) for due in (await case_of(notifier, case_id))["deadlines"]]
    assert running == [("warning", 24), ("warning", 6), ("warning", 1), ("expiry", 0)]
    [line] = await inbox(notifier)
    assert line["next_due"]["stage"] == "expiry"
    await done(notifier, case_id, "objections", by="持卡人", text="x")
    [line] = await inbox(notifier)
    assert line["next_due"]["stage"] == "expiry", "48 hours are less than three days"


async def test_one_case_shows_its_reports_orders_and_timeline(notifier: Door) -> None:
    verdict = a_verdict()
    case_id = await a_case(notifier, verdict)
    await count(notifier.pool, a_disposition(verdict, DispositionOutcome.PROCEEDED))
    order = await ordered(notifier, case_id)
    await hear(notifier.pool, a_success(order, stopped_fen=500, balance_before_fen=500))
    assert (await close(notifier, case_id, scam_type="romance")).status_code == 200
    case = await case_of(notifier, case_id)
    assert timeline(case) == ["opened", "disposition", "acknowledged", "ordered", "feedback", "closed"]
    assert [entry["actor"] for entry in case["timeline"]] == [
        *("lanjie", "lanjie", "officer:陆峥", "officer:陆峥", "bank:CCB", "officer:陆峥")
    ]
    assert (case["acknowledged_by"], case["finding"], case["scam_type"]) == ("陆峥", "confirmed", "romance")
    [report] = case["reports"]
    assert report["disposition"] == {"outcome": "proceeded", "amount_fen": 9_800_000}
    assert (report["note"], report["purpose"]) == ("客户一直戴着耳机通话", "还款")
    assert report["findings"][0] == {"rule": "safe_account", "weight": 60, "why": "提到安全账户"}
    [shown] = case["orders"]
    assert (shown["status"], shown["stopped_fen"], shown["balance_before_fen"]) == ("executed", 500, 500)


async def test_an_event_that_changes_no_state_still_brings_its_case_to_the_top_of_the_inbox(notifier: Door) -> None:
    verdict = a_verdict(account=ACCOUNTS[0])
    first = await a_case(notifier, verdict)
    order = await ordered(notifier, first)
    second = await a_case(notifier, a_verdict(account=ACCOUNTS[1]))
    assert [line["id"] for line in await inbox(notifier)] == [second, first]
    disposition = a_disposition(verdict)
    await count(notifier.pool, disposition)
    [latest, _] = await inbox(notifier)
    assert latest["id"] == first
    await count(notifier.pool, disposition)
    assert (await inbox(notifier))[0]["changed_at"] == latest["changed_at"], "a repetition changes nothing"
    await take(notifier.pool, a_verdict(account=ACCOUNTS[1]))
    await answering.note_contradiction(notifier.pool, a_contradiction(order), now())
    assert [line["id"] for line in await inbox(notifier)] == [first, second]


async def test_names_and_numbers_are_masked_wherever_they_are_shown(notifier: Door) -> None:
    case_id = await a_case(notifier)
    listed = await notifier.client.get("/v1/cases", headers=CUIZHU)
    shown = await notifier.client.get(f"/v1/cases/{case_id}", headers=CUIZHU)
    [alert] = await notifier.rows("select facts::text as facts from alert")
    kept = await notifier.rows("select payee_mask::text, payee_token from fraud_case")
    told = await notifier.rows("select text from timeline")
    promised = await notifier.rows("select convert_from(payload, 'utf8') as payload from outbox")
    for text in (listed.text, shown.text, alert["facts"], str(kept), str(told), str(promised)):
        for clear in CLEAR_TEXTS:
            assert clear not in text
    for text in (shown.text, alert["facts"]):
        for mask in ("蒙**", "梁**", mask_number(PAYEE), mask_number(PAYER)):
            assert mask in text
    assert listed.json()["cases"][0]["payee"] == {"name": "蒙**", "account": "****2026", "bank_code": "CCB"}
