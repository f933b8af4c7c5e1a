"""What schemathesis cannot read off a schema: names as people have them, identity numbers, the reference data, NDJSON.

Loaded by schemathesis itself (`SCHEMATHESIS_HOOKS`). Only what is well-formed is put right, so that what was made wrong
on purpose stays wrong.
"""

import csv
import hashlib
import json
import os
import re
from datetime import UTC, date, datetime
from typing import Any, Final

import schemathesis
import yaml
from hypothesis import strategies as some

from deploy.local.config import REFERENCE
from services.intake.identity import CHECK_CHARACTERS, WEIGHTS

CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
UUID_TEXT: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
KNOWN: Final[dict[str, list[str]]] = json.loads(os.environ.get("KNOWN", "{}"))
OTHER: Final = "00000000-0000-7000-8000-000000000000"
LARGEST_WHOLE: Final = 2**53
KEY: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
UNIT: Final = re.compile(r"[A-Z0-9-]{1,60}")
BANK: Final = "ICBC"


def _column(file: str, column: str, **where: str) -> list[str]:
    with (REFERENCE / file).open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return [row[column] for row in rows if all(row[name] == value for name, value in where.items())]


VOCABULARY: Final = yaml.safe_load((REFERENCE / "vocabulary.yaml").read_text(encoding="utf-8"))
CUES: Final = [one["code"] for one in VOCABULARY["cues"]]
SCAM_TYPES: Final = [one["code"] for one in VOCABULARY["scam_types"]]
BRANCHES: Final = _column("branches.csv", "code", bank=BANK)
UNITS: Final = _column("units.csv", "code")
OFFICERS: Final = _column("officers.csv", "name", unit="SZ-LH-CZ")


def _resident_id(born: date, order: int) -> str:
    stem = f"440301{born:%Y%m%d}{order:03d}"
    return stem + CHECK_CHARACTERS[sum(int(digit) * weight for digit, weight in zip(stem, WEIGHTS, strict=True)) % 11]


seen = some.characters(codec="utf-8", categories=("L", "N", "P", "S", "M"))
visible = some.text(seen, min_size=1, max_size=50)
schemathesis.openapi.format("visible-text", visible)
schemathesis.openapi.format(
    "resident-id", some.builds(_resident_id, some.dates(date(1900, 1, 1), date(2020, 1, 1)), some.integers(0, 999))
)
# what lies ahead is refused, by the clock and not by the schema
schemathesis.openapi.format(
    "date-time",
    some.datetimes(datetime(2026, 1, 1), datetime(2026, 11, 1)).map(lambda at: at.replace(tzinfo=UTC).isoformat()),  # noqa: DTZ001 - given a zone at once
)


def _known(value: object, pattern: re.Pattern[str], known: list[str]) -> object:
    """Put a name out of the reference data in the place of any well-formed one."""
    if isinstance(value, str) and pattern.fullmatch(value) and value not in known:
        return known[sum(value.encode()) % len(known)]
    return value


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    """Name what the house knows: branches, cues, scam types, units, officers; begin pages of orders at the first."""
    del context, kwargs
    case.body = _whole(case.body)
    call = case.operation.definition.raw["operationId"]
    if case.meta and case.meta.phase.name.value != "stateful":
        case.path_parameters = {name: _there(name, value) for name, value in (case.path_parameters or {}).items()}
    if call == "get_orders" and UUID_TEXT.fullmatch(str(case.query.get("after"))):
        case.query["after"] = OTHER
    if call == "post_link" and isinstance(case.body, dict):
        case.body.update({"case_id": OTHER} if case.body.get("case_id") == case.path_parameters["case_id"] else {})
    if isinstance(case.body, dict):
        _name_what_is_known(call, case, case.body)


def _there(name: str, value: object) -> object:
    """Put the id of something that is there in the place of every second one; walks in sequence have theirs."""
    known, text = KNOWN.get(name, []), str(value)
    if known and UUID_TEXT.fullmatch(text) and int(text[-1], 16) % 2:
        return known[sum(text.encode()) % len(known)]
    return value


def _whole(value: Any) -> Any:  # noqa: ANN401
    """Write whole numbers without a fraction: `1.0` is an integer to JSON Schema, and to the doors it is not."""
    match value:
        case float() if value.is_integer() and abs(value) < LARGEST_WHOLE:
            return int(value)
        case dict():
            return {name: _whole(inner) for name, inner in value.items()}
        case list():
            return [_whole(inner) for inner in value]
        case _:
            return value


def _name_what_is_known(call: str, case: schemathesis.Case[Any], body: dict[str, Any]) -> None:
    match call:
        case "post_report" | "post_batch":
            _tell_apart(case, body)
            _replace(body, "branch_code", CODE, BRANCHES)
            if isinstance(body.get("cues"), list):
                body["cues"] = [_known(cue, CODE, CUES) for cue in body["cues"]]
        case "post_close":
            _replace(body, "scam_type", re.compile(r"[^\0]{0,2000}"), SCAM_TYPES)
        case "post_transfer":
            _replace(body, "unit", UNIT, UNITS)
        case "post_hand_over":
            _replace(body, "to", re.compile(r"\s*[^\s\0][^\0]{0,1990}"), OFFICERS)


def _tell_apart(case: schemathesis.Case[Any], body: dict[str, Any]) -> None:
    """Give each report a key and a reference of its own; made up ones repeat, and a key that says otherwise is 422."""
    mark = hashlib.sha256(json.dumps(body).encode()).hexdigest()[:16]
    reference = body.get("bank_reference")
    if isinstance(reference, str) and CODE.fullmatch(reference):
        body["bank_reference"] = f"{reference[:40]}-{mark}"
    for place, name in ((case.headers, "Idempotency-Key"), (body, "idempotency_key")):
        key = (place or {}).get(name)
        if isinstance(key, str) and KEY.fullmatch(key):
            place[name] = mark


def _replace(body: dict[str, Any], field: str, pattern: re.Pattern[str], known: list[str]) -> None:
    if field in body:
        body[field] = _known(body[field], pattern, known)


@schemathesis.serializer("application/x-ndjson")
def one_line(_context: schemathesis.SerializationContext, value: Any) -> bytes:  # noqa: ANN401
    """Send one line: the schema is a line's."""
    return json.dumps(value).encode()


@schemathesis.deserializer("application/x-ndjson")
def first_line(_context: schemathesis.DeserializationContext, response: schemathesis.Response) -> Any:  # noqa: ANN401
    """Read one line: to one there is one."""
    [line] = response.content.splitlines()
    return json.loads(line)
