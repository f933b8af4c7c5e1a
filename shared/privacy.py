"""Personal data: tokens to join on, seals to travel in, masks to be seen.

A token is a keyed hash: equal numbers give equal tokens, and without the key nothing can be guessed
from one. A seal is AES-256-GCM under a named key, bound to what it is about, so that a sealed text
cannot be moved to another record. A mask is what a screen or an alert may show.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES: Final = 12
TOKEN_BYTES: Final = 18
SHORTEST_SHOWN: Final = 8


class SealBrokenError(Exception):
    """A sealed text cannot be opened: its key is not configured, or it was altered or moved.

    Check that every service has the same seal keys, retired ones included.
    """


class Tokens:
    """Makes keyed tokens. Changing the key makes all earlier tokens unfindable."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, kind: str, value: str) -> str:
        """Return the token of `value`; tokens of different kinds never meet."""
        digest = hmac.digest(self._key, f"{kind}\0{value}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest[:TOKEN_BYTES]).decode()

    def digest(self, body: bytes) -> bytes:
        """Return a keyed digest, to compare bodies without keeping them."""
        return hmac.digest(self._key, b"body\0" + body, hashlib.sha256)


class Seal:
    """Seals and opens one kind of personal data. The first key seals; all of them open."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._current = next(iter(keys))
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}

    def seal(self, text: str, about: str) -> str:
        """Seal `text`, bound to `about` (the id of the record it belongs to)."""
        nonce = os.urandom(NONCE_BYTES)
        data = self._ciphers[self._current].encrypt(nonce, text.encode(), about.encode())
        return f"{self._current}.{base64.b64encode(nonce + data).decode()}"

    def open(self, sealed: str, about: str) -> str:
        """Open what was sealed about `about`; raise `SealBrokenError` where that cannot be."""
        key_id, _, data = sealed.partition(".")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SealBrokenError(f"no key {key_id!r} is configured for this seal")
        try:
            raw = base64.b64decode(data, validate=True)
            return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], about.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise SealBrokenError("the sealed text was altered, cut or belongs to another record") from error


def mask_name(name: str) -> str:
    """`王小明` → `王**`: the surname is enough to ask for the right person. A single character shows nothing."""
    return name[:1] + "*" * min(len(name) - 1, 3) if len(name) > 1 else "*"


def mask_number(number: str) -> str:
    """`6222021234567890` → `****7890`: the last four digits, as on a receipt, if more than those stay hidden."""
    return f"****{number[-4:]}" if len(number) >= SHORTEST_SHOWN else "****"
