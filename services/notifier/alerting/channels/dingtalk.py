"""The DingTalk 钉钉 group robot: Markdown, signed with the robot's secret where it has one (加签)."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from services.notifier.alerting.channels.message import Message, title
from services.notifier.alerting.channels.outcome import Outcome
from services.notifier.alerting.channels.posting import Codes, post_to_robot
from services.notifier.alerting.channels.wires import Wires
from services.notifier.alerting.channels.words import markdown

MOST_BYTES: Final = 19_000
"""The whole request may have 20,000 bytes."""

CODES: Final = Codes(
    "dingtalk",
    slow={130101: 600, 410100: 60, 90030: 600},  # more than 20 a minute silence a robot for ten minutes
    # no such token or robot; stopped; an address that is no robot's; the group was dissolved
    dead=frozenset({300005, 400101, 400102, 400106, 400013, 40035}),
)
"""310000 (signature, keyword or address not accepted) is tried again: somebody can set it right."""


async def send(wires: Wires, url: str, secret: str | None, messages: tuple[Message, ...]) -> Outcome:
    """Send any number of messages as one."""
    content = {"msgtype": "markdown", "markdown": {"title": title(messages), "text": markdown(messages, MOST_BYTES)}}
    return await post_to_robot(wires, signed(url, secret, datetime.now(UTC)) if secret else url, content, CODES)


def signed(url: str, secret: str, now: datetime) -> str:
    """Return the address with timestamp (milliseconds) and signature: HMAC-SHA256 over both under the secret."""
    stamp = str(int(now.timestamp() * 1000))
    digest = hmac.digest(secret.encode(), f"{stamp}\n{secret}".encode(), hashlib.sha256)
    more = urlencode({"timestamp": stamp, "sign": base64.b64encode(digest).decode()})
    return f"{url}{'&' if '?' in url else '?'}{more}"
