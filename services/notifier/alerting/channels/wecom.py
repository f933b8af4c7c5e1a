"""The WeCom 企业微信 group robot: Markdown to the address that holds its key. It has no signature."""

from typing import Final

from services.notifier.alerting.channels.message import Message
from services.notifier.alerting.channels.outcome import Outcome
from services.notifier.alerting.channels.posting import Codes, post_to_robot
from services.notifier.alerting.channels.wires import Wires
from services.notifier.alerting.channels.words import markdown

MOST_BYTES: Final = 4096

CODES: Final = Codes(
    "wecom",
    slow={45009: 60, 45033: 5},  # more than 20 a minute; too many at once
    dead=frozenset({93000, 40058, 45002}),  # no such robot (any more); parameters it will never take; too long
)


async def send(wires: Wires, url: str, messages: tuple[Message, ...]) -> Outcome:
    """Send any number of messages as one."""
    content = {"msgtype": "markdown", "markdown": {"content": markdown(messages, MOST_BYTES)}}
    return await post_to_robot(wires, url, content, CODES)
