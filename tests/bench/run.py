"""`make bench`: the services beside the floor, in turn, on one machine, broker and database; then a long run.

Each side is measured alone, five times in turn: what it carries, and how soon an alert is there at half of that. The
long run then says whether cost and memory stay flat. `--write` puts table and plot into docs/performance.md.
`ROUNDS`, `REPORTS`, `SECONDS`, `LONG` change the size; `KAFKA=embedded` takes the embedded broker.
"""

import asyncio
import json
import os
import platform
import sys
import tempfile
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import uvloop
from rich.console import Console

from tests.bench import chain_report
from tests.bench.measuring import Latency, Mile, Throughput, latency, long_run, throughput
from tests.bench.sides import Side, floor_side, lanjie_side
from tests.e2e.stack import Stack, running_stack

ROUNDS: Final = int(os.environ.get("ROUNDS", "5"))
REPORTS: Final = int(os.environ.get("REPORTS", "6000"))
SECONDS: Final = float(os.environ.get("SECONDS", "12"))
LONG: Final = int(os.environ.get("LONG", "200000"))
MILE: Final = 10_000
WARM_UP: Final = 1_000
console = Console(highlight=False, width=120)


@dataclass(slots=True)
class Round:
    """One side, once."""

    side: str
    single: Throughput
    batched: Throughput | None = None
    at_half: Latency | None = None
    beside: Latency | None = None
    """The floor at the rate at which the services were measured."""


@dataclass(slots=True)
class Results:
    """Everything that was measured."""

    machine: str
    rounds: list[Round] = field(default_factory=list)
    miles: list[Mile] = field(default_factory=list)


def main() -> None:
    """Measure in a run of its own, show it, and write it down where told."""
    uvloop.install()
    kafka = os.environ.get("KAFKA", "apache")
    machine = f"{platform.platform()}, {os.cpu_count()} processors, {kafka} Kafka"
    results = Results(machine)
    with tempfile.TemporaryDirectory() as folder, running_stack(Path(folder), KAFKA=kafka) as stack:
        asyncio.run(_measure(stack, results))
    console.print(chain_report.table(asdict(results)))
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps(asdict(results)) + "\n")
    if "--write" in sys.argv:
        chain_report.write(asdict(results))


async def _measure(stack: Stack, results: Results) -> None:
    for number in range(1, ROUNDS + 1):
        ours = await _measured(lanjie_side(stack), batched=True)
        half = ours.at_half.rate if ours.at_half else 1.0
        floor = await _measured(floor_side(stack), beside=half)
        one_way = await _measured(floor_side(stack, one_way=True))
        results.rounds += [ours, floor, one_way]
        shown = ", ".join(f"{one.side} {one.single.alerted:,.0f}" for one in (ours, floor, one_way))
        console.print(f"round {number} of {ROUNDS}: reports a second: {shown}")
    if LONG:
        async with lanjie_side(stack) as side:
            async for mile in long_run(side, LONG, MILE):
                results.miles.append(mile)
                cost = sum(mile.cpu_ms.values())
                parts = ", ".join(f"{name} {ms:.2f}" for name, ms in mile.cpu_ms.items())
                memory = ", ".join(f"{name} {mb:.0f}" for name, mb in mile.memory_mb.items())
                yardstick = f"a fixed piece of work {mile.yardstick_ms:.2f}"
                console.print(
                    f"{mile.reports:,} of {LONG:,} reports: {cost:.2f} ms each ({parts}; {yardstick}); MB: {memory}"
                )


async def _measured(
    opened: AbstractAsyncContextManager[Side], *, batched: bool = False, beside: float | None = None
) -> Round:
    async with opened as side:
        await throughput(side, WARM_UP)
        measured = Round(side.name, await throughput(side, REPORTS))
        if batched:
            measured.batched = await throughput(side, REPORTS, batched=True)
        measured.at_half = await latency(side, measured.single.alerted / 2, SECONDS)
        if beside:
            measured.beside = await latency(side, beside, SECONDS)
        return measured


if __name__ == "__main__":
    main()
