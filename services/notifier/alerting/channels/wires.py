"""What the channels call out with: settings of the environment, one pool of connections, one turn at the SMS centre."""

import asyncio
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import httpcore2
import httpx2
from pydantic import Field

from services.notifier.alerting.channels.destination import CheckedBackend
from services.notifier.alerting.channels.limits import Channel
from shared.settings import Told

TIMEOUT_SECONDS: Final = 5.0
IDLE_CONNECTIONS: Final = 200
IDLE_SECONDS: Final = 15.0


class ChannelSettings(Told):
    """A channel without its own is not there."""

    smtp_url: str = ""
    mail_from: str = ""
    sms_url: str = ""
    sms_token: str = ""
    sms_per_minute: int = Field(default=6, ge=2)
    smpp_url: str = ""
    allowed_private_hosts: str = ""
    public_url: str = ""

    def missing(self, channel: Channel) -> str | None:
        """Return which variables a channel needs and has not, as a sentence; None where it has all."""
        needed = {
            Channel.MAIL: {"SMTP_URL": self.smtp_url, "MAIL_FROM": self.mail_from},
            Channel.SMS: {"SMS_URL": self.sms_url},
            Channel.SMPP: {"SMPP_URL": self.smpp_url},
        }.get(channel, {})
        names = [name for name, value in needed.items() if not value]
        return f"{channel} is not configured: set {' and '.join(names)}" if names else None

    def allowed(self) -> frozenset[str]:
        """Return the hosts that may be in a private network: the named ones, and our own SMS gateway."""
        named = {host.strip().lower() for host in self.allowed_private_hosts.split(",")}
        return frozenset((named | {urlsplit(self.sms_url).hostname or ""}) - {""})


@dataclass(frozen=True, slots=True)
class Wires:
    """Shared by all channels of one courier. `timeout` is for a whole call, in seconds."""

    settings: ChannelSettings
    http: httpcore2.AsyncConnectionPool
    timeout: float = TIMEOUT_SECONDS
    smpp_turn: asyncio.Lock = field(default_factory=asyncio.Lock)


def wires_of(settings: ChannelSettings, timeout_seconds: float = TIMEOUT_SECONDS) -> Wires:
    """Lay the wires; whoever does closes `http`. No proxy of the environment is used, since it would resolve names."""
    pool = httpcore2.AsyncConnectionPool(
        ssl_context=httpx2.create_ssl_context(),  # once; also reads SSL_CERT_FILE, for authorities of one's own
        max_connections=None,
        max_keepalive_connections=IDLE_CONNECTIONS,
        keepalive_expiry=IDLE_SECONDS,
        network_backend=CheckedBackend(settings.allowed()),
    )
    return Wires(settings, pool, timeout_seconds)
