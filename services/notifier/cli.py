"""`lanjie notifier …`: notifier's own commands."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from services.notifier import reference
from services.notifier.alerting.targets import new_secret
from services.notifier.app import Settings, build
from services.notifier.commands import duty, record, targets
from services.notifier.commands.targets import Sealing
from shared.access import OFFICER_TOKEN, mint
from shared.command import connected, migrated, run
from shared.http import serve
from shared.observe import configure_logging

commands = typer.Typer(help="The police's door.", no_args_is_help=True)
commands.command("target-add")(targets.add)
commands.command("target-list")(targets.show)
commands.command("target-remove")(targets.remove)
commands.command("target-rotate")(targets.rotate)
commands.command("target-test")(targets.test)
commands.command("roster-load")(duty.roster_load)
commands.command("roster-rotate")(duty.roster_rotate)
commands.command("roster-remove")(duty.roster_remove)
commands.command("roster-show")(duty.roster_show)
commands.command("audit")(record.audit)


@commands.command("serve")
def serve_() -> None:
    """Serve the police's door."""
    settings = Settings()
    configure_logging("notifier")
    serve(build(settings), settings.host, settings.port)


@commands.command("migrate")
def migrate_() -> None:
    """Bring the database's schema up to date; the services may be at work meanwhile."""
    migrated("notifier")


@commands.command()
def load(folder: Path) -> None:
    """Load units, branches and scam types from a folder of reference data."""

    async def work() -> None:
        async with connected("notifier") as connection:
            for what, number in (await reference.load(connection, folder)).items():
                typer.echo(f"{what}: {number}")

    run(work)


@commands.command()
def officer_add(name: str, unit: str, role: str) -> None:
    """Let an officer in. The token is printed once and stored as a hash; a further call replaces it."""

    async def work() -> None:
        token = mint(OFFICER_TOKEN)
        async with connected("notifier") as connection:
            await reference.add_officer(connection, name, unit, role, token)
        typer.echo(token)

    run(work)


@commands.command()
def officer_list(unit: Annotated[str, typer.Argument(help="Only its officers, and those below it.")] = "") -> None:
    """List the officers who are let in, by unit."""

    async def work() -> None:
        async with connected("notifier") as connection:
            for row in await reference.officers(connection, unit):
                typer.echo(f"{row['unit']}  {row['role']}  {row['name']}")

    run(work)


@commands.command()
def officer_revoke(name: str) -> None:
    """Let an officer in no longer; the token is refused within a second."""

    async def work() -> None:
        async with connected("notifier") as connection:
            known = await reference.revoke_officer(connection, name)
        typer.echo("revoked" if known else "there is no such officer")

    run(work)


@commands.command()
def webhook_add(unit: str, url: str) -> None:
    """Send a unit's alerts to a URL. The secret to verify them with is printed once and stored sealed."""

    async def work() -> None:
        secret, identity = new_secret(), Sealing().seal()
        async with connected("notifier") as connection:
            webhook_id = await reference.add_webhook(connection, identity, unit, url, secret)
        typer.echo(f"id      {webhook_id}\nsecret  {secret}")

    run(work)


@commands.command()
def webhook_remove(webhook_id: UUID) -> None:
    """Send nothing more to a webhook."""

    async def work() -> None:
        async with connected("notifier") as connection:
            known = await reference.remove_webhook(connection, webhook_id)
        typer.echo("removed" if known else "there is no such webhook")

    run(work)
