"""Where a page's commands are typed: a folder that looks like the checkout while `make run` is up."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from deploy.local.config import DEFAULT_PORTS, HOST, OPS_PORTS, ROOT, free_port
from deploy.local.postgres import BIN
from tests.e2e.stack import Stack, running_stack

TOLD: Final = re.compile(r"DATABASE_URL|KAFKA_\w+|\w+_KEYS?|ALLOWED_PRIVATE_HOSTS|SMTP_URL|MAIL_FROM|PUBLIC_URL")
"""What a service is told and its commands need, as in a shell that is opened where it runs."""
OURS: Final = frozenset({".run", ".venv", ".git"})
PARTS: Final = {**DEFAULT_PORTS, **OPS_PORTS}
RECEIVERS: Final = range(9000, 9010)
PORT: Final = r"87\d\d|90\d\d"
WRITTEN: Final = (
    re.compile(rf"(?<=127\.0\.0\.1:)({PORT})\b"),
    re.compile(rf"(?<=localhost:)({PORT})\b"),
    re.compile(rf'(?<="127\.0\.0\.1", )({PORT})\b'),
    re.compile(rf"(?<=-p )({PORT})\b"),
)


@dataclass(frozen=True, slots=True)
class Addresses:
    """The ports that pages name, and those that the run has."""

    ports: dict[int, int]

    @classmethod
    def free(cls) -> Self:
        """Choose them: one for each part of a run, some for what pages start themselves."""
        return cls({port: free_port() for port in (*PARTS.values(), *RECEIVERS)})

    def environment(self) -> dict[str, str]:
        """Return what tells a run to use them."""
        return {f"LANJIE_{part.upper()}_PORT": str(self.ports[port]) for part, port in PARTS.items()}

    def real(self, text: str) -> str:
        """Return a page's text with the run's ports."""
        return _exchanged(text, self.ports)

    def usual(self, text: str) -> str:
        """Return what was printed with the usual ports."""
        there = {real: usual for usual, real in self.ports.items()}
        return re.sub(rf"(?<={re.escape(HOST)}:)\d+", lambda port: str(there.get(int(port[0]), port[0])), text)


def _exchanged(text: str, ports: dict[int, int]) -> str:
    for written in WRITTEN:
        text = written.sub(lambda port: str(ports.get(int(port[0]), port[0])), text)
    return text


@dataclass(frozen=True, slots=True)
class Run:
    """A run that pages are typed against."""

    stack: Stack
    addresses: Addresses

    def told(self, service: str) -> dict[str, str]:
        """Return the variables that a service has and its commands need."""
        return {name: value for name, value in self.stack.environment(service).items() if TOLD.fullmatch(name)}


@contextmanager
def a_run(folder: Path, told: dict[str, str]) -> Iterator[Run]:
    """Start a run on ports that are known before."""
    addresses = Addresses.free()
    with running_stack(folder, **{"KAFKA": "embedded", **addresses.environment(), **told}) as stack:
        yield Run(stack, addresses)


def checkout(scratch: Path, stack: Stack) -> Path:
    """Make a folder that looks like the checkout; what is written there stays there."""
    folder = scratch / "lanjie"
    folder.mkdir()
    for entry in ROOT.iterdir():
        if entry.name not in OURS:
            (folder / entry.name).symlink_to(entry)
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / ".run").symlink_to(stack.folder)
    return folder


def environment(scratch: Path, folder: Path, stack: Stack) -> dict[str, str]:
    """Return all that a page's shell is told. curl ends with an error where a door refuses."""
    home = scratch / "home"
    home.mkdir()
    (home / ".curlrc").write_text("fail-with-body\n", encoding="utf-8")
    databases = {f"DATABASE_OF_{service.upper()}": dsn for service, dsn in stack.info["databases"].items()}
    return {
        "PATH": f"{folder}/.venv/bin:{BIN}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "COLUMNS": "160",
        **databases,
    }
