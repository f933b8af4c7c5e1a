"""`make faults TEST=T1 SEED=7 SIZE=long`: without TEST all of them, in their short form; exit 1 where one fails.

`JOBS=2` plays two at a time: much of a fault test is waiting, but figures of time mean little then.
"""

import asyncio
import logging
import multiprocessing
import os
import secrets
import shutil
import sys
import tempfile
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.local.config import CannotRunError
from shared.observe import configure_logging
from tests.faults.play import FaultTest, Outcome, Play, fault_tests

console = Console(highlight=False, width=140)
SIZES = ("short", "long")


def main() -> None:
    """Play what the environment names and print a table."""
    tests = fault_tests()
    names = os.environ.get("TEST", "").split(",") if os.environ.get("TEST") else list(tests)
    size = os.environ.get("SIZE", "short")
    if unknown := [name for name in names if name not in tests]:
        sys.exit(f"There is no fault test {', '.join(unknown)}; there are {', '.join(tests)}.")
    if size not in SIZES:
        sys.exit(f"SIZE is {size!r}; it must be {' or '.join(SIZES)}.")
    if not (jobs := os.environ.get("JOBS", "1")).isdigit() or jobs == "0":
        sys.exit(f"JOBS is {jobs!r}; it must be how many tests are played at a time.")
    plays = [(name, seed, size == "long") for name in names for seed in _seeds(tests[name], long=size == "long")]
    table = Table("test", "seed", "operations", "lost", "doubled", "seconds", "figures", "broken")
    healthy = True
    with ProcessPoolExecutor(int(jobs), multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        for (name, seed, _), (outcome, seconds) in zip(plays, pool.map(_timed, plays), strict=True):
            healthy &= outcome.healthy
            table.add_row(*_row(name, seed, outcome, seconds), style="" if outcome.healthy else "red")
    console.print(table)
    sys.exit(0 if healthy else 1)


def _timed(asked: tuple[str, int, bool]) -> tuple[Outcome, float]:
    """Play one in a process of its own."""
    name, seed, long = asked
    configure_logging("faults")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # brokers are away: that is the test
    began = time.monotonic()
    outcome = _played(fault_tests()[name], seed, long=long)
    return outcome, time.monotonic() - began


def _seeds(test: FaultTest, *, long: bool) -> tuple[int, ...]:
    given = os.environ.get("SEED", "")
    if given:
        return tuple(int(seed) for seed in given.split(","))
    return (secrets.randbelow(1_000_000),) if long else test.seeds


def _played(test: FaultTest, seed: int, *, long: bool) -> Outcome:
    """Play one seed in a folder of its own, which stays where it failed: logs, journal and databases are in it."""
    console.print(f"[bold]{test.name}[/] {test.title}: seed {seed} …")
    folder = Path(tempfile.mkdtemp(prefix=f"{test.name}-{seed}-"))
    try:
        play = Play(seed, long, folder, lambda words: console.print(f"    {words}"))
        outcome = asyncio.run(_of(test, play))
    except (Exception, CannotRunError) as error:  # noqa: BLE001 - a test that cannot end is a failure like any other
        traceback.print_exc()
        outcome = Outcome(0, broken=[f"{type(error).__name__}: {error}"])
    if outcome.healthy:
        shutil.rmtree(folder)
        return outcome
    again = f"make faults TEST={test.name} SEED={seed} SIZE={'long' if long else 'short'}"
    console.print(f"    failed, see {folder}; again with: {again}", style="red", soft_wrap=True)
    for sentence in outcome.broken[:20]:
        console.print(f"    {sentence}", style="red", markup=False)
    return outcome


async def _of(test: FaultTest, play: Play) -> Outcome:
    return await test.play(play)


def _row(name: str, seed: int, outcome: Outcome, seconds: float) -> list[str]:
    figures = ", ".join(
        f"{label} {value if isinstance(value, str) else f'{value:g}'}" for label, value in outcome.figures.items()
    )
    numbers = [str(seed), str(outcome.operations), str(outcome.lost), str(outcome.doubled), f"{seconds:.0f}"]
    return [name, *numbers, figures, str(len(outcome.broken))]


if __name__ == "__main__":
    main()
