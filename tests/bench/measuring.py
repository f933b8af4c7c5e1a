"""What is measured of a side: how much it carries, how soon an alert is there, what a report costs."""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import httpx2

from tests.bench.load import batches, requests, saturate, steady
from tests.bench.sides import Side, cpu_seconds, memory_mb
from tests.parts import a_report

CONNECTIONS: Final = 32
BATCH_CONNECTIONS: Final = 4
TOGETHER: Final = 100
PATIENCE_SECONDS: Final = 120.0
WORDS: Final = json.dumps(a_report())
WORK: Final = 100


@dataclass(frozen=True, slots=True)
class Throughput:
    """Reports a second: as the door accepted them, and until the last one's alert was committed. Answers in ms."""

    accepted: float
    alerted: float
    answer_p50: float
    answer_p99: float
    cpu_ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class Latency:
    """From when a report was due to be posted to its alert on a screen, in ms, at so many reports a second."""

    rate: float
    p50: float
    p99: float
    longest: float


def percentile(values: list[float], share: int) -> float:
    """Return a percentile."""
    return statistics.quantiles(values, n=100)[share - 1]


async def throughput(side: Side, number: int, *, batched: bool = False) -> Throughput:
    """Post as fast as the door answers, singly over 32 connections or in batches of 100 over 4."""
    if batched:
        made, connections = batches(number, TOGETHER, side.door, side.key), BATCH_CONNECTIONS
    else:
        made, connections = requests(number, side.door, side.key), CONNECTIONS
    async with side.alerts() as count:
        used, began = cpu_seconds(side), time.monotonic()
        load = await saturate(side.door, made, connections)
        accepted = time.monotonic() - began
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await count() < number:  # noqa: ASYNC110 - other processes alert
                await asyncio.sleep(0.05)
        alerted = time.monotonic() - began
    after = cpu_seconds(side)
    answers = [seconds * 1000 for seconds in load.answers]
    return Throughput(
        number / accepted,
        number / alerted,
        percentile(answers, 50),
        percentile(answers, 99),
        {part: (after[part] - used[part]) / number * 1000 for part in used},
    )


async def latency(side: Side, rate: float, seconds: float) -> Latency:
    """Post at a steady rate whatever the answers take; time each report to its alert on a screen."""
    made = requests(int(rate * seconds), side.door, side.key)
    heard: dict[str, float] = {}
    async with _screen(side, heard):
        load = await steady(side.door, made, rate)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not load.posted.keys() <= heard.keys():  # noqa: ASYNC110 - the screen is a task of its own
                await asyncio.sleep(0.05)
    waits = [(heard[report_id] - due) * 1000 for report_id, due in load.posted.items()]
    return Latency(rate, percentile(waits, 50), percentile(waits, 99), max(waits))


@asynccontextmanager
async def _screen(side: Side, heard: dict[str, float]) -> AsyncIterator[None]:
    listening = asyncio.Event()

    async def listen() -> None:
        async with (
            httpx2.AsyncClient(timeout=None) as client,
            client.stream("GET", side.stream, headers=dict(side.stream_headers)) as response,
        ):
            listening.set()
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    heard[json.loads(line.removeprefix("data: "))["report_id"]] = time.time()

    listener = asyncio.create_task(listen())
    await listening.wait()
    try:
        yield
    finally:
        listener.cancel()
        with suppress(asyncio.CancelledError):
            await listener


@dataclass(frozen=True, slots=True)
class Mile:
    """So many reports of a long run are done: what each of the last ones cost in ms of a processor, memory in MB.

    `yardstick_ms` is what a fixed piece of work took of the processor meanwhile: it shows how fast the machine was.
    """

    reports: int
    cpu_ms: dict[str, float]
    memory_mb: dict[str, float]
    yardstick_ms: float


async def long_run(side: Side, number: int, mile: int) -> AsyncIterator[Mile]:
    """Post `number` reports, a mile at a time, each until its alerts are committed; yield after each mile."""
    for done in range(mile, number + 1, mile):
        measured: list[float] = []
        yardstick = asyncio.create_task(_measure_again(measured))
        took = await throughput(side, mile)
        yardstick.cancel()
        yield Mile(done, took.cpu_ms, memory_mb(side), statistics.median(measured))


async def _measure_again(measured: list[float]) -> None:
    """Do a fixed piece of work ten times a second and note what it took, in ms of a processor."""
    while True:
        began = time.thread_time()
        for _ in range(WORK):
            json.dumps(json.loads(WORDS))
        measured.append((time.thread_time() - began) * 1000)
        await asyncio.sleep(0.1)
