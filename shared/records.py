"""Records as they lie on a topic, read one by one: an event, or poison with the reason."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from pydantic import ValidationError

from shared.dead_letters import Poison, ReasonClass
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

    def __init__(self, reason_class: ReasonClass, reason: str) -> None:
        super().__init__(reason)
        self.reason_class = reason_class


def read(record: Record) -> Received | Poison:
    """Read one record; never raise."""
    try:
        headers = _headers(record)
        model = _model(record, headers.get("ce_type", ""))
        event_id = _event_id(headers.get("ce_id", ""))
        event = _event(record, model)
    except _UnreadableError as error:
        return poison(record, str(error), error.reason_class)
    return Received(event, event_id, headers.get("traceparent", ""), record)


def _headers(record: Record) -> dict[str, str]:
    try:
        headers = {name: value.decode() for name, value in record.headers if value is not None}
    except UnicodeDecodeError:
        raise _UnreadableError(ReasonClass.HEADER, "a header is not UTF-8") from None
    if len(headers) < len(record.headers):
        raise _UnreadableError(ReasonClass.HEADER, "a header is null or stands twice")
    return headers


def _model(record: Record, type_name: str) -> type[Event]:
    model = EVENTS.get(type_name)
    if record.value is None:
        raise _UnreadableError(ReasonClass.NULL_VALUE, "the value is null")
    if model is None:
        raise _unknown(type_name)
    if model.topic != record.topic:
        raise _UnreadableError(ReasonClass.WRONG_TOPIC, f"{model.type} does not travel on this topic")
    return model


def _event_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise _UnreadableError(ReasonClass.HEADER, "ce_id is not a UUID") from None


def _event(record: Record, model: type[Event]) -> Event:
    try:
        event = model.model_validate_json(record.value or b"")
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "json_invalid":
            raise _UnreadableError(ReasonClass.BAD_JSON, "not JSON") from None
        raise _UnreadableError(ReasonClass.SCHEMA, f"schema: {where}: {first['type']}") from None
    if record.key != event.key().encode():
        raise _UnreadableError(ReasonClass.KEY, "the key is missing or not the event's own")
    return event


def _unknown(type_name: str) -> _UnreadableError:
    stem, _, _ = type_name.rpartition(".v")
    known = any(name.rpartition(".v")[0] == stem for name in EVENTS)
    if known:
        return _UnreadableError(ReasonClass.UNKNOWN_VERSION, "unknown version")
    return _UnreadableError(ReasonClass.UNKNOWN_TYPE, "unknown type")


def failed(received: Received, error: Exception) -> Poison:
    """Describe a record to be parked because its handler failed."""
    return poison(received.record, f"handler failed: {type(error).__name__}", ReasonClass.HANDLER_FAILED)


def poison(record: Record, reason: str, reason_class: ReasonClass) -> Poison:
    """Describe a record to be parked."""
    headers = tuple(record.headers)
    digest = hashlib.sha256(repr((record.key, record.value, headers)).encode()).digest()
    where = (record.topic, record.partition, record.offset)
    return Poison(*where, digest, record.key, record.value, reason, headers, reason_class)
