"""`lanjie ledger …`: the ledger verified against the events, and the monthly statement."""

import csv
import sys
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.notifier.money import statement, statement_store, verifying
from services.notifier.money.checking import Difference
from services.notifier.money.statement import By, Line, Period
from services.notifier.money.verifying import Verified
from shared.command import connected, run

commands = typer.Typer(help="The ledger: what each yuan turned out to be.", no_args_is_help=True)
console = Console(highlight=False, soft_wrap=True)

MOST_SHOWN = 1_000


@commands.command()
def verify() -> None:
    """Recompute everything from the events, and name what differs. Reads only; ends with code 1 on a difference."""

    async def work() -> Verified:
        with console.status("verifying") as status:
            async with connected("notifier") as connection:
                return await verifying.verify(
                    connection, lambda so_far: status.update(f"{so_far.cases:,} cases, {so_far.reports:,} reports")
                )

    found = run(work)
    if found.differences:
        console.print(_table(found.differences))
    console.print(
        f"{found.cases:,} cases, {found.reports:,} reports, {found.orders:,} orders, {found.entries:,} entries: "
        f"{len(found.differences):,} differences"
    )
    if found.answers_not_kept:
        console.print(f"{found.answers_not_kept:,} orders were answered before answers were kept: taken as they stand")
    raise typer.Exit(1 if found.differences else 0)


def _table(differences: list[Difference]) -> Table:
    table = Table("about", "what", "expected (fen)", "found (fen)")
    for one in differences[:MOST_SHOWN]:
        table.add_row(one.about, escape(one.what), escape(str(one.expected)), escape(str(one.found)))
    if len(differences) > MOST_SHOWN:
        table.caption = f"and {len(differences) - MOST_SHOWN:,} more"
    return table


@commands.command("statement")
def statement_(
    month: Annotated[str, typer.Argument(help="The month, or the first of several: 2026-10.")],
    until: Annotated[str | None, typer.Option(help="The last month: 2026-12.")] = None,
    by: Annotated[By, typer.Option(help="A line for each.")] = By.BOTH,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="A CSV file that Excel reads.")] = None,
) -> None:
    """Write the statement of one month or several as CSV, beside the same months a year before and those before."""

    async def work() -> tuple[Period, list[Line]]:
        about = statement.period(month, until)
        async with connected("notifier") as connection:
            return about, await statement_store.lines(connection, about, by)

    about, lines = run(work)
    if output is None:
        _write(sys.stdout, about, lines)
        return
    with output.open("w", encoding="utf-8-sig", newline="") as file:
        _write(file, about, lines)
    console.print(f"{escape(str(output))}: {len(lines):,} lines")


def _write(file: TextIO, about: Period, lines: list[Line]) -> None:
    writer = csv.writer(file)
    writer.writerow(statement.header())
    writer.writerows(statement.rows(about, lines))
