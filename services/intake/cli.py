"""`lanjie intake …`: intake's own commands."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from services.intake import reference
from services.intake.app import Settings, build
from shared.access import BANK_KEY, mint
from shared.command import Database, connected, run
from shared.http import serve
from shared.observe import configure_logging
from shared.postgres import migrate

commands = typer.Typer(help="The banks' door.", no_args_is_help=True)


@commands.command("serve")
def serve_() -> None:
    """Serve the banks' door."""
    settings = Settings()
    configure_logging("intake")
    serve(build(settings), settings.host, settings.port)


@commands.command("migrate")
def migrate_() -> None:
    """Bring the database's schema up to date."""

    async def work() -> None:
        migrate(Database().database_url, "intake")

    run(work)


@commands.command()
def load(folder: Path) -> None:
    """Load banks, branches and cues from a folder of reference data."""

    async def work() -> None:
        async with connected("intake") as connection:
            for what, number in (await reference.load(connection, folder)).items():
                typer.echo(f"{what}: {number}")

    run(work)


@commands.command()
def key_add(
    bank: str, label: Annotated[str, typer.Option()] = "", expires: Annotated[datetime | None, typer.Option()] = None
) -> None:
    """Let a bank in with one more key. The key is printed once and stored as a hash."""

    async def work() -> None:
        key = mint(BANK_KEY)
        async with connected("intake") as connection:
            await reference.add_key(connection, bank, key, label, expires)
        typer.echo(key)

    run(work)


@commands.command()
def key_revoke(bank: str, label: str) -> None:
    """Revoke a bank's keys with this label; they are refused within a second."""

    async def work() -> None:
        async with connected("intake") as connection:
            typer.echo(f"revoked: {await reference.revoke_keys(connection, bank, label)}")

    run(work)
