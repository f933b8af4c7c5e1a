"""What may be shown of a dead letter: of an event of ours its fields, masked; of anything else only how it is built."""

import json
from typing import Any

import pytest

from shared.dead_letter_view import shown
from shared.dead_letters import Headers, Letter
from tests.service.notifier.builders import CLEAR_TEXTS, a_report_filed, a_verdict, now

REPORT = a_report_filed("6217000000000002026", "ICBC-SZ-LH-001", 100, now())
OURS: Headers = (("ce_type", b"lanjie.report.filed.v1"), ("ce_id", str(REPORT.report_id).encode()))
TELLING = "6217000000000002026 蒙世坤"


def of(value: bytes | None, headers: Headers = OURS, key: bytes | None = b"k") -> dict[str, Any]:
    return shown(Letter(key, headers, value, whole=True))


def test_an_event_is_shown_by_its_fields_without_its_seals_and_tokens() -> None:
    told = of(REPORT.model_dump_json().encode(), key=REPORT.key().encode())
    assert told["key"] == "the event's own"
    assert told["headers"]["ce_type"] == "lanjie.report.filed.v1"
    fields = told["value"]["fields"]
    assert fields["report_id"] == str(REPORT.report_id)
    assert fields["amount_fen"] == 100
    assert fields["branch"] == "ICBC-SZ-LH-001"
    assert fields["identity"] == f"sealed, {len(REPORT.identity)} characters"
    assert fields["payee_token"] == f"{REPORT.payee_token[:8]}…"
    assert REPORT.payee_token not in json.dumps(told)


def test_what_stands_where_a_code_should_is_not_shown() -> None:
    told = of(REPORT.model_copy(update={"branch": TELLING, "bank": "A6217000000000002026"}).model_dump_json().encode())
    assert told["value"]["fields"]["branch"] == f"{len(TELLING)} characters"
    assert told["value"]["fields"]["bank"] == "20 characters"


def test_a_field_that_is_not_ours_is_not_shown_even_in_an_event_of_ours() -> None:
    value = json.dumps({**REPORT.model_dump(mode="json"), TELLING: TELLING}).encode()
    assert "蒙世坤" not in json.dumps(of(value), ensure_ascii=False)


@pytest.mark.parametrize(
    ("value", "built"),
    [
        (json.dumps({"report_id": TELLING, TELLING: 1}).encode(), "an object of 2 fields: report_id; 1 not ours"),
        (json.dumps([TELLING]).encode(), "an array of 1"),
        (json.dumps(TELLING).encode(), "a str"),
        (TELLING.encode(), "text, not JSON"),
        (b"[" * 100_000, "text, not JSON"),
        (b"\xff\xfe", "no text"),
    ],
)
def test_of_what_is_no_event_of_ours_only_its_build_is_shown(value: bytes, built: str) -> None:
    told = of(value)
    assert told["value"]["built"] == built
    assert told["value"]["bytes"] == len(value)
    for text in CLEAR_TEXTS:
        assert text not in json.dumps(told, ensure_ascii=False)


def test_a_null_value_is_named() -> None:
    assert of(None)["value"] == {"is": "null"}
    assert of(None, key=None)["key"] == "null"


def test_headers_that_are_not_ours_or_hold_something_else_are_not_shown() -> None:
    told = of(b"{", ((TELLING, TELLING.encode()), ("ce_id", TELLING.encode()), ("ce_type", None)))
    assert "蒙世坤" not in json.dumps(told, ensure_ascii=False)
    assert list(told["headers"]) == ["header 1, not ours", "ce_id", "ce_type"]
    assert told["headers"]["ce_type"] == "null"


def test_words_in_a_verdict_are_told_by_their_length() -> None:
    verdict = a_verdict()
    told = of(verdict.model_dump_json().encode(), (("ce_type", b"lanjie.verdict.reached.v1"),))
    finding = told["value"]["fields"]["findings"][0]
    assert finding == {"rule": "safe_account", "weight": 60, "why": f"{len(verdict.findings[0].why)} characters"}
