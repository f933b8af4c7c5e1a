"""One bash a page: its blocks are sourced one after the other, so that variables, functions and the folder stay."""

import os
import select
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.docs.blocks import Block

STRICT = "set -euo pipefail"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a block ended. `code`: None where it was not done in time."""

    code: int | None
    printed: str


class PageShell:
    """A bash in a folder. What it starts ends with it."""

    def __init__(self, folder: Path, notes: Path, environment: dict[str, str]) -> None:
        self._notes, self._count = notes, 0
        self._codes, theirs = os.pipe()
        self._bash = subprocess.Popen(
            ["/bin/bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=environment,
            pass_fds=[theirs],
            start_new_session=True,  # a group of its own, to be ended as one
            text=True,
        )
        os.close(theirs)
        self._tell = f">&{theirs}"
        self._closed = f"{theirs}>&-"
        self._background: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._bash.pid, signal.SIGKILL)
        self._bash.wait()
        assert self._bash.stdin is not None
        self._bash.stdin.close()
        os.close(self._codes)

    def tell(self, told: dict[str, str]) -> None:
        """Export variables."""
        self._send("export " + " ".join(f"{name}={shlex.quote(value)}" for name, value in told.items()))

    def run(self, block: Block, text: str, *, apart: bool = False) -> Ended:
        """Run a block and wait for its end. `apart`: nothing of it stays, and an error ends nothing."""
        command, out = self._prepared(block, text)
        if apart:
            self._send(f"( {STRICT}; {command} ) >{out} 2>&1 {self._closed}; echo $? {self._tell}")
        else:
            self._send(f"{STRICT}; {command} >{out} 2>&1; set +eu; echo 0 {self._tell}")
        return Ended(self._code(block.seconds), Path(out).read_text(encoding="utf-8") if Path(out).exists() else "")

    def start(self, block: Block, text: str) -> None:
        """Run a block beside what comes."""
        command, out = self._prepared(block, text)
        self._background = Path(out)
        self._background.touch()
        self._send(f"( {STRICT}; {command} ) >{out} 2>&1 {self._closed} & echo 0 {self._tell}")
        self._code(block.seconds)

    def background(self) -> str:
        """Return what the last block in the background has printed so far."""
        assert self._background is not None, "no block runs in the background"
        return self._background.read_text(encoding="utf-8")

    def _prepared(self, block: Block, text: str) -> tuple[str, str]:
        self._count += 1
        path = self._notes / f"{self._count}.{block.language}"
        path.write_text(text, encoding="utf-8")
        quoted = shlex.quote(str(path))
        match block.language:
            case "python":
                command = f"python -u - <{quoted}"
            case "sql":
                told = f"PGOPTIONS=-csearch_path={block.detail} psql -X -q -v ON_ERROR_STOP=1"
                command = f'{told} -f {quoted} "$DATABASE_OF_{block.detail.upper()}" </dev/null'
            case _:
                command = f". {quoted} </dev/null"
        return command, shlex.quote(str(path.with_suffix(".out")))

    def _send(self, line: str) -> None:
        assert self._bash.stdin is not None
        self._bash.stdin.write(line + "\n")
        self._bash.stdin.flush()

    def _code(self, seconds: float) -> int | None:
        """Return the code that was told; bash's own where it ended, as `set -e` lets it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if select.select([self._codes], [], [], 0.05)[0] and (told := os.read(self._codes, 64)):
                return int(told.split()[0])
            if (code := self._bash.poll()) is not None:
                return code
        return None
