"""`lanjie metrics …`: docs/metrics.md, made of the code that counts, committed, and checked for drift."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import typer

from services.intake.metrics import Metrics as Intake
from services.notifier.metrics import Metrics as Notifier
from services.rules.metrics import Metrics as Rules
from shared.metrics import Bound, Metric, Question

PAGE: Final = Path(__file__).parent.parent / "docs" / "metrics.md"

HEAD: Final = """\
# Metrics

What each service shows at `GET /metrics`, by the question it answers. This page is made of the code: `lanjie metrics
write` writes it, and `make check` refuses one that is out of date. What to do when a figure looks bad is in the
[runbooks](runbooks.md), the pictures are in the [dashboards](dashboards.md).

- **Units** are base units and part of the name: seconds, bytes. Money is in yuan (CNY), as `_yuan`; the ledger keeps
  fen, so a figure has two places.
- **Counters** (`_total`) and **histograms** are of one process and begin anew with it: `sum(rate(…))` over replicas.
- **Gauges that are the same on all replicas** are read from the database: `max by (…)`, never a sum. Other gauges are
  the replica's own.
- **Labels** have few values: a closed choice in the code, or codes that people maintain, so their number is that of
  banks, units, rules, scam types. Never an id, an account, a person. Where all labels are closed choices, every series
  begins at 0.
- A name in several services tells one thing of each: `job` says which. A histogram has `_bucket` (with `le`), `_sum`
  and `_count`.
"""

commands = typer.Typer(help="The page of all metrics.", no_args_is_help=True)


def all_metrics() -> dict[str, list[Metric]]:
    """Return the metrics of each service."""
    return {one.shelf.service: one.shelf.metrics for one in (Intake(), Rules(), Notifier())}


def page(metrics: Mapping[str, list[Metric]]) -> str:
    """Return the page."""
    return "\n".join([HEAD, *(line for question in Question for line in _section(question, metrics))]).rstrip() + "\n"


def _section(question: Question, metrics: Mapping[str, list[Metric]]) -> Iterator[str]:
    yield from (
        f"## {question}",
        "",
        "| metric | service | type, unit | labels | what it is | what it answers |",
        "|---|---|---|---|---|---|",
    )
    for one, services in _merged(question, metrics):
        where = "all" if len(services) == len(metrics) else ", ".join(services)
        labels = "<br>".join(_label(name, bound) for name, bound in one.labels.items())
        yield f"| `{one.name}` | {where} | {one.type}, {one.unit} | {labels} | {one.meaning} | {one.asks} |"
    yield ""


def _merged(question: Question, metrics: Mapping[str, list[Metric]]) -> list[tuple[Metric, list[str]]]:
    """Return the metrics of a section, each once, with the services that have it just so."""
    found: list[tuple[Metric, list[str]]] = []
    for service, those in metrics.items():
        for one in (each for each in those if each.question is question):
            same = next((services for other, services in found if other == one), None)
            if same is None:
                found.append((one, [service]))
            else:
                same.append(service)
    return found


def _label(name: str, bound: Bound) -> str:
    return f"`{name}`: {bound.says}"


@commands.command()
def write() -> None:
    """Write the page anew."""
    PAGE.write_text(page(all_metrics()), encoding="utf-8")
    typer.echo(f"wrote {PAGE}")


@commands.command()
def check() -> None:
    """Fail where the committed page differs from the code."""
    metrics = all_metrics()
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page(metrics):
        typer.secho(f"{PAGE.name} is out of date", fg="red", err=True)
        typer.echo("'lanjie metrics write' writes it anew", err=True)
        raise typer.Exit(1)
    names = {one.name for those in metrics.values() for one in those}
    typer.echo(f"{len(names)} metrics are told truly")
