"""What may be shown of a dead letter. Pure.

A record that reads as one of our events is shown field by field: tokens cut, sealed fields and words by their length.
Of anything else, which may hold whatever, only its length, its hash and how it is built. Nothing is unmasked.
"""

import hashlib
import json
import re
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import ValidationError

from shared.dead_letters import Headers, Letter
from shared.events import EVENTS, Event

SEALED: Final = ("identity", "narrative")
TOKEN_SHOWN: Final = 8
CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.@-]{0,63}")
DIGITS: Final = re.compile(r"[0-9]{6}")
TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
SOURCES: Final = ("/lanjie/intake", "/lanjie/rules", "/lanjie/notifier")
KNOWN_FIELDS: Final = frozenset(name for event in EVENTS.values() for name in event.model_fields)


def shown(letter: Letter) -> dict[str, Any]:
    """Return what may be shown of a record: `key`, `headers` and `value`."""
    event = _event(letter)
    return {
        "key": "the event's own" if event and letter.key == event.key().encode() else _bytes(letter.key),
        "headers": dict(_headers(letter.headers)),
        "value": _value(letter, event),
    }


def _event(letter: Letter) -> Event | None:
    """Return the event that a record holds, if it reads as the one it says it is."""
    types = [value for name, value in letter.headers if name == "ce_type" and value is not None]
    model = EVENTS.get(types[0].decode(errors="replace")) if len(types) == 1 else None
    if model is None or letter.value is None:
        return None
    try:
        return model.model_validate_json(letter.value)
    except ValidationError:
        return None


def _value(letter: Letter, event: Event | None) -> dict[str, Any]:
    if letter.value is None:
        return {"is": "null"}
    told = {"bytes": len(letter.value), "sha256": hashlib.sha256(letter.value).hexdigest()}
    if event is None:
        return {**told, "built": _built(letter.value)}
    return {**told, "event": event.type, "fields": _masked("", event.model_dump(mode="json"))}


def _masked(name: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {key: _masked(key, one) for key, one in value.items()}
    if isinstance(value, list):
        return [_masked(name, one) for one in value]
    if not isinstance(value, str):
        return value
    if name in SEALED:
        return f"sealed, {len(value)} characters"
    if name.endswith("_token"):
        return f"{value[:TOKEN_SHOWN]}…" if len(value) > 2 * TOKEN_SHOWN else f"{len(value)} characters"
    return value if _is_plain(value) else f"{len(value)} characters"


def _is_plain(value: str) -> bool:
    """Whether a text is an id, a time or a code: nothing that could name a person."""
    return _is_id(value) or _is_time(value) or bool(CODE.fullmatch(value) and not DIGITS.search(value))


def _is_id(value: str) -> bool:
    try:
        return str(UUID(value)) == value
    except ValueError:
        return False


def _is_time(value: str) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _headers(headers: Headers) -> list[tuple[str, str]]:
    return [_header(place, name, value) for place, (name, value) in enumerate(headers, 1)]


def _header(place: int, name: str, value: bytes | None) -> tuple[str, str]:
    """Return a header: in clear where it is one of ours and holds what ours hold."""
    text = value.decode(errors="replace") if value is not None else ""
    ours = {
        "ce_id": _is_id(text),
        "ce_type": text in EVENTS,
        "ce_source": text in SOURCES,
        "ce_time": _is_time(text),
        "ce_specversion": text == "1.0",
        "content-type": text == "application/json",
        "traceparent": bool(TRACEPARENT.fullmatch(text)),
    }
    if name not in ours:
        return f"header {place}, not ours", _bytes(value)
    return name, text if ours[name] else _bytes(value)


def _bytes(value: bytes | None) -> str:
    return "null" if value is None else f"{len(value)} bytes, sha256 {hashlib.sha256(value).hexdigest()[:12]}"


def _built(value: bytes) -> str:
    """Say how something is built, by names that are ours and kinds."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return "no text"
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return "text, not JSON"
    match content:
        case dict():
            known = sorted(content.keys() & KNOWN_FIELDS)
            others = len(content) - len(known)
            named = f": {', '.join(known)}" if known else ""
            return f"an object of {len(content)} fields{named}" + (f"; {others} not ours" if others else "")
        case list():
            return f"an array of {len(content)}"
        case _:
            return f"a {type(content).__name__}"
