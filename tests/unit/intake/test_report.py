"""A report: what keeps it from being accepted, what is odd about it, and what of it travels."""

import json
import random
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import ValidationError

from services.intake.report import Privacy, Reference, Report, filed, fingerprint, flags, problems
from shared.privacy import SealBrokenError, Tokens
from tests.parts import DROP, IDENTITY, NARRATIVE, TOKENS, a_report

NOW = datetime(2026, 11, 22, 9, 31, tzinfo=UTC)
PRIVACY = Privacy(TOKENS, IDENTITY, NARRATIVE)
REFERENCE = Reference(
    {"ICBC-SZ-LH-001": "ICBC", "CCB-SZ-LH-001": "CCB"}, frozenset({"on_phone_throughout", "safe_account"})
)


def read(**changes: Any) -> Report:  # noqa: ANN401
    return Report.model_validate_json(json.dumps(a_report(**{"observed_at": NOW.isoformat(), **changes})))


def fields(report: Report, bank: str = "ICBC") -> list[str]:
    return [problem.field for problem in problems(report, bank, REFERENCE, NOW)]


def test_a_plain_report_has_neither_problems_nor_flags() -> None:
    assert fields(read()) == []
    assert flags(read(), NOW) == []


def test_a_branch_must_be_known_and_the_banks_own() -> None:
    assert fields(read(branch_code="ICBC-SZ-LH-999")) == ["branch_code"]
    assert fields(read(), bank="CCB") == ["branch_code"]
    assert fields(read(branch_code="CCB-SZ-LH-001"), bank="CCB") == []


def test_each_unknown_cue_is_named_by_its_place() -> None:
    assert fields(read(cues=["safe_account", "hat", "on_phone_throughout", "umbrella"])) == ["cues.1", "cues.3"]


@pytest.mark.parametrize(
    ("ahead", "named"), [(timedelta(minutes=5), []), (timedelta(minutes=5, seconds=1), ["observed_at"])]
)
def test_clocks_may_differ_by_five_minutes(ahead: timedelta, named: list[str]) -> None:
    assert fields(read(observed_at=(NOW + ahead).isoformat())) == named


@pytest.mark.parametrize(("age", "late"), [(timedelta(days=30), []), (timedelta(days=30, seconds=1), ["late"])])
def test_a_report_is_late_after_thirty_days(age: timedelta, late: list[str]) -> None:
    assert flags(read(observed_at=(NOW - age).isoformat()), NOW) == late


def test_nobody_is_at_a_counter_before_being_born() -> None:
    assert fields(read(payer__id_number="44030129990314902X")) == ["payer.id_number"]
    assert fields(read(observed_at="1953-03-14T00:00:00+00:00")) == []
    assert fields(read(observed_at="1953-03-13T00:00:00+00:00")) == ["payer.id_number"]


@pytest.mark.parametrize(
    "written",
    ["1732240000", "-1", "2026-11-22", "20261122T093100Z", "2026-11-22T09:31:00", "1899-12-31T00:00:00Z",
     "3000-01-01T00:00:00Z", "2026-326T09:31:00Z", "T09:31:00Z"],
)  # fmt: skip
def test_what_is_no_date_with_a_time_and_an_offset_is_refused(written: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read(observed_at=written)
    assert [error["loc"] for error in caught.value.errors()] == [("observed_at",)]


OFFSETS = some.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(moment=some.datetimes(datetime(1900, 1, 1), datetime(2999, 12, 31), timezones=OFFSETS))  # noqa: DTZ001 - bounds
def test_every_moment_we_accept_can_be_told_in_any_time_zone(moment: datetime) -> None:
    observed_at = read(observed_at=moment.isoformat()).observed_at
    assert observed_at.astimezone(UTC) == moment
    assert observed_at.astimezone(timezone(timedelta(hours=-23))) == moment


def test_the_event_says_what_was_reported_in_tokens_and_seals() -> None:
    report, report_id = read(note="备注", transfer__purpose="用途", cues=["safe_account"] * 2), uuid4()
    event = filed(report, report_id, "ICBC", PRIVACY, NOW)
    assert (event.report_id, event.bank, event.branch, event.filed_at) == (report_id, "ICBC", "ICBC-SZ-LH-001", NOW)
    assert (event.amount_fen, event.payee_bank, event.payer_age) == (9_800_000, "CCB", 73)
    assert event.cues == ("safe_account",)
    assert json.loads(NARRATIVE.open(event.narrative, str(report_id))) == {"note": "备注", "purpose": "用途"}
    people = json.loads(IDENTITY.open(event.identity, str(report_id)))
    assert people == {
        "payer": report.payer.model_dump(),
        "payee": report.payee.model_dump(mode="json"),
        "teller_id": "T1009",
    }


def test_the_seals_of_a_report_cannot_be_moved_to_another_or_opened_with_the_others_key() -> None:
    event = filed(read(), uuid4(), "ICBC", PRIVACY, NOW)
    for seal, sealed, about in (
        (IDENTITY, event.identity, uuid4()),
        (NARRATIVE, event.narrative, uuid4()),
        (NARRATIVE, event.identity, event.report_id),
        (IDENTITY, event.narrative, event.report_id),
    ):
        with pytest.raises(SealBrokenError):
            seal.open(sealed, str(about))


def test_equal_numbers_have_equal_tokens_and_nothing_else_is_equal_between_two_events() -> None:
    one, other = (filed(read(), uuid4(), "ICBC", PRIVACY, NOW) for _ in range(2))
    assert (one.payee_token, one.payer_token, one.payer_person_token) == (
        other.payee_token,
        other.payer_token,
        other.payer_person_token,
    )
    assert one.identity != other.identity
    assert one.narrative != other.narrative


def test_a_payer_without_an_id_number_has_neither_age_nor_token() -> None:
    event = filed(read(payer__id_number=DROP), uuid4(), "ICBC", PRIVACY, NOW)
    assert (event.payer_age, event.payer_person_token) == (None, None)


SPACE = some.text(" \n\t\r", max_size=4)


@given(indent=some.integers(0, 8), space=SPACE, escaped=some.booleans(), shuffle=some.randoms())
def test_a_fingerprint_does_not_depend_on_spacing_order_or_escapes(
    indent: int,
    space: str,
    escaped: bool,  # noqa: FBT001
    shuffle: random.Random,
) -> None:
    body = a_report(bank_reference="ICBC-1", observed_at=NOW.isoformat())
    names = list(body)
    shuffle.shuffle(names)
    text = space + json.dumps({name: body[name] for name in names}, indent=indent, ensure_ascii=escaped) + space
    plain = Report.model_validate_json(json.dumps(body))
    assert fingerprint(Report.model_validate_json(text), TOKENS) == fingerprint(plain, TOKENS)


@given(
    amount=some.integers(1, 10**12),
    note=some.text(some.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
)
def test_reports_that_say_otherwise_have_other_fingerprints(amount: int, note: str) -> None:
    same = {"bank_reference": "ICBC-1", "transfer__amount_fen": amount, "note": note}
    first = fingerprint(read(**same), TOKENS)
    assert first == fingerprint(read(**same), TOKENS)
    assert first != fingerprint(read(**{**same, "note": f"{note}."}), TOKENS)
    assert first != fingerprint(read(**{**same, "transfer__amount_fen": amount % 10**12 + 1}), TOKENS)


def test_a_fingerprint_tells_nothing_to_whoever_does_not_hold_the_key() -> None:
    assert fingerprint(read(bank_reference="ICBC-1"), TOKENS) != fingerprint(
        read(bank_reference="ICBC-1"), Tokens(bytes(32))
    )
