"""Traces: one id from the bank's request to the officer's screen (W3C Trace Context), and spans where they are wanted.

A *traceparent* is text: `00-<trace id>-<id of the span it comes from>-<flags>`, or empty where nothing is known. It
travels in HTTP headers, outbox rows, Kafka headers and alerts. Without an exporter it is handed on as it came. With
one (`shared.tracing_export`), each stage makes a span of its own and hands on that one's.

Like logging this is one for the whole process: what a log line belongs to is in the context it is written in.
"""

import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import structlog

TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
NO_VERSION: Final = "ff"
FIRST_VERSION: Final = "00"
SAMPLED: Final = 1


class Kind(StrEnum):
    """What a span is, in the words of OpenTelemetry."""

    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Span:
    """One stage that has ended. `context` is its own traceparent, `parent` that of the span it is under, or empty.

    Times are nanoseconds since 1970. `links` are traceparents of what else it has to do with. `error` is the type of
    what went wrong, or empty. Names and attributes hold no personal data, and names no ids.
    """

    name: str
    kind: Kind
    context: str
    parent: str
    began: int
    ended: int
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    links: Sequence[str] = ()
    error: str = ""


def sampled(_trace: str) -> bool:
    """Say of a new trace that whoever takes spans may take its."""
    return True


@dataclass(slots=True)
class Exporting:
    """Who takes spans, if anybody does; which new traces are to have any, by id; and which traceparents say so."""

    record: Callable[[Span], None] | None = None
    samples: Callable[[str], bool] = sampled
    wants: Callable[[str], bool] = sampled


EXPORTING: Final = Exporting()
"""Switched on by `shared.tracing_export` where the environment asks for it."""


@dataclass(slots=True)
class Place:
    """What a context works for: the traceparent to hand on, the one it is under, and others it came with."""

    traceparent: str
    parent: str = ""
    links: tuple[str, ...] = ()


HERE: ContextVar[Place | None] = ContextVar("lanjie_trace", default=None)


def on() -> bool:
    """Whether spans are taken."""
    return EXPORTING.record is not None


def wanted(traceparent: str) -> bool:
    """Whether a span under this traceparent would be taken."""
    return bool(traceparent) and EXPORTING.wants(traceparent)


def record(span: Span) -> None:
    """Hand a span over, where somebody takes spans."""
    if EXPORTING.record is not None:
        EXPORTING.record(span)


def accepted(given: Sequence[str]) -> str:
    """Return the traceparent of a request that came with these headers; empty where they name none that is valid.

    Of a version to come its known part is taken, as the recommendation says, and handed on as version 00.
    """
    match = TRACEPARENT.fullmatch(given[0].strip(" \t")) if len(given) == 1 else None
    if match is None:
        return ""
    version, trace, span, flags, more = match.groups()
    if version == NO_VERSION or not trace.strip("0") or not span.strip("0"):
        return ""
    if version == FIRST_VERSION:
        return "" if more is not None else f"00-{trace}-{span}-{flags}"
    return f"00-{trace}-{span}-{int(flags, 16) & SAMPLED:02x}"


def begun() -> str:
    """Return the traceparent of a new trace."""
    trace = secrets.token_hex(16)
    return f"00-{trace}-{secrets.token_hex(8)}-{int(EXPORTING.samples(trace)):02x}"


def child(parent: str) -> str:
    """Return the traceparent of a new span under another."""
    return f"{parent[:36]}{secrets.token_hex(8)}{parent[52:]}"


def trace_id(traceparent: str) -> str:
    """Return the id of the trace; empty where there is none."""
    return traceparent[3:35]


def is_sampled(traceparent: str) -> bool:
    """Whether whoever began the trace wants its spans."""
    return bool(int(traceparent[53:55], 16) & SAMPLED)


def named(traceparent: str) -> dict[str, str]:
    """Return what a log line says of the one record it is about."""
    return {"trace_id": trace_id(traceparent)} if traceparent else {}


def current() -> str:
    """Return the traceparent that this context hands on; empty outside of any trace."""
    place = HERE.get()
    return place.traceparent if place else ""


def joined(stored: str) -> str:
    """Let the request in hand go on with the trace of what it is about, and return the traceparent to hand on.

    A bank's answer to an order and an officer's decision on a case belong to the report's trace, whatever they came
    with: that one is only linked.
    """
    place = HERE.get()
    if place is None or not stored or trace_id(stored) == trace_id(place.traceparent):
        return stored or current()
    if on():
        place.links = (*place.links, place.parent) if place.parent else place.links
        place.traceparent, place.parent = f"{stored[:36]}{place.traceparent[36:52]}{stored[52:]}", stored
    else:
        place.traceparent = stored
    return place.traceparent


def note(name: str, parent: str, began: int, attributes: Mapping[str, str | int]) -> None:
    """Record a stage inside the service that has just ended, where spans are taken."""
    if on() and wanted(parent):
        record(Span(name, Kind.INTERNAL, child(parent), parent, began, time.time_ns(), attributes))


def add_trace_id(_logger: object, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Give a log line the trace it belongs to, unless it names one."""
    place = HERE.get()
    if place is not None and "trace_id" not in line and "trace_ids" not in line:
        line["trace_id"] = trace_id(place.traceparent)
    return line
