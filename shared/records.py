"""Records as they lie on a topic, read one by one: an event, or poison with the reason."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from pydantic import ValidationError

from shared.dead_letters import Poison
from shared.events import EVENTS, Event


class Record(Protocol):
    """What aiokafka hands out; any of key, value and header values may be missing."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Received:
    """An event as it came: `event_id` is the CloudEvents id, the same at every repetition."""

    event: Event
    event_id: UUID
    traceparent: str
    record: Record


class _UnreadableError(Exception):
    """Why a record cannot be read, without showing its contents."""


def read(record: Record) -> Received | Poison:
    """Read one record; never raise."""
    try:
        headers = _headers(record)
        model = _model(record, headers.get("ce_type", ""))
        event_id = _event_id(headers.get("ce_id", ""))
        event = _event(record, model)
    except _UnreadableError as error:
        return poison(record, str(error))
    return Received(event, event_id, headers.get("traceparent", ""), record)


def _headers(record: Record) -> dict[str, str]:
    try:
        headers = {name: value.decode() for name, value in record.headers if value is not None}
    except UnicodeDecodeError:
        raise _UnreadableError("a header is not UTF-8") from None
    if len(headers) < len(record.headers):
        raise _UnreadableError("a header is null or stands twice")
    return headers


def _model(record: Record, type_name: str) -> type[Event]:
    model = EVENTS.get(type_name)
    if record.value is None:
        raise _UnreadableError("the value is null")
    if model is None:
        raise _UnreadableError(_unknown(type_name))
    if model.topic != record.topic:
        raise _UnreadableError(f"{model.type} does not travel on this topic")
    return model


def _event_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise _UnreadableError("ce_id is not a UUID") from None


def _event(record: Record, model: type[Event]) -> Event:
    try:
        event = model.model_validate_json(record.value or b"")
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        why = "not JSON" if first["type"] == "json_invalid" else f"schema: {where}: {first['type']}"
        raise _UnreadableError(why) from None
    if record.key != event.key().encode():
        raise _UnreadableError("the key is missing or not the event's own")
    return event


def _unknown(type_name: str) -> str:
    stem, _, _ = type_name.rpartition(".v")
    known = any(name.rpartition(".v")[0] == stem for name in EVENTS)
    return "unknown version" if known else "unknown type"


def poison(record: Record, reason: str) -> Poison:
    """Describe a record to be parked."""
    value = record.value or b""
    key = (record.key or b"").decode(errors="replace").replace("\0", "\ufffd")
    told = repr((record.key, record.value, tuple(record.headers), reason))
    digest = hashlib.sha256(told.encode()).digest()
    return Poison(record.topic, record.partition, record.offset, digest, key, value, reason)
