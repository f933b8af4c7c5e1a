"""Who did what, and why: `lanjie notifier audit`."""

from uuid import UUID

import typer

from services.notifier import people_store
from services.notifier.commands.targets import Sealing
from shared.command import connected, run


def audit(subject: UUID) -> None:
    """Show what is on record about a case, an order, an objection or a shift; the reasons in clear."""

    async def work() -> None:
        identity = Sealing().seal()
        async with connected("notifier") as connection:
            rows = await people_store.audit_of(connection, subject)
        for row in rows:
            why = identity.open(row["sealed"], str(subject)) if row["sealed"] else row["reason"]
            typer.echo(f"{row['at'].isoformat()}  {row['actor']}  {row['action']}  {' '.join(why.split())}".rstrip())

    run(work)
