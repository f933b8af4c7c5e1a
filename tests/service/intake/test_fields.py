"""Fields of a report that cannot be accepted, each named in the answer and none quoted."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.money import LARGEST_AMOUNT_FEN
from tests.parts import DROP, Door, a_report
from tests.service.intake.counter import fields_of, no_trace, post, problem_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
ACCOUNT = "6222020000000001024"
RESIDENT = "44030119530314902X"


def ahead(**span: float) -> str:
    return (datetime.now(UTC) + timedelta(**span)).isoformat()


AMOUNTS = [
    *(True, False, "1_000", " 7 ", "9800000", "", 0, -1, -9_800_000, 100.5, 9_800_000.5, LARGEST_AMOUNT_FEN + 1),
    *(2**63, 2**64, 10**400, None, [], {}, [100], {"fen": 100}, "１００"),
]
CURRENCIES = ["USD", "cny", "CNY ", "CNY\n", "", "人民币", None, 156, ["CNY"]]
RESIDENT_IDS = {
    "wrong check character": "440301195303149021",
    "wrong check character X": "11010519491231001X",
    "30 February": "440301195302309020",
    "month 13": "440301195313149020",
    "month 0": "440301195300149020",
    "day 0": "440301195303009020",
    "29 February of a common year": "440301190002299025",
    "born in 1853": "440301185303149020",
    "year 0": "440301000003149024",
    "15 digits": "440301530314902",
    "17 digits": "44030119530314902",
    "19 characters": f"{RESIDENT}0",
    "X inside": "4403011953031490X2",
    "another letter": "44030119530314902Y",
    "full-width": RESIDENT.translate(FULL_WIDTH),
    "full-width X": "44030119530314902Ｘ",
    "Arabic digits": RESIDENT.translate(ARABIC),
    "trailing newline": f"{RESIDENT}\n",
    "leading space": f" {RESIDENT}",
    "hyphens": "440301-19530314-902X",
    "empty": "",
    "number": 440301195303149028,
    "still to be born": "44030129990314902X",
}
ACCOUNTS = {
    "7 digits": "6222020",
    "33 digits": "6" * 33,
    "letters": "62220200ABCD01024",
    "full-width": ACCOUNT.translate(FULL_WIDTH),
    "Arabic digits": ACCOUNT.translate(ARABIC),
    "trailing newline": f"{ACCOUNT}\n",
    "leading space": f" {ACCOUNT}",
    "grouped": "6222 0200 0000 0001 024",
    "superscript": f"{ACCOUNT}²",
    "U+0000": f"{ACCOUNT}\0",
    "empty": "",
    "number": 6222020000000001024,
    "none": None,
}
PHONES = {
    "letters": "1390000000a",
    "4 digits": "1390",
    "full-width": "13900000002".translate(FULL_WIDTH),
    "trailing newline": "13900000002\n",
    "plus inside": "139+00000002",
    "extension": "13900000002#1",
    "number": 13900000002,
}
NAMES = {
    "right-to-left override": "梁惠珍\u202e",
    "right-to-left isolate": "\u2067梁惠珍",
    "right-to-left mark": "梁\u200f惠珍",
    "Arabic letter mark": "梁\u061c惠珍",
    "zero-width space": "梁\u200b惠珍",
    "zero-width joiner": "梁\u200d惠珍",
    "word joiner": "梁\u2060惠珍",
    "byte order mark": "\ufeff梁惠珍",
    "soft hyphen": "梁\u00ad惠珍",
    "tag characters": "梁惠珍\U000e0041",
    "newline": "梁惠珍\n2026-11-22 ERROR",
    "trailing newline": "梁惠珍\n",
    "carriage return": "梁惠珍\r",
    "tab": "梁\t惠珍",
    "escape": "\x1b[31m梁惠珍",
    "delete": "梁惠珍\x7f",
    "C1 control": "梁\x85惠珍",
    "line separator": "梁\u2028惠珍",
    "U+0000": "梁\0惠珍",
    "empty": "",
    "only a space": " ",
    "only an ideographic space": "\u3000",
    "trailing space": "梁惠珍 ",
    "51 characters": "梁" * 51,
    "number": 7,
    "none": None,
}
TIMES = {
    "no offset": "2026-11-22T09:31:00",
    "only a date": "2026-11-22",
    "seconds since 1970": 1732240000,
    "seconds since 1970 as text": "1732240000",
    "a year ahead": ahead(days=365),
    "no time of the calendar": "2026-02-30T09:31:00+08:00",
    "hour 25": "2026-11-22T25:31:00+08:00",
    "offset of a day": "2026-11-22T09:31:00+24:00",
    "trailing newline": "2026-11-22T09:31:00+08:00\n",
    "full-width": "２０２６-11-22T09:31:00+08:00",
    "before there was anything to store": "0001-01-01T00:00:00+08:00",
    "the end of days": "9999-12-31T23:59:59-08:00",
    "words": "today at noon, +08:00",
    "empty": "",
    "none": None,
    "a list": ["2026-11-22T09:31:00+08:00"],
}
CODES = {
    "space": "ICBC 1",
    "65 characters": "I" * 65,
    "trailing newline": "ICBC-1\n",
    "full-width": "ＩＣＢＣ",
    "Arabic digits": "ICBC-١",
    "Hanzi": "工行",
    "SQL": "x'; drop table report; --",
    "markup": "<b>",
    "formula": "=1+1",
    "empty": "",
    "number": 7,
    "none": None,
}
CUES = {
    "unknown": (["on_phone_throughout", "wears_a_hat"], "cues.1"),
    "letter case": (["Safe_Account"], "cues.0"),
    "no code": (["no code"], "cues.0"),
    "number": ([7], "cues.0"),
    "51 of them": (["safe_account"] * 51, "cues"),
    "text": ("safe_account", "cues"),
    "object": ({"safe_account": True}, "cues"),
    "none": (None, "cues"),
}
TEXTS = {"2,001 characters": "说" * 2001, "U+0000": "说\0", "number": 7, "none": None, "list": ["说"]}
REQUIRED = [
    *("bank_reference", "branch_code", "teller_id", "observed_at", "transfer", "payer", "payee"),
    *("transfer__amount_fen", "transfer__currency", "transfer__channel", "payer__name", "payer__account"),
    *("payee__name", "payee__account", "payee__bank_code", "payee__account_type"),
]


def shown(*values: Any) -> dict[str, Any]:  # noqa: ANN401
    return {f"{value!r:.20}": value for value in values}


TABLE: list[tuple[str, str, dict[str, Any]]] = [
    ("transfer__amount_fen", "amount", shown(*AMOUNTS)),
    ("transfer__currency", "currency", shown(*CURRENCIES)),
    ("transfer__channel", "channel", shown("pigeon", "ATM", "", None, 1)),
    ("payer__id_number", "id number", RESIDENT_IDS),
    ("payer__account", "payer's account", ACCOUNTS),
    ("payee__account", "payee's account", ACCOUNTS),
    ("payer__phone", "phone", PHONES),
    ("payer__name", "payer's name", NAMES),
    ("payee__name", "payee's name", NAMES),
    ("observed_at", "time", TIMES),
    ("bank_reference", "reference", CODES),
    ("teller_id", "teller", CODES),
    ("payee__bank_code", "payee's bank", CODES),
    ("branch_code", "branch", {**CODES, "unknown": "ICBC-SZ-LH-999", "another bank's": "CCB-SZ-LH-001"}),
    ("payee__account_type", "account type", shown("PERSONAL", "", None, 1)),
    ("note", "note", TEXTS),
    ("transfer__purpose", "purpose", TEXTS),
    ("payer", "payer", shown(7, [], None, "梁惠珍")),
    ("payee", "payee", shown(7, [], None, "蒙世坤")),
    *((path, "unknown field", {path: 1}) for path in ("colour", "payer__colour", "payee__colour", "transfer__fee")),
    *((path, "without", {path: DROP}) for path in REQUIRED),
]
REFUSED = [
    *(
        pytest.param(path, value, path.replace("__", "."), id=f"{what}: {why}")
        for path, what, values in TABLE
        for why, value in values.items()
    ),
    *(pytest.param("cues", value, field, id=f"cues: {why}") for why, (value, field) in CUES.items()),
]


@pytest.mark.parametrize(("path", "value", "field"), REFUSED)
async def test_a_field_that_cannot_be_accepted_is_named_and_not_quoted(
    shared: Door,
    path: str,
    value: Any,  # noqa: ANN401
    field: str,
) -> None:
    body = a_report(**{path: value})
    async with no_trace(shared):
        answer = await post(shared, body)
    document = problem_of(answer, 422)
    assert fields_of(document) == {field}
    if isinstance(value, str | float) and len(str(value)) > 2:
        assert str(value) not in str(document)
        assert json.dumps(value)[1:-1] not in answer.text


async def test_a_time_six_minutes_ahead_of_our_clock_is_refused(shared: Door) -> None:
    # made here and not in the table: the table is made when tests are collected, minutes before they run
    async with no_trace(shared):
        answer = await post(shared, a_report(observed_at=ahead(minutes=6)))
    assert fields_of(problem_of(answer, 422)) == {"observed_at"}


async def test_every_field_that_is_wrong_is_named_at_once(shared: Door) -> None:
    async with no_trace(shared):
        answer = await post(shared, a_report(payer__account="1", payee__name="", transfer__currency="USD", teller_id=7))
    assert fields_of(problem_of(answer, 422)) == {"payer.account", "payee.name", "transfer.currency", "teller_id"}
    assert problem_of(answer, 422)["detail"] == "Not accepted: teller_id, transfer.currency, payer.account, payee.name."
