"""Where messages go: `lanjie notifier target-…`."""

from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from services.notifier.alerting import target_store, targets
from services.notifier.alerting.channels.limits import Channel
from services.notifier.alerting.channels.outcome import Dead, Delivered, Outcome, Retry
from services.notifier.alerting.channels.sending import refuse_wrong
from services.notifier.alerting.channels.wires import ChannelSettings, wires_of
from services.notifier.alerting.target_store import Owner
from shared.command import connected, run
from shared.privacy import Seal
from shared.settings import Keys, Told, read_keys


class Sealing(Told):
    """The keys that addresses and secrets are sealed with: IDENTITY_KEYS."""

    identity_keys: Keys

    def seal(self) -> Seal:
        """Return the seal."""
        return Seal(read_keys(self.identity_keys))


def add(  # noqa: PLR0913 - one option each
    *,
    channel: Annotated[Channel, typer.Option(help="How messages go there.")],
    address: Annotated[str, typer.Option(help="URL of a webhook or robot, mail address, or phone number.")],
    unit: Annotated[str | None, typer.Option(help="Code of the unit it belongs to.")] = None,
    officer: Annotated[str | None, typer.Option(help="Name of the officer it belongs to.")] = None,
    bank: Annotated[str | None, typer.Option(help="Code of the bank it belongs to.")] = None,
    secret: Annotated[str | None, typer.Option(help="What a webhook, DingTalk or Feishu signs with.")] = None,
    position: Annotated[int, typer.Option(min=1, help="Place among an officer's targets.")] = 1,
    delay: Annotated[int, typer.Option(min=0, help="Seconds after the alert, unless it is acknowledged by then.")] = 0,
) -> None:
    """Send the messages of a unit, an officer or a bank to an address. A webhook without a secret is given one."""

    async def work() -> None:
        named = [(Owner.UNIT, unit), (Owner.OFFICER, officer), (Owner.BANK, bank)]
        owners = [(owner, name) for owner, name in named if name is not None]
        if len(owners) != 1:
            raise ValueError("name one owner: --unit, --officer or --bank")
        settings = ChannelSettings()
        refuse_wrong(settings)
        if missing := settings.missing(channel):
            raise ValueError(missing)
        made = targets.new_secret() if channel == Channel.WEBHOOK and secret is None else None
        async with connected("notifier") as connection:
            target_id = await targets.add(
                connection,
                Sealing().seal(),
                owners[0],
                channel,
                address,
                secret or made,
                position=position,
                delay_seconds=delay,
            )
        typer.echo(f"id      {target_id}" + (f"\nsecret  {made}" if made else ""))

    run(work)


def show() -> None:
    """List the targets, what waits for them and whether they are left alone for a while; addresses are masked."""

    async def work() -> None:
        table = Table("id", "owner", "channel", "address", "step", "waiting", "failures", "left alone until")
        async with connected("notifier") as connection:
            for one in await target_store.targets(connection):
                table.add_row(
                    str(one.id),
                    f"{one.owner} {one.name}",
                    one.channel,
                    one.shown,
                    f"{one.position}, after {one.delay_seconds} s",
                    str(one.waiting),
                    str(one.failures),
                    one.closed_until.isoformat(timespec="seconds") if one.closed_until else "",
                )
        Console(width=160).print(table)

    run(work)


def remove(target_id: UUID) -> None:
    """Send nothing more to a target; what is on its way to it ends."""

    async def work() -> None:
        async with connected("notifier") as connection:
            known = await target_store.remove_target(connection, target_id)
        typer.echo("removed" if known else "there is no such target")

    run(work)


def rotate(
    target_id: UUID,
    *,
    finish: Annotated[bool, typer.Option("--finish", help="Sign with the newest secret alone from now on.")] = False,
) -> None:
    """Give a webhook a further secret, printed once: messages are signed with both until --finish."""

    async def work() -> None:
        made = None if finish else targets.new_secret()
        async with connected("notifier") as connection:
            await targets.rotate(connection, Sealing().seal(), target_id, made)
        typer.echo(f"secret  {made}" if made else "signed with the newest secret alone")

    run(work)


def test(target_id: UUID) -> None:
    """Send a test message to a target at once, with this environment's settings, and say how it went."""

    async def work() -> bool:
        async with connected("notifier") as connection:
            target = await target_store.target_of(connection, target_id)
        if target is None:
            raise ValueError("there is no such target")
        settings = ChannelSettings()
        refuse_wrong(settings)
        wires = wires_of(settings)
        try:
            outcome = await targets.test(wires, Sealing().seal(), target)
        finally:
            await wires.http.aclose()
        typer.echo(_said(outcome))
        return isinstance(outcome, Delivered)

    if not run(work):
        raise typer.Exit(1)


def _said(outcome: Outcome) -> str:
    match outcome:
        case Delivered():
            return "Delivered"
        case Retry(reason):
            return f"Retry: {reason}"
        case Dead(reason):
            return f"Dead: {reason}"
