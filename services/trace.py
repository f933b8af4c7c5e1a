"""`lanjie trace`: one report's whole way through all services, with times, from their databases."""

import json
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services import trace_places, trace_steps
from shared.command import run

WIDTH: Final = 170
QUICK_MS: Final = 1_000
SLOW_MS: Final = 60_000

console = Console(highlight=False, soft_wrap=True)


def trace(
    report: Annotated[str, typer.Argument(help="The report's id; with --bank, the bank's own reference.")],
    bank: Annotated[str | None, typer.Option(help="The code of the bank whose reference it is.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show one report's way through all services, with times. Names and numbers are never shown.

    DATABASE_URL may hold several addresses, with spaces between; without it, the local run's databases are read.
    NARRATIVE_KEYS are needed to look into dead letters, but in the local run.
    """

    async def work() -> dict[str, Any]:
        missing: dict[str, str] = {}
        async with trace_places.reached(missing) as connections:
            return trace_steps.told(await trace_places.known_of(connections, missing, report, bank))

    told = run(work)
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    _show(told)


def _show(told: dict[str, Any]) -> None:
    console.print(f"report {told['report_id']}, trace {told['trace_id'] or 'not known any more'}")
    table = Table("+ms", "gap ms", "service", "step", "details", "at")
    for place in (0, 1):
        table.columns[place].justify = "right"
    for one in told["steps"]:
        gap = f"[{_colour(one['gap_ms'])}]{one['gap_ms']:,}[/]"
        words = (escape(one[name]) for name in ("service", "step", "details", "at"))
        table.add_row(f"{one['ms']:,}", gap, *words)
    Console(highlight=False, width=WIDTH).print(table)
    for one in told["open"]:
        due = f", due {one['due_at']}" if one["due_at"] else ""
        details = f" ({one['details']})" if one["details"] else ""
        console.print(f"[yellow]open[/] {one['service']}: {escape(one['what'] + details)}{due}")
    for one in told["dead_letters"]:
        line = f"{one['service']} {one['id']}: {one['reason']}, {one['state']} since {one['parked_at']}"
        console.print(f"[red]dead letter[/] {escape(line)}")
    for service, why in told["missing"].items():
        console.print(f"[red]missing[/] {escape(f'{service}: {why}')}")
    for sentence in told["times_not_kept"]:
        console.print(f"[dim]not kept: {escape(sentence)}[/]")


def _colour(gap_ms: int) -> str:
    """Machines take less than a second, officers and banks less than a minute; more is worth a look."""
    return "green" if gap_ms < QUICK_MS else "yellow" if gap_ms < SLOW_MS else "red"
