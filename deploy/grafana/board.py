"""What a dashboard is made of: panels in rows, each with its question, its unit and its expressions."""

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final

COLUMNS: Final = 24
"""The width of Grafana's grid."""


class Kind(StrEnum):
    """How a panel shows what it asks, by the name of Grafana's plugin."""

    LINES = "timeseries"
    NUMBER = "stat"
    BARS = "bargauge"
    TABLE = "table"


class Unit(StrEnum):
    """What a number is of, by the name Grafana knows it under."""

    YUAN = "currency:¥"
    SECONDS = "s"
    SHARE = "percentunit"
    COUNT = "short"
    PER_SECOND = "cps"
    BYTES = "bytes"


class Colour(StrEnum):
    """What a threshold means."""

    GOOD = "green"
    LATE = "orange"
    BAD = "red"
    PLAIN = "blue"


Titles = tuple[tuple[str, str], ...]
"""Values of a label, and what people call them."""


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, and what its lines are called; `{{label}}` stands for a label's value."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Matrix:
    """A table with a row for each value of one label and a column for each value of another."""

    row: str
    column: str
    titles: Titles = ()
    """The columns in their order: the label's value, and what it is called. Others follow under the value itself."""
    corner: str = ""
    """What the first column is called."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A question, and its answer.

    `quiet`: 0 as long as all is well, so that a good morning shows nothing else. `steps`: the colour from a value on;
    `base`: below the first. `names`: what people call the label's values at the left. `see`: the page under docs/ that
    says more, with its section.
    """

    title: str
    description: str
    unit: Unit
    queries: tuple[Query, ...]
    kind: Kind = Kind.LINES
    width: int = 8
    height: int = 8
    quiet: bool = False
    base: Colour = Colour.PLAIN
    steps: tuple[tuple[float, Colour], ...] = ()
    matrix: Matrix | None = None
    names: Titles = ()
    see: str = ""

    @property
    def now(self) -> bool:
        """Whether it asks for the answer at the end of the chosen time instead of its course."""
        return self.kind is not Kind.LINES


number = partial(Panel, kind=Kind.NUMBER, width=4, height=4)
"""One number, large."""

alarm = partial(number, quiet=True, base=Colour.GOOD, steps=((1, Colour.BAD),))
"""A number that is 0 as long as all is well."""

bars = partial(Panel, kind=Kind.BARS)
"""One bar for each value of a label, the longest first where the expression sorts."""

table = partial(Panel, kind=Kind.TABLE)
"""Numbers by two labels."""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels that answer one question together; they fill lines of the grid from left to right."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of a dashboard: all values that a label has in a metric."""

    name: str
    title: str
    metric: str
    label: str


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard. `uid` is its address, for good; `page` the page under docs/ that it belongs to."""

    uid: str
    title: str
    description: str
    since: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...]
    page: str

    def panels(self) -> list[Panel]:
        """Return all panels, in order."""
        return [panel for row in self.rows for panel in row.panels]
