"""What every fault test is given, and what it gives back."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Play:
    """One run of a fault test: its dice, its size, and a folder of its own."""

    seed: int
    long: bool
    folder: Path
    say: Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """What was seen. A test passes when nothing is lost, nothing is doubled and nothing is `broken`.

    `operations` counts what clients asked for; `broken` holds a sentence for each invariant that did not hold.
    """

    operations: int
    lost: int = 0
    doubled: int = 0
    figures: dict[str, float | str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.doubled or self.broken)

    def lose(self, sentence: str) -> None:
        """Write down that something is not there which must be."""
        self.lost += 1
        self.broken.append(sentence)

    def double(self, sentence: str) -> None:
        """Write down that something is there more often than once."""
        self.doubled += 1
        self.broken.append(sentence)


@dataclass(frozen=True, slots=True)
class FaultTest:
    """A module `t<number>_<name>.py`: its first docstring line, the seeds of its short form, and its play.

    A seed that once failed stays among them.
    """

    name: str
    title: str
    seeds: tuple[int, ...]
    play: Callable[[Play], Awaitable[Outcome]]


def fault_tests() -> dict[str, FaultTest]:
    """Return the fault tests by name, T1 first."""
    found = {}
    for path in sorted(HERE.glob("t[0-9][0-9]_*.py")):
        module = import_module(f"tests.faults.{path.stem}")
        name = f"T{int(path.stem[1:3])}"
        title = (module.__doc__ or "").splitlines()[0].rstrip(".")
        found[name] = FaultTest(name, title, tuple(module.SEEDS), module.play)
    return found
