"""Metrics, each with the question it answers and what bounds its labels.

A service writes each metric down once, on its shelf. What Prometheus scrapes and the page docs/metrics.md are both
made of that, so neither can know of a metric that the other does not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from itertools import product
from math import prod
from typing import Final, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

M = TypeVar("M", Counter, Gauge, Histogram)

STAGE_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
"""Seconds: from a machine's stages to an officer's and a bank's deadlines."""

MOST_BEGUN: Final = 64
"""So many series of a metric begin at 0; more would be a burden, and most of them would stay there."""


class Question(StrEnum):
    """What people want to know, in the order of the page."""

    MONEY = "The money"
    TIME = "Where the time goes"
    LATE = "Who is late"
    STUCK = "What is stuck"
    RULES = "How well the rules judge"
    TRAFFIC = "What comes and goes"
    PROCESS = "The processes"


@dataclass(frozen=True, slots=True)
class Bound:
    """What keeps a label's values few: a closed choice, whose `values` are known, or data that people maintain."""

    says: str
    values: tuple[str, ...] = ()


def one_of(values: Iterable[str] | type[Enum], says: str = "") -> Bound:
    """Return the bound of a closed choice. `says` is for one too long to be named in full."""
    names = tuple(str(one.value) if isinstance(one, Enum) else one for one in values)
    return Bound(says or ", ".join(f"`{name}`" for name in names), names)


BANKS: Final = Bound("codes of banks (reference data)")
UNITS: Final = Bound("codes of units (reference data)")
UNITS_OR_NONE: Final = Bound("codes of units (reference data); empty where there is nothing to tell")
BANKS_OR_NONE: Final = Bound("codes of banks (reference data); empty where there is nothing to tell")
RULES: Final = Bound("ids of rules in the published packs")
SCAM_TYPES: Final = Bound("codes of scam types (reference data), `none`")
STATUSES: Final = Bound("HTTP statuses of 400 and more")


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as it is documented. `asks` is the question it answers."""

    name: str
    type: str
    meaning: str
    asks: str
    question: Question
    labels: Mapping[str, Bound]

    @property
    def unit(self) -> str:
        """Return what its value is in, which its name says."""
        name = self.name.removesuffix("_total")
        if self.name.endswith("_info"):
            return "always 1"
        if name.endswith("_timestamp_seconds") or name == "process_start_time_seconds":
            return "seconds since 1970 (UTC)"
        ends = {"_seconds": "seconds", "_yuan": "yuan (CNY)", "_bytes": "bytes", "_records": "records"}
        return next((unit for end, unit in ends.items() if name.endswith(end)), "number")


class Shelf:
    """The metrics of one service, and the registry they are scraped from."""

    def __init__(self, service: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # they are a second series a counter
        self.service = service
        self.registry = CollectorRegistry()
        self.metrics: list[Metric] = []

    def counter(self, name: str, meaning: str, asks: str, question: Question, /, **labels: Bound) -> Counter:
        """Make a counter; its name ends in `_total`."""
        self._note(name, "counter", meaning, asks, question, labels)
        return _begun(Counter(name, _help(meaning, asks), labels, registry=self.registry), labels)

    def gauge(self, name: str, meaning: str, asks: str, question: Question, /, **labels: Bound) -> Gauge:
        """Make a gauge."""
        self._note(name, "gauge", meaning, asks, question, labels)
        return _begun(Gauge(name, _help(meaning, asks), labels, registry=self.registry), labels)

    def histogram(
        self,
        name: str,
        meaning: str,
        asks: str,
        question: Question,
        /,
        buckets: tuple[float, ...] = STAGE_BUCKETS,
        **labels: Bound,
    ) -> Histogram:
        """Make a histogram."""
        self._note(name, "histogram", meaning, asks, question, labels)
        made = Histogram(name, _help(meaning, asks), labels, buckets=buckets, registry=self.registry)
        return _begun(made, labels)

    def process(self) -> None:
        """Show what the operating system and Python know of the process."""
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.metrics += OF_THE_PROCESS

    def _note(
        self, name: str, kind: str, meaning: str, asks: str, question: Question, labels: Mapping[str, Bound]
    ) -> None:
        self.metrics.append(Metric(name, kind, meaning, asks, question, dict(labels)))


def _help(meaning: str, asks: str) -> str:
    return f"{meaning}: {asks}"


def _begun(metric: M, labels: Mapping[str, Bound]) -> M:
    """Let every series begin at 0 where all are known: what has never happened is not unknown."""
    choices = [bound.values for bound in labels.values()]
    if choices and all(choices) and prod(map(len, choices)) <= MOST_BEGUN:
        for values in product(*choices):
            metric.labels(*values)
    return metric


def show(gauge: Gauge, found: Mapping[tuple[str, ...], float], none: Iterable[tuple[str, ...]] = ()) -> None:
    """Show what was found, and nothing of what was found before. `none` are labels that are 0 unless found."""
    gauge.clear()
    for labels, value in {**dict.fromkeys(none, 0.0), **found}.items():
        gauge.labels(*labels).set(value)


_GENERATION: Final = {"generation": one_of(("0", "1", "2"))}


def _of_the_process(name: str, kind: str, meaning: str, asks: str, labels: Mapping[str, Bound] | None = None) -> Metric:
    return Metric(name, kind, meaning, asks, Question.PROCESS, labels or {})


OF_THE_PROCESS: Final = (
    _of_the_process(
        "process_cpu_seconds_total",
        "counter",
        "Processor time used, in the program and in the kernel",
        "how busy is this replica? One process uses one processor at most",
    ),
    _of_the_process(
        "process_resident_memory_bytes", "gauge", "Memory in use that is not swapped out", "does it grow for ever?"
    ),
    _of_the_process("process_virtual_memory_bytes", "gauge", "Address space in use", "what has it mapped?"),
    _of_the_process(
        "process_start_time_seconds", "gauge", "When the process started", "does it start again and again?"
    ),
    _of_the_process("process_open_fds", "gauge", "Open files and connections", "are connections left behind?"),
    _of_the_process("process_max_fds", "gauge", "Files and connections it may open", "how near is the limit?"),
    _of_the_process(
        "python_gc_objects_collected_total",
        "counter",
        "Objects that the garbage collector freed",
        "what lies in circles?",
        _GENERATION,
    ),
    _of_the_process(
        "python_gc_objects_uncollectable_total",
        "counter",
        "Objects that it could not free",
        "does memory leak in circles?",
        _GENERATION,
    ),
    _of_the_process(
        "python_gc_collections_total",
        "counter",
        "Times the garbage collector ran",
        "does it run too often?",
        _GENERATION,
    ),
)
"""What prometheus_client's own collectors show, on Linux."""
