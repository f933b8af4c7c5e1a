"""Who is at the banks' door, and how often they may knock."""

import hashlib
import math
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from starlette.requests import Request

from shared.errors import Refusal
from shared.http import bearer, unauthorized

BANK_KEY_PREFIX: Final = "lanjie_bank_"
OFFICER_TOKEN_PREFIX: Final = "lanjie_officer_"
TRUST_SECONDS: Final = 1.0
"""A revoked key is refused after at most this long."""


class Gate:
    """Knows banks by their keys. `look_up` returns the bank of a key's SHA-256, or nothing."""

    def __init__(self, look_up: Callable[[bytes], Awaitable[str | None]], per_second: float, burst: float) -> None:
        self._look_up = look_up
        self._per_second = per_second
        self._burst = burst
        self._known: dict[bytes, tuple[str, float]] = {}
        self._allowance: dict[str, tuple[float, float]] = {}

    async def admit(self, request: Request, posts: int = 0) -> str:
        """Return the code of the bank whose key the request shows, charging it for `posts` reports."""
        key = bearer(request, BANK_KEY_PREFIX, OFFICER_TOKEN_PREFIX)
        digest = hashlib.sha256(key.encode()).digest()
        now = time.monotonic()
        bank, until = self._known.get(digest, ("", 0.0))
        if now >= until:
            found = await self._look_up(digest)
            if found is None:
                self._known.pop(digest, None)
                raise unauthorized()
            bank = found
            self._known[digest] = (bank, now + TRUST_SECONDS)
        if posts:
            self.charge(bank, posts)
        return bank

    def charge(self, bank: str, posts: int) -> None:
        """Take `posts` from the bank's allowance (a token bucket); refuse where there are too few left."""
        now = time.monotonic()
        left, then = self._allowance.get(bank, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._per_second)
        if left < posts:
            self._allowance[bank] = (left, now)
            wait = max(1, math.ceil((posts - left) / self._per_second))
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"This bank may post {self._per_second:g} reports a second; send this again in {wait} s.",
                headers={"Retry-After": str(wait)},
            )
        self._allowance[bank] = (left - posts, now)
