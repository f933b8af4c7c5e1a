"""Traces: which traceparents are taken, and what a request goes on with."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import tracing
from shared.tracing import HERE, Place, accepted, begun, child, current, joined, named, trace_id
from shared.tracing_export import asked_for, unsupported

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
GIVEN = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    "hostile",
    [
        "",
        "00",
        GIVEN.upper(),
        GIVEN.replace("00-", "ff-", 1),
        GIVEN.replace("00-", "0-", 1),
        GIVEN.replace("00-", "0x-", 1),
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"{GIVEN}-extra",
        f"{GIVEN}-",
        f"{GIVEN}.extra",
        f"01{GIVEN[2:]}extra",
        GIVEN[:-1],
        f"{GIVEN}0",
        GIVEN.replace("-", "_"),
        f"00-{TRACE[:-1]}g-00f067aa0ba902b7-01",
        f"00-{TRACE[:-1]}１-00f067aa0ba902b7-01",
        f"{GIVEN}\n",
        f"{GIVEN}\r\nx-evil: 1",
        f"{GIVEN},{GIVEN}",
        "' or 1=1; drop table report; --",
        "9" * 100_000,
    ],
)
def test_a_traceparent_that_is_not_valid_is_ignored(hostile: str) -> None:
    assert accepted([hostile]) == ""


def test_a_valid_traceparent_is_taken_as_it_is_with_whatever_flags() -> None:
    assert accepted([GIVEN]) == GIVEN
    assert accepted([f" {GIVEN}\t"]) == GIVEN
    assert accepted([f"{GIVEN[:-2]}ff"]) == f"{GIVEN[:-2]}ff"


def test_of_a_version_to_come_the_known_part_is_taken() -> None:
    assert accepted([f"cc-{TRACE}-00f067aa0ba902b7-01"]) == GIVEN
    assert accepted([f"cc-{TRACE}-00f067aa0ba902b7-03-what-the-future-will-be-like"]) == GIVEN
    assert accepted([f"cc-{TRACE}-00f067aa0ba902b7-02"]) == f"{GIVEN[:-2]}00"


def test_two_headers_are_as_good_as_none() -> None:
    assert accepted([GIVEN, GIVEN]) == ""
    assert accepted([]) == ""


@given(st.text(max_size=80) | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", fullmatch=True))
def test_whatever_comes_what_is_taken_is_valid_and_taken_again(text: str) -> None:
    taken = accepted([text])
    assert taken == "" or (accepted([taken]) == taken and trace_id(taken) in text)


def test_a_trace_that_begins_here_is_valid_and_its_spans_are_wanted() -> None:
    assert accepted([begun()]) != begun()
    assert tracing.is_sampled(begun())


def test_a_child_is_in_the_same_trace_under_a_span_of_its_own() -> None:
    new = child(GIVEN)
    assert accepted([new]) == new
    assert (trace_id(new), new[-2:]) == (TRACE, "01")
    assert new != GIVEN


def test_a_request_goes_on_with_the_trace_of_what_it_is_about() -> None:
    stored, token = begun(), HERE.set(Place(GIVEN))
    try:
        assert joined("") == GIVEN
        assert joined(stored) == stored
        assert current() == stored
        line = tracing.add_trace_id(None, "info", {"event": "x"})
        assert line == {"event": "x", "trace_id": trace_id(stored)}
    finally:
        HERE.reset(token)
    assert joined(stored) == stored
    assert tracing.add_trace_id(None, "info", {"event": "x"}) == {"event": "x"}
    assert named("") == {}


def test_spans_are_exported_only_where_an_endpoint_is_named_and_nothing_forbids_it() -> None:
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}
    assert asked_for({}) == ""
    assert asked_for({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}) == ""
    assert asked_for(endpoint) == "OTEL_EXPORTER_OTLP_ENDPOINT"
    assert asked_for({**endpoint, "OTEL_SDK_DISABLED": "True"}) == ""
    assert asked_for({**endpoint, "OTEL_TRACES_EXPORTER": "none"}) == ""
    assert unsupported(endpoint) == ""
    assert "http/protobuf" in unsupported({**endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    assert "otlp alone" in unsupported({**endpoint, "OTEL_TRACES_EXPORTER": "zipkin"})


START = """
import asyncio, sys
{before}
from shared.observe import configure_logging
from shared.tracing_export import exported

async def main():
    async with exported("intake", "one"):
        pass

configure_logging("intake")
asyncio.run(main())
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))])
"""
APPS = "import services.intake.app, services.notifier.app, services.rules.app"


def started(before: str = "", **environment: str) -> str:
    code = START.format(before=before)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return done.stdout


def test_switched_off_the_sdk_is_not_even_imported() -> None:
    off = {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:9"}
    assert started(APPS, **off).splitlines()[-1] == "[]"


def test_a_service_without_the_extra_says_so_in_a_sentence_and_goes_on() -> None:
    said = started("sys.modules['opentelemetry.sdk'] = None", OTEL_EXPORTER_OTLP_ENDPOINT="http://localhost:9")
    assert "install lanjie with the extra otel" in said
    assert "refused_to_start" not in said


def test_a_variable_that_cannot_be_read_keeps_no_service_from_starting() -> None:
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:9", "OTEL_BSP_MAX_QUEUE_SIZE": "-1"}
    assert "spans_not_exported" in started(**told)
