"""Reports that look odd and are accepted: as data, sealed, flagged where it matters."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.parts import DROP, IDENTITY, NARRATIVE, TOKENS, Door, a_report
from tests.service.intake.counter import event_of, filed

pytestmark = pytest.mark.asyncio(loop_scope="module")

INJECTIONS = [
    "Robert'); drop table report;--",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '=cmd|"/C calc"!A0',
    "@SUM(1+1)*cmd",
    "${jndi:ldap://x/a}",
    "{{7*7}}",
    "%s%n%d \\u0000 \\",
]


@pytest.mark.parametrize("text", INJECTIONS)
async def test_text_that_means_something_elsewhere_is_stored_as_it_is(shared: Door, text: str) -> None:
    report_id = await filed(shared, note=text, transfer__purpose=text, payer__name=text, payee__name=text)
    event = await event_of(shared, report_id)
    narrative = json.loads(NARRATIVE.open(event.narrative, str(report_id)))
    identity = json.loads(IDENTITY.open(event.identity, str(report_id)))
    assert narrative == {"note": text, "purpose": text}
    assert (identity["payer"]["name"], identity["payee"]["name"]) == (text, text)


async def test_a_note_may_hold_what_a_name_may_not(shared: Door) -> None:
    text = "一行\n另一行\t\u200b\u202e\x1b[31m 2026-11-22 ERROR forged"
    report_id = await filed(shared, note=text)
    narrative = NARRATIVE.open((await event_of(shared, report_id)).narrative, str(report_id))
    assert json.loads(narrative)["note"] == text


@pytest.mark.parametrize(
    "name",
    [
        "梁",
        "𠮷田𣘺",
        "阿卜杜热依木·买买提",
        "㛃䶮",
        "Anne-Marie O’Neill",
        "深圳市（罗湖）贸易有限公司",
        "梁" * 50,
        "𠮷" * 50,
    ],
)
async def test_names_as_people_bear_them_are_accepted(shared: Door, name: str) -> None:
    report_id = await filed(shared, payer__name=name, payee__name=name)
    identity = IDENTITY.open((await event_of(shared, report_id)).identity, str(report_id))
    assert json.loads(identity)["payee"]["name"] == name


async def test_personal_data_leaves_in_tokens_and_seals_only(shared: Door) -> None:
    body = a_report()
    report_id = await filed(shared)
    [row] = await shared.rows(
        "select r::text as report, o::text as promise, o.payload from report r join outbox o using (id) where id = $1",
        report_id,
    )
    text = row["payload"].decode() + row["report"] + row["promise"]
    for secret in (*body["payer"].values(), body["payee"]["name"], body["payee"]["account"], body["note"], "还款"):
        assert secret not in text
    event = await event_of(shared, report_id)
    assert event.payee_token == TOKENS.of("account", body["payee"]["account"])
    assert event.payer_token == TOKENS.of("account", body["payer"]["account"])
    assert event.payer_person_token == TOKENS.of("person", body["payer"]["id_number"])
    assert event.key() == event.payee_token


async def test_a_lower_case_x_of_an_id_number_is_the_same_person(shared: Door) -> None:
    lower = await event_of(shared, await filed(shared, payer__id_number="44030119530314902x"))
    upper = await event_of(shared, await filed(shared, payer__id_number="44030119530314902X"))
    assert lower.payer_person_token == upper.payer_person_token
    identity = IDENTITY.open(lower.identity, str(lower.report_id))
    assert json.loads(identity)["payer"]["id_number"] == "44030119530314902X"


async def test_an_organisation_has_neither_id_number_nor_phone(shared: Door) -> None:
    event = await event_of(shared, await filed(shared, payer__id_number=DROP, payer__phone=None))
    assert (event.payer_person_token, event.payer_age) == (None, None)


async def test_a_plain_report_has_no_flags(shared: Door) -> None:
    assert (await event_of(shared, await filed(shared))).flags == ()


async def test_a_payer_who_is_the_payee_is_flagged(shared: Door) -> None:
    event = await event_of(shared, await filed(shared, payee__account="6222020000000001024"))
    assert event.flags == ("payer_is_payee",)


@pytest.mark.parametrize("side", ["payer", "payee"])
async def test_an_account_that_fails_its_check_digit_is_flagged(shared: Door, side: str) -> None:
    event = await event_of(shared, await filed(shared, **{f"{side}__account": "6222020000000001025"}))
    assert event.flags == (f"{side}_account_fails_luhn",)


async def test_a_report_of_something_a_month_old_is_marked_late(shared: Door) -> None:
    now = datetime.now(UTC)
    late = await event_of(shared, await filed(shared, observed_at=(now - timedelta(days=30, minutes=1)).isoformat()))
    assert (late.late, late.flags) == (True, ("late",))
    timely = await event_of(shared, await filed(shared, observed_at=(now - timedelta(days=29)).isoformat()))
    assert (timely.late, timely.flags) == (False, ())


async def test_a_branch_whose_clock_is_four_minutes_ahead_is_believed(shared: Door) -> None:
    ahead = datetime.now(UTC) + timedelta(minutes=4)
    assert (await event_of(shared, await filed(shared, observed_at=ahead.isoformat()))).observed_at == ahead


@pytest.mark.parametrize(
    "written", ["2024-11-20T09:31:00Z", "2024-11-20t17:31:00+08:00", "2024-11-20 09:31:00.000-00:00"]
)
async def test_a_time_may_be_written_with_any_offset(shared: Door, written: str) -> None:
    event = await event_of(shared, await filed(shared, observed_at=written))
    assert event.observed_at == datetime(2024, 11, 20, 9, 31, tzinfo=UTC)


async def test_a_cue_that_was_ticked_twice_counts_once(shared: Door) -> None:
    event = await event_of(shared, await filed(shared, cues=["safe_account", "on_phone_throughout", "safe_account"]))
    assert event.cues == ("safe_account", "on_phone_throughout")


@pytest.mark.parametrize("amount", [1, 1_000_000_000_000])
async def test_the_smallest_and_the_largest_amount_are_accepted(shared: Door, amount: int) -> None:
    assert (await event_of(shared, await filed(shared, transfer__amount_fen=amount))).amount_fen == amount


async def test_a_report_needs_no_cues_note_or_purpose(shared: Door) -> None:
    event = await event_of(shared, await filed(shared, cues=DROP, note=DROP, transfer__purpose=DROP))
    assert event.cues == ()
    assert json.loads(NARRATIVE.open(event.narrative, str(event.report_id))) == {"note": "", "purpose": ""}
