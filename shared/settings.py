"""What every service is told by its environment."""

import base64
import socket
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.privacy import Seal, Tokens


def _keys(text: str) -> str:
    read_keys(text)
    return text


def read_keys(text: str) -> dict[str, bytes]:
    """Read `id:base64,id:base64`; the first key seals, the rest only open."""
    keys = {}
    for entry in text.split(","):
        key_id, _, value = entry.partition(":")
        key = base64.b64decode(value, validate=True)
        if not key_id or len(key) != 32:  # noqa: PLR2004 - AES-256
            raise ValueError("a key is written id:base64, of 32 bytes")
        keys[key_id] = key
    return keys


Keys = Annotated[str, AfterValidator(_keys)]


class Settings(BaseSettings):
    """Each field is an environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    database_url: str
    database_connections: int = Field(default=8, ge=3)
    kafka_bootstrap_servers: str
    kafka_partitions: int = Field(default=4, ge=1)
    kafka_replicas: int = Field(default=1, ge=1)
    host: str = "127.0.0.1"
    port: int
    narrative_keys: Keys
    instance_id: str = ""
    watchdog_seconds: float = Field(default=60, gt=0)
    reconcile_every_seconds: float = Field(default=60, gt=0)
    reconcile_after_seconds: float = Field(default=120, gt=0)
    reconcile_hours: int = Field(default=48, ge=1)
    reconcile_most: int = Field(default=5000, ge=1)
    letters_kept_days: int = Field(default=365, ge=31)

    def instance(self, service: str) -> str:
        """Return the name of this replica among its like: INSTANCE_ID, or host and port, which no two share."""
        return self.instance_id or f"{service}-{socket.gethostname()}-{self.port}"

    def narrative(self) -> Seal:
        """Return the seal of notes and purposes."""
        return Seal(read_keys(self.narrative_keys))


class IdentitySettings(Settings):
    """What the two services with a door need besides: the keys of names and numbers, and of their tokens."""

    identity_keys: Keys
    token_key: str

    def identity(self) -> Seal:
        """Return the seal of names and numbers."""
        return Seal(read_keys(self.identity_keys))

    def tokens(self) -> Tokens:
        """Return the maker of tokens; only who sees the numbers can make them."""
        return Tokens(base64.b64decode(self.token_key, validate=True))
