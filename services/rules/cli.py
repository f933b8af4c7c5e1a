"""`lanjie rules …`: the judge's own commands."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from services.rules import reference, upkeep
from services.rules.app import RulesSettings, build
from services.rules.commands import history, lists, packs
from shared.command import connected, migrated, run
from shared.http import serve
from shared.observe import configure_logging

commands = typer.Typer(help="The judge, its rule packs and its lists.", no_args_is_help=True)
commands.command("check")(packs.check)
commands.command("diff")(packs.diff)
commands.command("publish")(packs.publish)
commands.command("rollback")(packs.rollback)
commands.command("list")(packs.list_)
commands.command("show")(packs.show)
commands.command("names")(packs.names)
commands.command("explain")(history.explain)
commands.command("backtest")(history.backtest)
commands.command("shadow")(history.shadow)
commands.add_typer(lists.commands, name="lists")


@commands.command("serve")
def serve_() -> None:
    """Judge reports; serve health and metrics."""
    settings = RulesSettings()
    configure_logging("rules")
    serve(build(settings), settings.host, settings.port)


@commands.command("load")
def load_(folder: Annotated[Path, typer.Argument(help="Folder of reference data; its `rules` is the pack.")]) -> None:
    """Publish the rule pack to begin with, unless one is live already."""

    async def work() -> int | None:
        async with connected("rules") as connection:
            return await reference.publish(connection, folder / "rules", "load")

    version = run(work)
    typer.echo(f"version {version} is live" if version else "a pack is live already; see `lanjie rules list`")


@commands.command()
def forget(reports: list[UUID]) -> None:
    """Forget at once by what reports were judged, as retention does in time; see docs/day-two.md."""

    async def work() -> bool:
        async with connected("rules") as connection:
            found = await upkeep.forget(connection, reports)
        for report in reports:
            typer.echo(f"{report}  {'forgotten' if report in found else 'unknown'}")
        return found >= set(reports)

    if not run(work):
        raise typer.Exit(1)


@commands.command("migrate")
def migrate_() -> None:
    """Bring the database's schema up to date; the services may be at work meanwhile."""
    migrated("rules")
