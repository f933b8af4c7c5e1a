"""Records on topics and their traces: what is sent and what is handled, each with a span where spans are taken."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, cast
from uuid import UUID

from shared import tracing
from shared.outbox import Outgoing
from shared.records import Received
from shared.tracing import Kind, Place, Span

SYSTEM: Final = {"messaging.system": "kafka"}
MOST_LINKS: Final = 128
"""As many as OpenTelemetry keeps of a span by default."""
MOST_NAMED: Final = 10


def marked(rows: Sequence[Outgoing]) -> list[Outgoing]:
    """Return rows with the traceparents of the spans of their sending."""
    return [
        replace(row, traceparent=tracing.child(row.traceparent)) if tracing.wanted(row.traceparent) else row
        for row in rows
    ]


def note_sent(rows: Sequence[Outgoing], sent: Sequence[Outgoing], acknowledged: Sequence[UUID], began: int) -> None:
    """Record the sending of rows; `sent` are the same with their spans' traceparents. A row may be sent again."""
    ended, there = time.time_ns(), set(acknowledged)
    for row, as_sent in zip(rows, sent, strict=True):
        if tracing.wanted(row.traceparent):
            attributes = {**_operation("send", row.topic), "messaging.message.id": str(row.id)}
            attributes["cloudevents.event_type"] = row.type
            error = "" if row.id in there else "not_acknowledged"
            parent, context = row.traceparent, as_sent.traceparent
            name = f"send {row.topic}"
            tracing.record(Span(name, Kind.PRODUCER, context, parent, began, ended, attributes, error=error))


@contextmanager
def handling(group: str, batch: Sequence[Received]) -> Iterator[Sequence[Received]]:
    """Yield a batch as it is to be handled: what its records lead to goes on with their traces.

    What is logged meanwhile names the trace of a record that is alone.
    """
    if not tracing.on():
        tracing.HERE.set(_place(batch))
        yield batch
        return
    began, error = time.time_ns(), ""
    inner = [
        replace(one, traceparent=tracing.child(one.traceparent)) if tracing.wanted(one.traceparent) else one
        for one in batch
    ]
    tracing.HERE.set(_place(inner))
    try:
        yield inner
    except BaseException as failure:
        error = type(failure).__name__
        raise
    finally:
        _note_handled(group, batch, inner, began, error)


def _place(batch: Sequence[Received]) -> Place | None:
    return Place(batch[0].traceparent) if len(batch) == 1 and batch[0].traceparent else None


def _note_handled(group: str, batch: Sequence[Received], inner: Sequence[Received], began: int, error: str) -> None:
    """Record a batch, with links to its records' spans, and each record under the span that sent it."""
    ended, whole = time.time_ns(), tracing.begun()
    pairs = [
        (one.traceparent, as_handled)
        for one, as_handled in zip(batch, inner, strict=True)
        if tracing.wanted(one.traceparent)
    ]
    if not pairs:
        return
    for parent, one in pairs:
        topic = one.record.topic
        attributes: dict[str, str | int] = {
            **_operation("process", topic),
            "messaging.consumer.group.name": group,
            "messaging.message.id": str(one.event_id),
            "messaging.destination.partition.id": str(one.record.partition),
            "messaging.kafka.offset": one.record.offset,
            "cloudevents.event_type": one.event.type,
        }
        name = f"process {topic}"
        tracing.record(Span(name, Kind.CONSUMER, one.traceparent, parent, began, ended, attributes, (whole,), error))
    counts: dict[str, str | int] = {
        **SYSTEM,
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.consumer.group.name": group,
        "messaging.batch.message_count": len(batch),
    }
    links = tuple(one.traceparent for _, one in pairs[:MOST_LINKS])
    name = f"process batch of {group}"
    tracing.record(Span(name, Kind.CONSUMER, whole, "", began, ended, counts, links, error))


def _operation(what: str, topic: str) -> dict[str, str | int]:
    return {
        **SYSTEM,
        "messaging.operation.name": what,
        "messaging.operation.type": what,
        "messaging.destination.name": topic,
    }


def named_all(headers: Sequence[Sequence[tuple[str, bytes | None]]]) -> dict[str, list[str]]:
    """Return what a log line says of several records, by their headers: the first traces, without repetition."""
    values = [
        cast("bytes", value).decode("latin-1") for one in headers for name, value in one if _is_trace(name, value)
    ]
    found = [tracing.trace_id(tracing.accepted([value])) for value in values]
    traces = list(dict.fromkeys(trace for trace in found if trace))[:MOST_NAMED]
    return {"trace_ids": traces} if traces else {}


def _is_trace(name: str, value: bytes | None) -> bool:
    return name == "traceparent" and value is not None
