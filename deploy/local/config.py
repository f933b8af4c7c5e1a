"""The local run: where things are, which ports they use, and the secrets they were given."""

import base64
import importlib.util
import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from shared.access import BANK_KEY, OFFICER_TOKEN, mint

ROOT: Final = Path(__file__).parent.parent.parent
REFERENCE: Final = ROOT / "deploy" / "reference"
SERVICES: Final = ("intake", "rules", "notifier")
DEFAULT_PORTS: Final = {"intake": 8701, "rules": 8702, "notifier": 8703, "postgres": 8704, "kafka": 8705, "mail": 8706}
APACHE_PORTS: Final = {
    "kafka_controller": 8707,
    "kafka2": 8708,
    "kafka2_controller": 8709,
    "kafka3": 8710,
    "kafka3_controller": 8711,
}
OPS_PORTS: Final = {"prometheus": 8712, "alertmanager": 8713}
KAFKAS: Final = ("embedded", "apache")
CLUSTERS: Final = (1, 3)
HOST: Final = "127.0.0.1"


def packaged(package: str, *parts: str) -> Path:
    """Return the path of a file inside an installed package, without running the package's own code."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise CannotRunError(f"The package {package} is missing; 'make run' installs it from requirements.txt.")
    return Path(spec.origin).parent.joinpath(*parts)


class CannotRunError(Exception):
    """The local run cannot start; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Broker:
    """One node of the local Kafka. The embedded broker has no controller."""

    number: int
    port: int
    controller_port: int = 0

    @property
    def name(self) -> str:
        """The supervisor's name of it: `kafka`, `kafka2`, `kafka3`."""
        return "kafka" if self.number == 1 else f"kafka{self.number}"


@dataclass(frozen=True, slots=True)
class Local:
    """One local run. Everything it writes is under `folder`.

    `apache`: Apache Kafka instead of the embedded broker. `ops`: Prometheus and Alertmanager beside it.
    """

    folder: Path
    ports: dict[str, int]
    secrets: dict[str, Any]
    apache: bool = False
    brokers: tuple[Broker, ...] = ()
    ops: bool = False

    @classmethod
    def from_environment(cls) -> Self:
        """Read `LANJIE_RUN_DIR` and `LANJIE_<PART>_PORT`; make the folder and the secrets where they are missing."""
        folder = Path(os.environ.get("LANJIE_RUN_DIR", ROOT / ".run")).absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "logs").mkdir(exist_ok=True)
            made = _secrets(folder / "secrets.json")
        except (OSError, ValueError) as error:
            raise CannotRunError(
                f"The data folder {folder} cannot be read or written ({type(error).__name__}). "
                "Make it yours, name another one with LANJIE_RUN_DIR, or forget it with 'make clean'."
            ) from error
        apache, count = _kafka()
        ops = os.environ.get("OPS", "0") != "0"
        more = dict(list(APACHE_PORTS.items())[: 2 * count - 1]) if apache else {}
        ports = _ports({**DEFAULT_PORTS, **more, **(OPS_PORTS if ops else {})})
        return cls(folder, ports, made, apache, tuple(_brokers(ports, count)), ops)

    def url(self, service: str) -> str:
        """Return the address of a service's door."""
        return f"http://{HOST}:{self.ports[service]}"

    def dsn(self, database: str) -> str:
        """Return the address of a database, with the password of this run."""
        return f"postgresql://postgres:{self.secrets['postgres']}@{HOST}:{self.ports['postgres']}/{database}"

    @property
    def kafka(self) -> str:
        """The brokers' addresses."""
        return ",".join(f"{HOST}:{broker.port}" for broker in self.brokers)

    def environment(self, service: str) -> dict[str, str]:
        """Return what a service is told: the keys it needs, and no other."""
        told = {
            "DATABASE_URL": self.dsn(service),
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka,
            "KAFKA_REPLICAS": str(len(self.brokers)),
            "HOST": HOST,
            "PORT": str(self.ports[service]),
            "NARRATIVE_KEYS": f"n1:{self.secrets['narrative_key']}",
        }
        if service != "rules":
            told["IDENTITY_KEYS"] = f"i1:{self.secrets['identity_key']}"
            told["TOKEN_KEY"] = self.secrets["token_key"]
        if service == "notifier":
            told["ALLOWED_PRIVATE_HOSTS"] = HOST
            told["SMTP_URL"] = f"smtp://{HOST}:{self.ports['mail']}"
            told["MAIL_FROM"] = "lanjie@police.example"
            told["PUBLIC_URL"] = self.url("notifier")
        return told

    def credentials(self, banks: list[str], officers: list[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return a key a bank and a token an officer, the same at every run with this folder."""
        for bank in banks:
            self.secrets["bank_keys"].setdefault(bank, mint(BANK_KEY))
        for name in officers:
            self.secrets["officer_tokens"].setdefault(name, mint(OFFICER_TOKEN))
        _write(self.folder / "secrets.json", self.secrets)
        return self.secrets["bank_keys"], self.secrets["officer_tokens"]


def _kafka() -> tuple[bool, int]:
    """Return whether Apache Kafka is wanted, and how many brokers."""
    kind, text = os.environ.get("KAFKA", "embedded"), os.environ.get("KAFKA_BROKERS", "1")
    if kind not in KAFKAS:
        raise CannotRunError(f"KAFKA is {kind!r}; it must be one of {', '.join(KAFKAS)}.")
    if text not in map(str, CLUSTERS):
        raise CannotRunError(f"KAFKA_BROKERS is {text!r}; it must be {' or '.join(map(str, CLUSTERS))}.")
    if kind == "embedded" and text != "1":
        raise CannotRunError("The embedded broker is always one; KAFKA_BROKERS=3 needs KAFKA=apache.")
    return kind == "apache", int(text)


def _brokers(ports: dict[str, int], count: int) -> Iterator[Broker]:
    for number in range(1, count + 1):
        name = Broker(number, 0).name
        yield Broker(number, ports[name], ports.get(f"{name}_controller", 0))


def _ports(wanted: dict[str, int]) -> dict[str, int]:
    ports = {}
    for part, usual in wanted.items():
        name = f"LANJIE_{part.upper()}_PORT"
        text = os.environ.get(name, str(usual))
        if not text.isdigit() or int(text) > 65535:  # noqa: PLR2004 - the highest port
            raise CannotRunError(f"{name} is {text!r}; it must be a port number, or 0 for any free one.")
        ports[part] = int(text) or free_port()
    return ports


def free_port() -> int:
    """Return a port nobody uses just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def refuse_taken_ports(ports: dict[str, int]) -> None:
    """Raise where somebody else listens on a port we need."""
    taken = [part for part, port in ports.items() if not _is_free(port)]
    if taken:
        which = ", ".join(f"{ports[part]} ({part})" for part in taken)
        move = " ".join(f"LANJIE_{part.upper()}_PORT=…" for part in taken)
        raise CannotRunError(
            f"In use by somebody else: port {which}. End what uses it ('make stop' ends a run of this checkout), "
            f"or move ours (0 takes any free one): {move} make run"
        )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _secrets(path: Path) -> dict[str, Any]:
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    made = {
        "postgres": secrets.token_urlsafe(18),
        **{
            f"{name}_key": base64.b64encode(secrets.token_bytes(32)).decode()
            for name in ("token", "identity", "narrative")
        },
        "bank_keys": {},
        "officer_tokens": {},
    }
    _write(path, made)
    return made


def _write(path: Path, content: dict[str, Any]) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, indent=2)


@contextmanager
def announced(local: Local) -> Iterator[None]:
    """Have `lanjie.json` only while the run is up, so that nobody is sent to doors that are closed."""
    path = local.folder / "lanjie.json"
    path.unlink(missing_ok=True)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def write_lanjie_json(local: Local, content: dict[str, Any]) -> Path:
    """Write what a client of this run needs to know, in one piece."""
    path = local.folder / "lanjie.json"
    _write(path.with_suffix(".new"), content)
    path.with_suffix(".new").replace(path)
    return path
