"""Targets as operators handle them: what can be one, what is shown of it, a test message."""

import base64
import re
import secrets
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import httpx2

from services.notifier.alerting import target_store
from services.notifier.alerting.channels.limits import Channel
from services.notifier.alerting.channels.message import TEST, Message
from services.notifier.alerting.channels.outcome import Cause, Outcome, Retry
from services.notifier.alerting.channels.sending import send
from services.notifier.alerting.channels.webhook import refuse_unreachable, refuse_useless
from services.notifier.alerting.channels.wires import Wires
from services.notifier.alerting.target_store import Owner, Target
from shared.outbox import new_id
from shared.postgres import RawConnection
from shared.privacy import Seal, SealBrokenError, mask_number

MAIL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
PHONE: Final = re.compile(r"\+?[0-9]{5,15}")
SIGNED: Final = (Channel.WEBHOOK, Channel.DINGTALK, Channel.FEISHU)


def new_secret() -> str:
    """Make a secret to sign webhooks with."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


async def rotate(connection: RawConnection, identity: Seal, target_id: UUID, secret: str | None) -> None:
    """Have a webhook's messages signed with a further secret beside its newest one; without one, with its newest alone.

    Raises `ValueError` where there is no such webhook or somebody else rotates it just now, `SealBrokenError` where
    its secret cannot be opened.
    """
    target = await target_store.target_of(connection, target_id)
    if target is None or target.channel != Channel.WEBHOOK or target.sealed_secret is None:
        raise ValueError("there is no such webhook")
    about = str(target_id)
    newest = identity.open(target.sealed_secret, about).split()[0]
    sealed = identity.seal(f"{secret} {newest}" if secret else newest, about)
    if not await target_store.replace_secret(connection, target_id, target.sealed_secret, sealed):
        raise ValueError("somebody else rotates this webhook just now; look, then try again")


def refuse_wrong(channel: Channel, address: str, secret: str | None) -> None:
    """Raise `ValueError` where nothing could be sent with these."""
    if secret is not None and channel not in SIGNED:
        raise ValueError(f"{channel} knows no secret")
    match channel:
        case Channel.WEBHOOK:
            refuse_useless(address, secret or "")
        case Channel.MAIL:
            if not MAIL.fullmatch(address):
                raise ValueError("a mail address is name@host")
        case Channel.SMS | Channel.SMPP:
            if not PHONE.fullmatch(address):
                raise ValueError("a phone number is 5 to 15 digits, after a + where it is international")
        case _:
            refuse_unreachable(address)


def shown(channel: Channel, address: str) -> str:
    """Return what people may see of an address: a host (and port), a mail address or number mostly hidden."""
    match channel:
        case Channel.MAIL:
            local, _, domain = address.rpartition("@")
            return f"{local[:1]}***@{domain}"
        case Channel.SMS | Channel.SMPP:
            return mask_number(address)
        case _:
            url = httpx2.URL(address)
            return url.host if url.port is None else f"{url.host}:{url.port}"


async def add(  # noqa: PLR0913 - a target is that much
    connection: RawConnection,
    identity: Seal,
    owner: tuple[Owner, str],
    channel: Channel,
    address: str,
    secret: str | None = None,
    *,
    position: int = 1,
    delay_seconds: int = 0,
) -> UUID:
    """Send an owner's messages to an address. Return the target's id.

    Raises `ValueError` where there is no such owner, or nothing could be sent with these.
    """
    refuse_wrong(channel, address, secret)
    owner_id = await target_store.owner_id(connection, *owner)
    if owner_id is None:
        raise ValueError(f"there is no {owner[0]} {owner[1]}")
    target_id = new_id()
    target = Target(
        target_id,
        owner[0],
        owner_id,
        channel,
        identity.seal(address, str(target_id)),
        identity.seal(secret, str(target_id)) if secret else None,
        shown(channel, address),
        position,
        delay_seconds,
    )
    await target_store.insert_target(connection, target)
    return target_id


def opened(target: Target, identity: Seal) -> tuple[str, str | None]:
    """Return a target's address and secret. Raises `SealBrokenError` where they cannot be opened."""
    about = str(target.id)
    clear = target.channel == Channel.WEBHOOK and target.address.startswith("http")  # from before targets
    address = target.address if clear else identity.open(target.address, about)
    return address, target.sealed_secret and identity.open(target.sealed_secret, about)


async def test(wires: Wires, identity: Seal, target: Target) -> Outcome:
    """Send a test message at once; return how it went."""
    facts = {"kind": "test", "sent_at": datetime.now(UTC).isoformat()}
    try:
        address, secret = opened(target, identity)
    except SealBrokenError:
        return Retry("the target's address or secret cannot be opened", Cause.SETTING)
    return await send(wires, target.channel, address, secret, (Message(new_id(), TEST, facts),))
