"""The Feishu 飞书 group robot: a card of Markdown, signed in its body where the robot has a secret."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any, Final

from services.notifier.alerting.channels.message import Message, title
from services.notifier.alerting.channels.outcome import Outcome
from services.notifier.alerting.channels.posting import Codes, post_to_robot
from services.notifier.alerting.channels.wires import Wires
from services.notifier.alerting.channels.words import markdown

MOST_BYTES: Final = 18_000
"""The whole request may have 20 KB (a card of an application 30 KB)."""

CODES: Final = Codes(
    "feishu",
    slow={11232: 10, 99991400: 10},  # more than 100 a minute or 5 a second
    dead=frozenset({19001, 19002, 19007}),  # no such address (any more); content it will never take; switched off
)
"""19021 (signature), 19022 (address) and 19024 (keyword) are tried again: somebody can set it right.

So is 9499: it stood for too many requests before 11232 did, and stands for a bad one now.
"""


async def send(wires: Wires, url: str, secret: str | None, messages: tuple[Message, ...]) -> Outcome:
    """Send any number of messages as one."""
    card = {
        "header": {"title": {"tag": "plain_text", "content": title(messages)}, "template": "red"},
        "elements": [{"tag": "markdown", "content": markdown(messages, MOST_BYTES)}],
    }
    content: dict[str, Any] = {"msg_type": "interactive", "card": card}
    if secret:
        content |= signature(secret, datetime.now(UTC))
    return await post_to_robot(wires, url, content, CODES)


def signature(secret: str, now: datetime) -> dict[str, str]:
    """Return timestamp (seconds) and signature: HMAC-SHA256 of nothing under both, as Feishu has it."""
    stamp = str(int(now.timestamp()))
    digest = hmac.digest(f"{stamp}\n{secret}".encode(), b"", hashlib.sha256)
    return {"timestamp": stamp, "sign": base64.b64encode(digest).decode()}
