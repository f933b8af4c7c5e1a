"""Records that a consumer must not swallow: each kind of what may lie on a topic and is no event of ours."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from shared.events import (
    AccountType,
    CaseChanged,
    CaseStatus,
    DispositionOutcome,
    DispositionRecorded,
    Event,
    FeedbackReceived,
    FeedbackResult,
    Finding,
    OrderChanged,
    OrderKind,
    OrderStatus,
    OutcomeDecided,
)
from shared.outbox import new_id
from tests.parts import IDENTITY
from tests.service.notifier.builders import a_verdict, an_account

Headers = list[tuple[str, bytes | None]]

NOBODYS_SEAL: Final = "k9.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
"""A seal of a key that nobody has."""
LARGE_BYTES: Final = 950_000
DEEP: Final = 100_000
MONEY_THAT_IS_NONE: Final = ("1.5", "1e3", '"100"', "-1", str(2**63), "true", "NaN", "9" * 5000)
"""As it stands in the JSON."""


@dataclass(frozen=True, slots=True)
class Spoilt:
    """One record to be sent as it is, and what is wrong with it."""

    what: str
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


def samples() -> list[Event]:
    """Return a good event for each topic; none of them is about anything that the databases know."""
    now, token = datetime.now(UTC), "A" * 24
    verdict = a_verdict(an_account())
    visit = DispositionRecorded(
        disposition_id=new_id(),
        report_id=new_id(),
        payee_token=token,
        outcome=DispositionOutcome.PROCEEDED,
        amount_fen=100,
        recorded_at=now,
    )
    case = CaseChanged(
        case_id=new_id(), version=1, status=CaseStatus.OPEN, unit="SZ", report_ids=(new_id(),), opened_at=now
    )
    outcome = OutcomeDecided(
        outcome_id=new_id(),
        case_id=new_id(),
        finding=Finding.UNFOUNDED,
        scam_type=None,
        payee_token=token,
        report_ids=(new_id(),),
        decided_at=now,
    )
    return [verdict.report, verdict, visit, case, outcome, _order(now), _feedback(now)]


def _order(now: datetime) -> OrderChanged:
    return OrderChanged(
        order_id=new_id(),
        version=1,
        case_id=new_id(),
        kind=OrderKind.STOP,
        status=OrderStatus.PENDING,
        bank="CCB",
        amount_fen=100,
        application_type="02",
        emergency_level="02",
        payee_account_type=AccountType.PERSONAL,
        transfer_at=now,
        ordered_at=now,
        starts_at=now,
        unit="SZ",
        identity=IDENTITY.seal("{}", "a"),
    )


def _feedback(now: datetime) -> FeedbackReceived:
    return FeedbackReceived(
        feedback_id=new_id(),
        order_id=new_id(),
        case_id=new_id(),
        bank="CCB",
        result=FeedbackResult.SUCCESS,
        stopped_fen=100,
        executed_at=now,
        received_at=now,
        identity=IDENTITY.seal("{}", "a"),
    )


def unreadable(event: Event) -> Iterator[Spoilt]:
    """Yield what every service that hears the topic must park, each once."""
    right = event.key().encode()
    good = event.model_dump_json().encode()
    typed: Headers = [("ce_type", event.type.encode())]
    full: Headers = [*typed, ("ce_id", str(new_id()).encode())]
    number = 0

    def spoilt(what: str, value: bytes | None = good, key: bytes | None = right, headers: Headers = full) -> Spoilt:
        nonlocal number
        number += 1
        return Spoilt(what, event.topic, key, value, [*headers, ("n", str(number).encode())])

    for what, value in _values(good):
        yield spoilt(what, value)
    yield spoilt("no key", key=None)
    yield spoilt("the key of another", key=b"somebody")
    yield spoilt("a key that is no text", key=b"\xff\xfe\x00")
    yield spoilt("no headers", headers=[])
    yield spoilt("no id", headers=typed)
    yield spoilt("an id that is none", headers=[*typed, ("ce_id", b"7")])
    yield spoilt("a header that is not UTF-8", headers=[*full, ("odd", b"\xff\xfe")])
    yield spoilt("a null header", headers=[*full, ("odd", None)])
    yield spoilt("a header twice", headers=[*full, ("ce_type", b"somebody.else.v1")])
    yield spoilt("an unknown type", headers=[("ce_type", b"somebody.else.v1"), *full[1:]])
    yield spoilt("an unknown version", headers=[("ce_type", event.type[:-1].encode() + b"9"), *full[1:]])
    other = CaseChanged.type if event.topic != CaseChanged.topic else OrderChanged.type
    yield spoilt("a type of another topic", headers=[("ce_type", other.encode()), *full[1:]])


def _values(good: bytes) -> Iterator[tuple[str, bytes | None]]:
    yield "a null value", None
    yield "an empty value", b""
    yield "cut JSON", good[:-10]
    yield "not UTF-8", good[:-1] + b',"x":"\xff\xfe"}'
    yield "something after it", good + b"{}"
    yield "an array", b"[" + good + b"]"
    yield "half a letter", good[:-1] + b',"x":"\\ud800"}'
    yield "deep nesting", good[:-1] + b',"x":' + b"[" * DEEP + b"]" * DEEP + b"}"
    yield "nothing but brackets", b"[" * DEEP
    yield "huge and nothing", b"x" * LARGE_BYTES
    yield "fields missing", b"{}"
    for path in _money(json.loads(good)):
        for amount in MONEY_THAT_IS_NONE:
            yield f"money as {amount[:20]}", _with(json.loads(good), path, amount)


def _money(body: dict[str, Any], *path: str) -> list[tuple[str, ...]]:
    """Return the ways to the amounts of an event."""
    ways = []
    for name, value in body.items():
        if isinstance(value, dict):
            ways += _money(value, *path, name)
        elif name.endswith("_fen") and value is not None:
            ways.append((*path, name))
    return ways


def _with(body: dict[str, Any], path: Sequence[str], text: str) -> bytes:
    place = body
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = "what it is not"
    return json.dumps(body).replace('"what it is not"', text).encode()


def sealed_by_nobody(event: Event) -> Spoilt:
    """Return an event whose personal data nobody can open: who needs it parks it, others take the event."""
    body = event.model_dump(mode="json")
    place = body.get("report", body)
    for name in ("identity", "narrative"):
        if name in place:
            place[name] = NOBODYS_SEAL
    return _readable("sealed by nobody", event, body)


def with_nul(event: Event, field: str) -> Spoilt:
    """Return an event with a letter in a field that Postgres does not take."""
    body = event.model_dump(mode="json")
    body.get("report", body)[field] = "a\x00b"
    return _readable("a NUL", event, body)


def _readable(what: str, event: Event, body: dict[str, Any]) -> Spoilt:
    headers: Headers = [("ce_type", event.type.encode()), ("ce_id", str(new_id()).encode())]
    key = type(event).model_validate_json(json.dumps(body)).key().encode()
    return Spoilt(what, event.topic, key, json.dumps(body).encode(), headers)
