"""Spans on their way to a collector that is slow, away, or asks for few; and requests that name hostile traces."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from shared import tracing
from shared.tracing import accepted
from tests.fakes.collector import Collector, collector
from tests.parts import NOWHERE, Door, a_key, a_report, bank, intake_door

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
REPORTS = 20


@pytest.fixture
async def dsn(database: Callable[[str], Awaitable[str]]) -> str:
    return await database("intake")


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Yield a collector that takes a minute for each request."""
    with collector(slow=60) as running:
        ask(monkeypatch, running.url)
        yield running


def ask(monkeypatch: pytest.MonkeyPatch, url: str, **more: str) -> None:
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_BSP_MAX_QUEUE_SIZE": "512"}
    for name, value in (told | more).items():
        monkeypatch.setenv(name, value)


async def filed(door: Door, number: int, given: str = "") -> list[str]:
    """Post reports side by side; return the traceparents of the answers."""

    async def post() -> str:
        headers = bank(**{"Idempotency-Key": a_key()}, **({"traceparent": given} if given else {}))
        answer = await door.client.post("/v1/reports", json=a_report(), headers=headers)
        assert answer.status_code == 202
        traceparent: str = answer.headers["traceparent"]
        return traceparent

    return list(await asyncio.gather(*(post() for _ in range(number))))


@pytest.mark.usefixtures("stuck")
async def test_a_collector_that_hangs_holds_up_no_report_and_no_stop(dsn: str) -> None:
    async with asyncio.timeout(50):  # the collector takes a minute for the first request
        async with intake_door(dsn) as door:
            for _ in range(3):
                await filed(door, REPORTS)
            assert await door.count("report") == 3 * REPORTS
    assert not tracing.on()


async def test_a_collector_that_is_away_is_said_once_and_costs_no_report(
    dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(monkeypatch, f"http://{NOWHERE}", OTEL_EXPORTER_OTLP_TIMEOUT="1")
    said = ""
    async with intake_door(dsn) as door, asyncio.timeout(60):
        while "spans_not_exported" not in said:
            await filed(door, 2)
            said += capsys.readouterr().out
        await filed(door, REPORTS)
    said += capsys.readouterr().out
    assert said.count("spans_not_exported") == 1


async def test_the_sampler_decides_which_traces_that_begin_here_have_spans(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collector() as running:
        ask(monkeypatch, running.url, OTEL_TRACES_SAMPLER="parentbased_always_off", OTEL_SERVICE_NAME="the-door")
        async with intake_door(dsn) as door:
            [ours] = await filed(door, 1)
            [theirs] = await filed(door, 1, GIVEN)
            async with asyncio.timeout(30):
                while not running.of(GIVEN[3:35]):  # noqa: ASYNC110 - the other side is a thread
                    await asyncio.sleep(0.02)
    assert (ours[-2:], theirs[-2:]) == ("00", "01")
    assert running.of(ours[3:35]) == []
    span = running.of(GIVEN[3:35])[0]
    assert (span.service, span.name, span.parent_id) == ("the-door", "POST /v1/reports", GIVEN[36:52])
    assert span.attributes["http.route"] == "/v1/reports"
    assert span.attributes["http.response.status_code"] == 202


async def test_what_stands_in_a_path_is_in_no_span(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A one-time link is a path, and whoever has it may open the door."""
    secret = "01a20150-9d8f-751c-a451-d0290e188e10"
    known, strange = f"/v1/reports/{secret}", f"/v1/nothing/{secret}"
    asked = [("GET", known), ("PUT", known), ("GET", f"{known}/"), ("GET", strange), ("GET", f"/v1/orders?a={secret}")]
    with collector() as running:
        ask(monkeypatch, running.url)
        async with intake_door(dsn) as door:
            for method, path in asked:
                await door.client.request(method, path, headers=bank(traceparent=GIVEN))
            async with asyncio.timeout(30):
                while len(running.of(GIVEN[3:35])) < len(asked):  # noqa: ASYNC110 - the other side is a thread
                    await asyncio.sleep(0.02)
    names = {span.name for span in running.of(GIVEN[3:35])}
    assert "GET /v1/reports/{report_id}" in names
    assert secret.encode() not in running.raw, names


async def test_every_answer_names_a_trace_also_a_refusal_and_one_nobody_asked_for(intake: Door) -> None:
    refused = await intake.client.get("/v1/orders", headers={"traceparent": GIVEN})
    absent = await intake.client.get("/nothing/here")
    assert (refused.status_code, refused.headers["traceparent"]) == (401, GIVEN)
    assert accepted([absent.headers["traceparent"]])


@pytest.mark.parametrize("hostile", ["ff" + GIVEN[2:], GIVEN.upper(), f"00-{'0' * 32}-00f067aa0ba902b7-01", "x" * 9000])
async def test_a_hostile_traceparent_is_ignored_and_another_trace_begins(intake: Door, hostile: str) -> None:
    [answered] = await filed(intake, 1, hostile)
    [row] = await intake.rows("select traceparent from report")
    assert row["traceparent"] == answered
    assert accepted([answered]) == answered
    assert answered[3:35] not in hostile
