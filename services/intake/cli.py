"""`lanjie intake …`: intake's own commands."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from services.intake import reference, upkeep
from services.intake.app import Settings, build
from shared.access import BANK_KEY, mint
from shared.command import connected, migrated, run, whoever
from shared.http import serve
from shared.observe import configure_logging

commands = typer.Typer(help="The banks' door.", no_args_is_help=True)


@commands.command("serve")
def serve_() -> None:
    """Serve the banks' door."""
    settings = Settings()
    configure_logging("intake")
    serve(build(settings), settings.host, settings.port)


@commands.command("migrate")
def migrate_() -> None:
    """Bring the database's schema up to date; the services may be at work meanwhile."""
    migrated("intake")


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
def key_list(bank: Annotated[str, typer.Argument()] = "") -> None:
    """List a bank's keys, or all: by their labels, never the keys, which are not kept."""

    async def work() -> None:
        async with connected("intake") as connection:
            for row in await reference.keys(connection, bank):
                until = f"  until {row['expires_at']:%Y-%m-%d}" if row["expires_at"] else ""
                state = "valid" if row["valid"] else "revoked" if row["revoked_at"] else "expired"
                typer.echo(f"{row['bank']}  {row['label'] or '-'}  since {row['created_at']:%Y-%m-%d}{until}  {state}")

    run(work)


@commands.command()
def forget(
    bank: str,
    references: Annotated[list[str], typer.Argument(help="The bank's own references of the reports.")],
    by: Annotated[str, typer.Option("--by", default_factory=whoever, help="Who does it.")],
) -> None:
    """Forget at once what reports said, as retention does in time. That they were filed stays; see docs/day-two.md."""

    async def work() -> bool:
        async with connected("intake") as connection:
            found = {row["reference"]: row for row in await upkeep.forget(connection, bank, references, by)}
        for name in references:
            typer.echo(f"{name}  {found[name]['id']}  {found[name]['state']}" if name in found else f"{name}  unknown")
        return all(name in found and found[name]["state"] != "unanswered" for name in references)

    if not run(work):
        raise typer.Exit(1)


@commands.command()
def key_revoke(bank: str, label: str) -> None:
    """Revoke a bank's keys with this label; they are refused within a second."""

    async def work() -> None:
        async with connected("intake") as connection:
            typer.echo(f"revoked: {await reference.revoke_keys(connection, bank, label)}")

    run(work)
