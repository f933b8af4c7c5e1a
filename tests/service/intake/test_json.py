"""Bodies that are not JSON, or JSON that says nothing we know."""

import json
from typing import Any

import pytest

from shared.outbox import new_id
from tests.parts import Door, a_report, bank
from tests.service.intake.counter import fields_of, filed, no_trace, post, problem_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = json.dumps(a_report(note="NOTE", transfer__purpose="PURPOSE", transfer__amount_fen=77))
SECRET = "6222020000000001024"


def with_note(literal: bytes) -> bytes:
    """A report whose note is written as it stands."""
    return GOOD.encode().replace(b'"NOTE"', literal)


def with_amount(literal: bytes) -> bytes:
    return GOOD.encode().replace(b"77", literal)


NOT_JSON: dict[str, bytes] = {
    "empty": b"",
    "only spaces": b" \r\n\t ",
    "truncated": GOOD[:-1].encode(),
    "truncated in a string": GOOD[: GOOD.index("NOTE") + 2].encode(),
    "invalid UTF-8": with_note(b'"\xff\xfe"'),
    "UTF-8 cut off": with_note('"骗'.encode()[:-1] + b'"'),
    "overlong UTF-8": with_note(b'"\xc0\xaf"'),
    "surrogate as UTF-8": with_note(b'"\xed\xa0\x80"'),
    "GB 18030": with_note('"安全账户"'.encode("gb18030")),
    "UTF-16": GOOD.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf" + GOOD.encode(),
    "trailing garbage": GOOD.encode() + b"x",
    "two values": GOOD.encode() + GOOD.encode(),
    "trailing comma": GOOD.encode()[:-1] + b",}",
    "comment": GOOD.encode()[:-1] + b"/* note */}",
    "single quotes": b"{'note': 1}",
    "line break in a string": with_note(b'"a\nb"'),
    "duplicate key": GOOD.encode()[:-1] + b', "note": "again"}',
    "duplicate key, written otherwise": GOOD.encode()[:-1] + b', "n\\u006fte": "again"}',
    "duplicate key, further in": GOOD.encode().replace(b'"amount_fen"', b'"amount_fen": 1, "amount_fen"'),
    "NaN": with_amount(b"NaN"),
    "Infinity": with_amount(b"Infinity"),
    "-Infinity": with_amount(b"-Infinity"),
    "leading zero": with_amount(b"077"),
    "hexadecimal": with_amount(b"0x77"),
    "plus sign": with_amount(b"+77"),
    "full-width digits": with_amount("７７".encode()),
    "5,000-digit integer": with_amount(b"7" * 5000),
    "5,000-digit integer where text belongs": with_note(b"7" * 5000),
    "deep arrays": with_note(b"[" * 30_000 + b"]" * 30_000),
    "deep objects": with_note(b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    "deep arrays without an end": b"[" * 60_000,
    "deep arrays below the parser's limit": with_note(b"[" * 900 + b"]" * 900),
    "lone surrogate": with_note(rb'"\ud800"'),
    "surrogates in the wrong order": with_note(rb'"\udc00\ud800"'),
    "lone surrogate in a name": GOOD.encode()[:-1] + rb', "\udfff": 1}',
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
async def test_what_is_not_strict_json_is_refused(shared: Door, body: bytes) -> None:
    async with no_trace(shared):
        answer = await post(shared, body)
    problem_of(answer, 400)
    assert SECRET not in answer.text


async def test_nesting_100_000_deep_is_refused_by_its_size(shared: Door) -> None:
    async with no_trace(shared):
        problem_of(await post(shared, b"[" * 100_000 + b"]" * 100_000), 413)


OTHER_JSON: dict[str, tuple[bytes, str]] = {
    "array": (b"[" + GOOD.encode() + b"]", "body"),
    "text": (b'"report"', "body"),
    "number": (b"7", "body"),
    "true": (b"true", "body"),
    "null": (b"null", "body"),
    "U+0000 in a note": (with_note(rb'"a\u0000b"'), "note"),
    "U+0000 in a purpose": (GOOD.encode().replace(b"PURPOSE", rb"\u0000"), "transfer.purpose"),
    "unknown field": (GOOD.encode()[:-1] + b', "colour": "red"}', "colour"),
    "unknown field, further in": (GOOD.encode().replace(b'"amount_fen"', b'"fee": 1, "amount_fen"'), "transfer.fee"),
    "U+0000 in an unknown field": (GOOD.encode()[:-1] + rb', "a\u0000": 1}', "a\0"),
    "letter case of a field": (GOOD.encode().replace(b'"note"', b'"Note"'), "Note"),
    "number beyond a double": (with_amount(b"1e999"), "transfer.amount_fen"),
    "4,000-digit integer": (with_amount(b"7" * 4000), "transfer.amount_fen"),
}


@pytest.mark.parametrize(("body", "field"), OTHER_JSON.values(), ids=OTHER_JSON)
async def test_json_that_is_no_report_is_refused_by_field(shared: Door, body: bytes, field: str) -> None:
    async with no_trace(shared):
        document = problem_of(await post(shared, body), 422)
    assert field in fields_of(document)


async def test_a_body_of_nothing_but_unknown_fields_gets_an_answer_of_bounded_size(shared: Door) -> None:
    async with no_trace(shared):
        answer = await post(shared, json.dumps({f"f{number}": 1 for number in range(4000)}).encode())
    assert len(fields_of(problem_of(answer, 422))) == 50


async def test_a_whole_character_written_as_two_escapes_is_accepted(shared: Door) -> None:
    assert (await post(shared, with_note(rb'"\ud83d\ude00 \u5b89\u5168"'))).status_code == 202


@pytest.mark.parametrize("body", [b"", b"{", b'{"a": 1, "a": 1}', b"\xff", b'{"a": NaN}'])
@pytest.mark.parametrize("path", ["/v1/reports/{report}/disposition", "/v1/orders/{order}/feedback"])
async def test_every_other_body_is_read_as_strictly(shared: Door, path: str, body: bytes) -> None:
    where = path.format(report=await filed(shared), order=new_id())
    async with no_trace(shared):
        problem_of(await shared.client.post(where, content=body, headers=bank()), 400)


@pytest.mark.parametrize("body", [[], None, {"outcome": "cancelled", "amount_fen": 1, "result": "success", "more": 1}])
@pytest.mark.parametrize("path", ["/v1/reports/{report}/disposition", "/v1/orders/{order}/feedback"])
async def test_every_other_body_must_have_its_own_shape(shared: Door, path: str, body: Any) -> None:  # noqa: ANN401
    where = path.format(report=await filed(shared), order=new_id())
    async with no_trace(shared):
        problem_of(await shared.client.post(where, content=json.dumps(body), headers=bank()), 422)
