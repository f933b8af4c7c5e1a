"""The webhook channel: one message, signed by the Standard Webhooks rules, posted to a system of the target's own."""

import base64
import json
from datetime import UTC, datetime
from typing import Final

import httpx2
from standardwebhooks.webhooks import Webhook

from services.notifier.alerting.channels.message import Message
from services.notifier.alerting.channels.outcome import Outcome, Retry
from services.notifier.alerting.channels.posting import post
from services.notifier.alerting.channels.wires import Wires

HIGHEST_PORT: Final = 65_535


def refuse_useless(url: str, secret: str) -> None:
    """Raise `ValueError` where an address cannot be posted to, or a secret cannot sign."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError as error:
        raise ValueError("a webhook needs a URL, and a secret in base64 after whsec_") from error
    refuse_unreachable(url)
    if not key:
        raise ValueError("a webhook needs a secret that is not empty")


def refuse_unreachable(url: str) -> None:
    """Raise `ValueError` where nothing can be posted to an address."""
    try:
        address = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError) as error:
        raise ValueError("a webhook needs a URL") from error
    plain = address.scheme in ("http", "https") and not address.userinfo and url.isascii() and url.isprintable()
    if not plain or not address.host or " " in url or (address.port or 0) > HIGHEST_PORT:
        raise ValueError("a webhook needs an http(s) URL that names a host and a port there is, and no password")


async def send(wires: Wires, url: str, secrets: str, message: Message) -> Outcome:
    """Post one message. The id is the message's at every try, so that the receiver can tell a repetition.

    Of several secrets, with spaces between, each signs: whoever knows one of them can verify.
    """
    now = datetime.now(UTC)
    content = {"type": message.type, "timestamp": now.isoformat(), "data": message.facts}
    body = json.dumps(content, ensure_ascii=False)
    headers = {
        "content-type": "application/json",
        "webhook-id": str(message.id),
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(one).sign(str(message.id), now, body) for one in secrets.split()),
    }
    if message.traceparent:
        headers["traceparent"] = message.traceparent
    reply = await post(wires, url, headers, body.encode())
    return reply if isinstance(reply, Retry) else reply.outcome()
