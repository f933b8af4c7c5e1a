"""What every service is told by its environment."""

import base64
import os
import socket
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, FilePath, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict

from shared.broker_tls import Tls
from shared.privacy import Seal, Tokens

FOLDER: Final = "SECRETS_DIR"
"""Names a folder whose files are variables too, so that no secret has to stand in the environment."""


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


def told(name: str) -> str | None:
    """Return one variable: of the environment, else the file `name` (in small letters) in `SECRETS_DIR`."""
    folder = os.environ.get(FOLDER)
    path = Path(folder, name.lower()) if folder else None
    return os.environ.get(name) or (path.read_text(encoding="utf-8").strip() if path and path.is_file() else None)


class Told(BaseSettings):
    """Each field is an environment variable of the same name in capitals, else a file in `SECRETS_DIR`."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Look for the folder now, not when the module was imported."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, SecretsSettingsSource(settings_cls, secrets_dir=os.environ.get(FOLDER))


class BrokerFiles(Told):
    """How to speak with the brokers: in plain text, or over TLS with these PEM files."""

    kafka_ca_file: FilePath | None = None
    kafka_certificate_file: FilePath | None = None
    kafka_key_file: FilePath | None = None

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if (self.kafka_certificate_file is None) != (self.kafka_key_file is None):
            raise ValueError("KAFKA_CERTIFICATE_FILE and KAFKA_KEY_FILE go together")
        if self.kafka_certificate_file and self.kafka_ca_file is None:
            raise ValueError("KAFKA_CERTIFICATE_FILE needs KAFKA_CA_FILE, the authority of the brokers")
        return self

    def broker_tls(self) -> Tls | None:
        """Return what to show and whom to trust; None for plain text."""
        if self.kafka_ca_file is None:
            return None
        return Tls(self.kafka_ca_file, self.kafka_certificate_file, self.kafka_key_file)


class Settings(BrokerFiles):
    """What every service is told."""

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
