"""One fault test played, in a process of its own."""

import asyncio
import logging
import shutil
import tempfile
import time
import traceback
from pathlib import Path

from rich.console import Console

from deploy.local.config import CannotRunError
from shared.observe import configure_logging
from tests.faults.play import FaultTest, Outcome, Play, fault_tests

console = Console(highlight=False, width=140)


def timed(asked: tuple[str, int, bool]) -> tuple[Outcome, float]:
    """Play one in a process of its own."""
    name, seed, long = asked
    configure_logging("faults")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # brokers are away: that is the test
    began = time.monotonic()
    outcome = _played(fault_tests()[name], seed, long=long)
    return outcome, time.monotonic() - began


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
