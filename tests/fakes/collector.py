"""An OpenTelemetry collector: takes spans by OTLP over HTTP, and decodes them."""

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Taken:
    """A span as it came in; ids are hexadecimal, `service` is the resource's name."""

    service: str
    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    links: tuple[str, ...]
    seconds: float


class Collector:
    """Keeps what it takes. One that is `slow` takes so many seconds for each request."""

    def __init__(self, slow: float = 0.0) -> None:
        self.slow = slow
        self.spans: list[Taken] = []
        self.raw = b""
        self.requests = 0
        self.url = ""
        self._lock = threading.Lock()

    def of(self, trace_id: str) -> list[Taken]:
        """Return the spans of a trace."""
        with self._lock:
            return [span for span in self.spans if span.trace_id == trace_id]

    def take(self, body: bytes) -> None:
        """Decode a request."""
        request = ExportTraceServiceRequest.FromString(body)
        with self._lock:
            self.requests += 1
            self.raw += body
            for one in request.resource_spans:
                resource = {pair.key: pair.value.string_value for pair in one.resource.attributes}
                for scope in one.scope_spans:
                    self.spans += [_taken(resource["service.name"], span) for span in scope.spans]


def _taken(service: str, span: Any) -> Taken:  # noqa: ANN401 - a protobuf message
    return Taken(
        service,
        span.name,
        span.kind,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes},
        tuple(link.trace_id.hex() for link in span.links),
        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
    )


@contextmanager
def collector(slow: float = 0.0) -> Iterator[Collector]:
    """Run a collector in threads of its own: a test's event loop may be busy."""
    running = Collector(slow)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            time.sleep(running.slow)
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path == "/v1/traces":
                running.take(body)
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    running.url = f"http://{HOST}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
