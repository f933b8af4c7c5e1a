"""OpenTelemetry's SDK, fed with spans that have ended. Imported by `shared.tracing_export` alone, and only if asked."""

import threading
from collections.abc import Sequence
from typing import Final

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision, ParentBased
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

from shared.tracing import Kind, Span, is_sampled, trace_id

log = structlog.get_logger()

KINDS: Final = {
    Kind.SERVER: SpanKind.SERVER,
    Kind.CLIENT: SpanKind.CLIENT,
    Kind.PRODUCER: SpanKind.PRODUCER,
    Kind.CONSUMER: SpanKind.CONSUMER,
    Kind.INTERNAL: SpanKind.INTERNAL,
}


class Exporter:
    """Takes spans that have ended; sampler, limits, queue and addresses are as the standard variables say."""

    def __init__(self, service: str, instance: str) -> None:
        self._ids = _Ids()
        self._provider = TracerProvider(
            resource=_resource(service, instance), id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(_Watched(OTLPSpanExporter())))
        self._tracer = self._provider.get_tracer("lanjie")
        self._by_parent = isinstance(self._provider.sampler, ParentBased)
        self.service = str(self._provider.resource.attributes[SERVICE_NAME])

    def record(self, span: Span) -> None:
        """Hand a span to the queue; where that is full, the span is dropped."""
        self._ids.next = (int(span.context[3:35], 16), int(span.context[36:52], 16))
        started = self._tracer.start_span(
            span.name,
            context=_under(span.parent),
            kind=KINDS[span.kind],
            attributes=span.attributes,
            links=[Link(_context(one)) for one in span.links],
            start_time=span.began,
        )
        if span.error:
            started.set_attribute("error.type", span.error)
            started.set_status(Status(StatusCode.ERROR))
        started.end(span.ended)

    def wants(self, traceparent: str) -> bool:
        """Whether a span of this trace may be wanted: a sampler that goes by the parent need not be asked each time."""
        return not self._by_parent or is_sampled(traceparent)

    def samples(self, trace_hex: str) -> bool:
        """Whether a trace that begins here is to have spans."""
        result = self._provider.sampler.should_sample(None, int(trace_hex, 16), "")
        return result.decision is not Decision.DROP

    def close(self) -> None:
        """Send what is left, and stop. It may take as long as the collector does."""
        self._provider.shutdown()


class _Ids(IdGenerator):
    """Gives the next span the ids it has had all along: they travel before the span ends."""

    def __init__(self) -> None:
        self.next = (0, 0)

    def generate_trace_id(self) -> int:
        return self.next[0]

    def generate_span_id(self) -> int:
        return self.next[1]


class _Watched(SpanExporter):
    """Says once when spans no longer get through, and once when they do again."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._failing = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        if result is SpanExportResult.SUCCESS:
            if self._failing.is_set():
                self._failing.clear()
                log.info("spans_exported_again")
        elif not self._failing.is_set():
            self._failing.set()
            log.warning("spans_not_exported", why="The collector is away, or refuses; the chain goes on without it.")
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


def _resource(service: str, instance: str) -> Resource:
    """Return who the spans are of; what the environment says counts."""
    ours = Resource({SERVICE_NAME: f"lanjie-{service}", "service.instance.id": instance})
    return Resource.create().merge(ours).merge(OTELResourceDetector().detect())


def _context(traceparent: str, *, remote: bool = True) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if is_sampled(traceparent) else TraceFlags.DEFAULT)
    state = TraceState()
    return SpanContext(int(trace_id(traceparent), 16), int(traceparent[36:52], 16), remote, flags, state)


def _under(parent: str) -> Context:
    """Return the context of a child; of a root, one that is under nothing."""
    return trace.set_span_in_context(NonRecordingSpan(_context(parent))) if parent else Context()
