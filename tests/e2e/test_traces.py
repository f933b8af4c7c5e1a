"""One id from the bank's request to the officer's screen, in headers, events, logs and spans."""

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiokafka import AIOKafkaConsumer

from shared.events import TOPICS
from tests.e2e.stack import Stack, alerts, running_stack
from tests.e2e.test_chain import eventually
from tests.e2e.test_privacy import CANARIES, PIECES, forms_of
from tests.fakes.collector import Collector, Taken, collector
from tests.fakes.receiver import receiving
from tests.parts import a_key, a_report

SERVICES = ("intake", "rules", "notifier")


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[tuple[Stack, Collector]]:
    """Yield a run that exports its spans, and where they go."""
    with collector() as running:
        told = {"OTEL_EXPORTER_OTLP_ENDPOINT": running.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        with running_stack(tmp_path, **told) as stack:
            yield stack, running


async def played(stack: Stack, given: str, report: dict[str, Any]) -> dict[str, Any]:
    """Play a report from the counter to the bank's answer; return the ids of all, and what everybody was shown."""
    intake, notifier = stack.info["intake"], stack.info["notifier"]
    officer, bank = stack.officer("SZ-LH-CZ"), stack.bank("CCB")
    async with httpx2.AsyncClient(timeout=20) as client, alerts(stack, "SZ-LH-CZ") as feed:
        headers = stack.bank(**{"Idempotency-Key": a_key(), "Prefer": "wait=3", "traceparent": given})
        filed = await client.post(f"{intake}/v1/reports", json=report, headers=headers)
        report_id = filed.json()["id"]
        alert = await feed.of_report(report_id)
        case_url = f"{notifier}/v1/cases/{alert['case_id']}"
        taken = await client.post(f"{case_url}/acknowledge", headers=officer)
        asked = {"kind": "stop", "reason": "核实"}
        order = (await client.post(f"{case_url}/orders", json=asked, headers=officer)).json()
        order_url = f"{intake}/v1/orders/{order['id']}"

        async def pulled() -> httpx2.Response | None:
            answer = await client.get(order_url, headers=bank)
            return answer if answer.status_code == 200 else None

        seen = await eventually(pulled)
        feedback = {"result": "failure", "remark": "查无此户"}
        answered = await client.post(f"{order_url}/feedback", json=feedback, headers=bank)
        assert answered.status_code == 200, answered.text

        async def failed() -> bool:
            case = (await client.get(case_url, headers=officer)).json()
            return bool(case["orders"][0]["status"] == "failed")

        await eventually(failed)
        inbox = (await client.get(f"{notifier}/v1/cases", headers=officer)).json()
    return {
        "ids": (report_id, alert["case_id"], order["id"]),
        "filed": filed.headers["traceparent"],
        "alert": alert["traceparent"],
        "inbox": next(one["traceparent"] for one in inbox["cases"] if one["id"] == alert["case_id"]),
        "acknowledged": taken.headers["traceparent"],
        "pulled": seen.json()["traceparent"],
        "answered": answered.headers["traceparent"],
    }


async def test_one_id_goes_through_headers_events_logs_and_one_tree_of_spans(
    traced: tuple[Stack, Collector],
) -> None:
    stack, spans = traced
    trace, parent = secrets.token_hex(16), secrets.token_hex(8)
    async with receiving() as screen:
        await stack.lanjie("notifier", "webhook-add", "SZ-LH-CZ", f"{screen.url}/alerts", part="notifier")
        shown = await played(stack, f"00-{trace}-{parent}-01", a_report(**CANARIES))
        [posted] = await screen.received(1)
    ids = shown.pop("ids")
    shown |= {"webhook": posted.headers["traceparent"], "body": posted.json()["data"]["traceparent"]}
    assert {name: value[3:35] for name, value in shown.items()} == dict.fromkeys(shown, trace)

    records = await records_about(stack, ids)
    assert {topic for topic, _ in records} == {f"lanjie.{name}.v1" for name in SAID}
    assert {traceparent[3:35] for _, traceparent in records} == {trace}

    for service in SERVICES:
        lines = [line for line in logged(stack, service) if any(one in json.dumps(line) for one in ids)]
        assert lines, service
        assert {line.get("trace_id") for line in lines} == {trace}, service

    async def exported() -> list[Taken] | None:
        found = spans.of(trace)
        return found if {one.name for one in found} >= STAGES else None

    try:
        found = await eventually(exported)
    except TimeoutError:
        raise AssertionError(STAGES - {one.name for one in spans.of(trace)}) from None
    by_id = {one.span_id: one for one in found}
    assert [one.name for one in found if one.parent_id not in by_id] == ["POST /v1/reports"]
    assert next(one for one in found if one.name == "POST /v1/reports").parent_id == parent
    assert {one.service for one in found} == {f"lanjie-{service}" for service in SERVICES}
    assert not [one.name for one in spans.spans for part in ids if part in one.name]
    batches = [one for one in spans.spans if one.name == "process batch of lanjie-rules"]
    assert any(trace in one.links for one in batches)
    assert [piece for piece in PIECES for form in forms_of(piece) if form in spans.raw] == []


SAID = ("reports", "verdicts", "cases", "orders", "feedback")
STAGES = {
    "POST /v1/reports",
    *("send lanjie.reports.v1", "process lanjie.reports.v1", "send lanjie.verdicts.v1", "process lanjie.verdicts.v1"),
    *("open case", "stream alert", "deliver by webhook", "POST /v1/cases/{case_id}/acknowledge"),
    *("POST /v1/cases/{case_id}/orders", "send lanjie.orders.v1", "process lanjie.orders.v1"),
    *("POST /v1/orders/{order_id}/feedback", "send lanjie.feedback.v1", "process lanjie.feedback.v1"),
}


async def records_about(stack: Stack, ids: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the topics and traceparents of all records that name one of the ids, except tallies."""
    consumer = AIOKafkaConsumer(*TOPICS, bootstrap_servers=stack.info["kafka"], auto_offset_reset="earliest")
    await consumer.start()
    found = []
    try:
        ends = await consumer.end_offsets(list(consumer.assignment()))
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                for record in batch:
                    if any(one.encode() in (record.value or b"") for one in ids):
                        headers = dict(record.headers)
                        found.append((record.topic, headers.get("traceparent", b"").decode()))
    finally:
        await consumer.stop()
    return found


def logged(stack: Stack, service: str) -> list[dict[str, Any]]:
    """Return the lines of a service's log; all are JSON."""
    texts = [path.read_text(encoding="utf-8") for path in (stack.folder / "logs").glob(f"{service}*.log")]
    lines = [line for text in texts for line in text.splitlines() if line.startswith("{")]
    return [json.loads(line) for line in lines]


async def test_without_an_exporter_the_same_id_goes_through_and_the_command_shows_the_way(
    stack: Stack,
) -> None:
    given, account = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01", f"62{secrets.randbelow(10**17):017d}"
    shown = await played(stack, given, a_report(**{**CANARIES, "payee__account": account}))
    assert {shown[name] for name in ("filed", "alert", "inbox", "acknowledged", "pulled", "answered")} == {given}
    told = await asyncio.to_thread(trace_of, stack, shown["ids"][0])
    assert told["missing"] == {}
    assert told["trace_id"] == shown["filed"][3:35]
    steps = [one["step"] for one in told["steps"]]
    assert [step for step in steps if step in ("accepted", "judged", "case opened", "case acknowledged")] == [
        *("accepted", "judged", "case opened", "case acknowledged")
    ]
    assert {"order given", "order first pulled", "feedback received"} <= set(steps)
    assert {"order answered", "booked: reported", "alert posted: opened"} <= set(steps)
    assert "deadline: order" in [one["what"] for one in told["open"]]
    assert [piece for piece in PIECES if piece in json.dumps(told, ensure_ascii=False)] == []


def trace_of(stack: Stack, report_id: str) -> dict[str, Any]:
    command = (str(Path(sys.executable).parent / "lanjie"), "trace", report_id, "--json")
    told = {"LANJIE_RUN_DIR": str(stack.folder), "PATH": os.environ["PATH"]}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=told)
    found: dict[str, Any] = json.loads(done.stdout)
    return found
