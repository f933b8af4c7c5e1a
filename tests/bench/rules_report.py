"""The result of `make bench-rules`: on screen, as JSON, as a section of docs/performance.md, and against the bar."""

import platform
import re
import statistics
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from rich.table import Table

BAR_MICROSECONDS: Final = 300
OURS: Final = "lanjie, engine"
WHOLE: Final = "lanjie, judgement"
DOCUMENT: Final = Path("docs/performance.md")
BEGIN, END = "<!-- bench-rules -->", "<!-- /bench-rules -->"


@dataclass(frozen=True, slots=True)
class Figure:
    """What one of them took: microseconds a report, one figure a round."""

    engine: str
    form: str
    microseconds: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.microseconds)

    @property
    def spread(self) -> str:
        """The least and the most of the rounds."""
        return f"{min(self.microseconds):.1f}–{max(self.microseconds):.1f}"

    @property
    def name(self) -> str:
        """The engine, with its version where it is another's."""
        return self.engine if self.engine in {OURS, WHOLE} else f"{self.engine} {version(self.engine)}"


@dataclass(frozen=True, slots=True)
class Result:
    """A run. `own`: rules that are the reference pack's; `held`: conditions that hold now and then.

    `tried` has every form of the other engines as the short trial saw it.
    """

    figures: Sequence[Figure]
    tried: Sequence[Figure]
    own: int
    held: int
    has_model: bool
    pinned: bool

    def of(self, engine: str) -> float:
        """Return an engine's median."""
        return next(figure.median for figure in self.figures if figure.engine == engine)

    def missed(self) -> list[str]:
        """Say where the bar is missed."""
        ours, whole = self.of(OURS), self.of(WHOLE)
        late = [f"{WHOLE} takes {whole:.0f} µs, more than {BAR_MICROSECONDS}"] if whole > BAR_MICROSECONDS else []
        faster = [one for one in self.figures if one.engine not in {OURS, WHOLE} and one.median <= ours]
        return [*late, *(f"{one.engine} takes {one.median:.1f} µs, {OURS} {ours:.1f}" for one in faster)]

    def as_json(self) -> dict[str, object]:
        """Return all figures, in microseconds a report."""
        return {
            "machine": machine(),
            "pinned_to_one_core": self.pinned,
            "rules": {"all": 100, "of_the_reference_pack": self.own, "hold_now_and_then": self.held},
            "text_model": self.has_model,
            "bar_microseconds": BAR_MICROSECONDS,
            "missed": self.missed(),
            "figures": [_as_json(figure) for figure in self.figures],
            "forms_tried": [_as_json(figure) for figure in self.tried],
        }


def _as_json(figure: Figure) -> dict[str, object]:
    rounds = [round(one, 2) for one in figure.microseconds]
    return {"engine": figure.name, "form": figure.form, "median": round(figure.median, 2), "rounds": rounds}


def machine() -> str:
    """Describe where this runs."""
    return f"{platform.platform()}, Python {platform.python_version()}"


def table(result: Result) -> Table:
    """Show a run."""
    model = "with" if result.has_model else "without"
    shown = Table(title=f"100 rules, {result.own} of them the reference pack's, {model} a text model; µs a report")
    shown.add_column("engine")
    shown.add_column("form")
    for name in ("median", "least–most", f"× {OURS}"):
        shown.add_column(name, justify="right")
    for row in _rows(result):
        shown.add_row(*row)
    return shown


def _rows(result: Result) -> list[tuple[str, str, str, str, str]]:
    ours = result.of(OURS)
    return [(one.name, one.form, f"{one.median:.1f}", one.spread, f"{one.median / ours:.2f}") for one in result.figures]


def write(result: Result) -> None:
    """Put the figures between the markers of the document."""
    text = DOCUMENT.read_text(encoding="utf-8")
    between = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    if not between.search(text):
        raise SystemExit(f"{DOCUMENT} has no {BEGIN} … {END}")
    DOCUMENT.write_text(between.sub(lambda _: f"{BEGIN}\n{_section(result)}\n{END}", text), encoding="utf-8")


def _section(result: Result) -> str:
    rows = "\n".join("| " + " | ".join(row) + " |" for row in _rows(result))
    tried = "; ".join(f"{one.engine}, {one.form}: {one.median:.0f}" for one in result.tried)
    forms = textwrap.fill(f"Forms tried, µs in a short trial: {tried}.", 118, break_on_hyphens=False)
    model = "with its text model" if result.has_model else "without a text model"
    return f"""
{machine()}; {"one core" if result.pinned else "not pinned to one core"}. {result.own} rules are the reference pack's
({model}), the others are made with a fixed seed; {result.held} of 100 conditions hold for some of the fact sets.

| engine | form | median µs | least–most | × {OURS} |
|---|---|--:|--:|--:|
{rows}

{forms}
"""
