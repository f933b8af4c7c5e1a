"""How much a channel takes: what the providers publish, and what we make of it. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Channel(StrEnum):
    """The ways a message may take."""

    WEBHOOK = "webhook"
    MAIL = "mail"
    WECOM = "wecom"
    DINGTALK = "dingtalk"
    FEISHU = "feishu"
    SMS = "sms"
    SMPP = "smpp"


@dataclass(frozen=True, slots=True)
class Limits:
    """`burst` messages at once, then one every `every` seconds (0: as fast as they come).

    `together` deliveries become one message; `at_once` calls are in flight to one target.
    """

    burst: int = 1
    every: float = 0.0
    together: int = 1
    at_once: int = 1


TEXT_CHARACTERS: Final = 335
"""Of a short message: five parts of 67 characters, beside the header that joins them."""

AHEAD: Final = 32
"""Deliveries a courier takes at once for a webhook, which gets each by itself: fewer statements in a burst."""

PUBLISHED: Final = {
    Channel.WEBHOOK: Limits(at_once=8),
    Channel.MAIL: Limits(together=50),
    # 20 messages a minute and robot: 5 at once, then 15 a minute, never more than 20 in any minute
    Channel.WECOM: Limits(burst=5, every=4.0, together=100),
    # the same; whoever sends more is not heard for ten minutes
    Channel.DINGTALK: Limits(burst=5, every=4.0, together=100),
    # 100 messages a minute and 5 a second
    Channel.FEISHU: Limits(burst=3, every=0.65, together=100),
}


def limits_of(per_minute: int) -> dict[Channel, Limits]:
    """Return every channel's limits, where `per_minute` short messages may go to one phone."""
    burst = max(per_minute // 2, 1)
    text = Limits(burst=burst, every=60 / max(per_minute - burst, 1), together=20)
    return {**PUBLISHED, Channel.SMS: text, Channel.SMPP: text}
