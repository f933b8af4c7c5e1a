"""`make faults TEST=T1 SEED=7 SIZE=long`: without TEST all of them, in their short form; exit 1 where one fails.

`JOBS=2` plays two at a time: much of a fault test is waiting, but figures of time mean little then.
"""

import multiprocessing
import os
import secrets
import sys
from concurrent.futures import ProcessPoolExecutor

from rich.console import Console
from rich.table import Table

from tests.faults.play import FaultTest, Outcome, fault_tests
from tests.faults.playing import timed

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
        for (name, seed, _), (outcome, seconds) in zip(plays, pool.map(timed, plays), strict=True):
            healthy &= outcome.healthy
            table.add_row(*_row(name, seed, outcome, seconds), style="" if outcome.healthy else "red")
    console.print(table)
    sys.exit(0 if healthy else 1)


def _seeds(test: FaultTest, *, long: bool) -> tuple[int, ...]:
    given = os.environ.get("SEED", "")
    if given:
        return tuple(int(seed) for seed in given.split(","))
    return (secrets.randbelow(1_000_000),) if long else test.seeds


def _row(name: str, seed: int, outcome: Outcome, seconds: float) -> list[str]:
    figures = ", ".join(
        f"{label} {value if isinstance(value, str) else f'{value:g}'}" for label, value in outcome.figures.items()
    )
    numbers = [str(seed), str(outcome.operations), str(outcome.lost), str(outcome.doubled), f"{seconds:.0f}"]
    return [name, *numbers, figures, str(len(outcome.broken))]


if __name__ == "__main__":
    main()
