"""Spans exported by OTLP over HTTP, where OpenTelemetry's standard variables ask for it.

The SDK is an extra (`otel`) and is imported only then: switched off, tracing costs one branch and no memory. Spans go
through a bounded queue to a thread of their own; a collector that is slow or away costs spans, never a report.
"""

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

import structlog

from shared.tracing import EXPORTING, sampled

if TYPE_CHECKING:
    from shared.tracing_sdk import Exporter

log = structlog.get_logger()

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL: Final = "http/protobuf"
FLUSH_SECONDS: Final = 0.4
"""A stop waits no longer for the last spans: with all that comes before, it stays under ten seconds."""


def asked_for(environment: Mapping[str, str]) -> str:
    """Return the variable that asks for spans to be exported; empty where none does, or one forbids it."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ""
    if environment.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return ""
    return next((name for name in ENDPOINTS if environment.get(name, "").strip()), "")


def unsupported(environment: Mapping[str, str]) -> str:
    """Return what is asked for that cannot be done; empty where all can."""
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter not in ("", "otlp"):
        return f"OTEL_TRACES_EXPORTER={exporter}: spans are exported by otlp alone"
    protocol = next((environment[name] for name in PROTOCOLS if environment.get(name, "").strip()), PROTOCOL)
    if protocol != PROTOCOL:
        return f"the protocol {protocol}: spans are exported by {PROTOCOL} alone"
    return ""


@asynccontextmanager
async def exported(service: str, instance: str) -> AsyncIterator[None]:
    """Export spans for as long as the context lasts, if the environment asks for it.

    Where that cannot be done the service runs without: the log says why, in a sentence.
    """
    exporter = _exporter(service, instance)
    if exporter is None:
        yield
        return
    EXPORTING.record, EXPORTING.samples, EXPORTING.wants = exporter.record, exporter.samples, exporter.wants
    log.info("exporting_spans", service=exporter.service)
    try:
        yield
    finally:
        EXPORTING.record, EXPORTING.samples = None, sampled
        # a thread of its own that nobody waits for: one of the loop's would hold up the end of the process
        loop, flushed = asyncio.get_running_loop(), asyncio.Event()

        def close() -> None:
            exporter.close()
            with suppress(RuntimeError):  # nobody waits any more
                loop.call_soon_threadsafe(flushed.set)

        threading.Thread(target=close, daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_SECONDS):
                await flushed.wait()


def _exporter(service: str, instance: str) -> "Exporter | None":
    variable = asked_for(os.environ)
    if not variable:
        return None
    if why := unsupported(os.environ):
        log.error("spans_not_exported", why=f"{variable} is set with {why}.")
        return None
    try:
        from shared.tracing_sdk import Exporter  # noqa: PLC0415 - not even imported while nobody asks for it
    except ImportError:
        why = (
            f"{variable} is set, but OpenTelemetry is not installed: install lanjie with the extra otel (lanjie[otel])."
        )
        log.error("spans_not_exported", why=why)  # noqa: TRY400 - the sentence says it all
        return None
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it says of every batch what we say once
    try:
        return Exporter(service, instance)
    except Exception:  # a variable that cannot be read must not keep a service from starting
        log.exception("spans_not_exported", why=f"{variable} is set, but a variable beside it cannot be read.")
        return None
