"""Who is at a door: bearer credentials, looked up by their hash and trusted for a second."""

import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final, Generic, TypeVar

from starlette.requests import Request

from shared.errors import Refusal

BANK_KEY: Final = "lanjie_bank_"
OFFICER_TOKEN: Final = "lanjie_officer_"  # noqa: S105 - a prefix, not a secret
TRUST_SECONDS: Final = 1.0
"""A revoked credential is refused after at most this long."""

Holder = TypeVar("Holder")


def mint(prefix: str) -> str:
    """Make a credential: 256 random bits, so that a plain hash is enough to store."""
    return prefix + secrets.token_urlsafe(32)


def fingerprint(credential: str) -> bytes:
    """Return what is stored of a credential."""
    return hashlib.sha256(credential.encode()).digest()


class Doorkeeper(Generic[Holder]):
    """Knows who holds a credential. `look_up` returns the holder for a fingerprint, or nothing."""

    def __init__(self, look_up: Callable[[bytes], Awaitable[Holder | None]], prefix: str, other_prefix: str) -> None:
        self._look_up = look_up
        self._prefix = prefix
        self._other_prefix = other_prefix
        self._trusted: dict[bytes, tuple[Holder, float]] = {}

    async def holder(self, request: Request) -> Holder:
        """Return who shows this credential.

        Raises 401 where there is no valid one, and 403 where it is plainly the other door's.
        """
        digest = self.shown(request)
        now = time.monotonic()
        trusted = self._trusted.get(digest)
        if trusted is not None and now < trusted[1]:
            return trusted[0]
        self._trusted.pop(digest, None)
        found = await self._look_up(digest)
        if found is None:
            raise unauthorized()
        self._trusted[digest] = (found, now + TRUST_SECONDS)
        return found

    def shown(self, request: Request) -> bytes:
        """Return the fingerprint of the credential that is shown, whoever's it is; raises as `holder` does."""
        scheme, _, credential = request.headers.get("authorization", "").partition(" ")
        credential = credential.strip()
        if credential.startswith(self._other_prefix):
            raise Refusal(HTTPStatus.FORBIDDEN, "This credential belongs to the other door; use one of this door's.")
        if scheme.lower() != "bearer" or not credential.startswith(self._prefix) or not credential.isascii():
            raise unauthorized()
        return fingerprint(credential)


def unauthorized() -> Refusal:
    """Refuse whoever does not show a valid credential."""
    return Refusal(
        HTTPStatus.UNAUTHORIZED,
        "Show a valid credential: 'Authorization: Bearer …'. It may be missing, unknown, revoked or expired.",
        headers={"WWW-Authenticate": "Bearer"},
    )
