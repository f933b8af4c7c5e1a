"""One-time links that acknowledge a case: what is in one, and whether it is ours and still good. Pure.

A link is the authority itself: whoever has it may acknowledge as the officer it was sent to, once, for a day.
It holds a delivery's id, its expiry and a keyed signature over both; nothing of the case.
"""

import base64
import hmac
import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from shared.privacy import Tokens

GOOD_FOR: Final = timedelta(hours=24)

_KIND: Final = "acknowledge-link"
_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]{52}")
_CLAIM_CHARACTERS: Final = 28
"""16 bytes of id and 5 of unix seconds are 28 characters of base64 without padding; 24 of signature follow."""
_ID_BYTES: Final = 16
_EXPIRY_BYTES: Final = 5


class Unusable(StrEnum):
    """Why a link is refused. Whoever shows it is not told which."""

    FORGED = "forged"
    EXPIRED = "expired"


def url(base: str, tokens: Tokens, delivery_id: UUID, until: datetime) -> str:
    """Return the link for a delivery: 55 characters and the base."""
    seconds = int(until.timestamp())
    claim = base64.urlsafe_b64encode(delivery_id.bytes + seconds.to_bytes(_EXPIRY_BYTES, "big")).decode()
    return f"{base.rstrip('/')}/a/{claim}{_signature(tokens, delivery_id, seconds)}"


def read(token: str, tokens: Tokens, now: datetime) -> UUID | Unusable:
    """Return the delivery a link was made for, or why it is not good."""
    if not _SHAPE.fullmatch(token):
        return Unusable.FORGED
    claim = base64.urlsafe_b64decode(token[:_CLAIM_CHARACTERS])
    delivery_id, seconds = UUID(bytes=claim[:_ID_BYTES]), int.from_bytes(claim[_ID_BYTES:], "big")
    if not hmac.compare_digest(token[_CLAIM_CHARACTERS:], _signature(tokens, delivery_id, seconds)):
        return Unusable.FORGED
    return delivery_id if now.astimezone(UTC).timestamp() < seconds else Unusable.EXPIRED


def _signature(tokens: Tokens, delivery_id: UUID, seconds: int) -> str:
    return tokens.of(_KIND, f"{delivery_id}:{seconds}")
