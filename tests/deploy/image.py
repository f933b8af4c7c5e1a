"""Does what the Dockerfile says without an engine: its instructions, in a scratch folder that stands for the root.

It knows the instructions and the form of them that our Dockerfile uses, and refuses any other.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from deploy.local.config import ROOT

DOCKERFILE: Final = ROOT / "deploy" / "Dockerfile"
BUILD_SECONDS: Final = 600


@dataclass(slots=True)
class Stage:
    """One `FROM` with what follows."""

    name: str
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        """Return what follows each use of an instruction."""
        return [rest for one, rest in self.instructions if one == word]


def stages() -> list[Stage]:
    """Read the Dockerfile."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found: list[Stage] = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if not line.strip():
            continue
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(name, base))
        else:
            found[-1].instructions.append((word, rest.strip()))
    return found


def health_command() -> list[str]:
    """Return the command of the image's HEALTHCHECK."""
    (check,) = stages()[-1].all("HEALTHCHECK")
    command: list[str] = json.loads(check.partition("CMD ")[2])
    return command


@dataclass(frozen=True, slots=True)
class Image:
    """What the image would hold, under a folder in place of its root."""

    root: Path

    def run(self, command: Sequence[str], **environment: str) -> "subprocess.Popen[bytes]":
        """Start a command as the image would: by the last stage's environment and folder, as its user."""
        told = {"PATH": f"{self.root}/opt/lanjie/bin:/usr/bin:/bin", "HOST": "127.0.0.1", **environment}
        program = shutil.which(command[0], path=told["PATH"])
        assert program, f"{command[0]} is not in the image"
        words = [*_as_the_user(), program, *command[1:]]
        return subprocess.Popen(
            words, cwd=self.root / "app", env=told, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )


def _as_the_user() -> list[str]:
    """Become the image's user where we may; whoever else we are may not write to the tree either."""
    (user,) = stages()[-1].all("USER")
    uid, gid = user.split(":")
    return ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"] if os.geteuid() == 0 else []


def build(root: Path) -> Image:
    """Carry out the stage that installs, and make all of it read-only."""
    _, stage, _ = stages()
    here = root / "app"
    for word, rest in stage.instructions:
        match word:
            case "WORKDIR":
                here = _at(root, rest)
                here.mkdir(parents=True)
            case "COPY":
                *names, target = rest.split()
                for name in names:
                    _copy(name, here / target if len(names) == 1 and target != "./" else here / name)
            case "RUN":
                _run(root, here, rest)
            case "ENV":  # where pip keeps what it downloads is the test's own affair
                pass
            case _:
                raise AssertionError(f"{word} is not known here")
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            path.chmod((path.stat().st_mode | (0o555 if path.is_dir() else 0o444)) & ~0o222)
    return Image(root)


def _at(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _run(root: Path, here: Path, script: str) -> None:
    placed = re.sub(r"(?<![\w/.])/opt/lanjie\b", f"{root}/opt/lanjie", script).replace(
        "python -m venv", f"{sys.executable} -m venv"
    )
    told = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        ["/bin/sh", "-euc", placed],
        cwd=here,
        env=told,
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_SECONDS,
    )
    assert not done.returncode, (done.stdout + done.stderr)[-3000:]


def _copy(name: str, target: Path) -> None:
    source = ROOT / name
    assert _let_through(name), f".dockerignore keeps {name} away"
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _let_through(name: str) -> bool:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines, "everything is kept away, but for what is named"
    return f"!{name}" in lines


def sizes(image: Image) -> Iterator[tuple[str, int]]:
    """Return what the image holds above its base, and how many bytes."""
    packages = next((image.root / "opt" / "lanjie" / "lib").glob("python*/site-packages"))
    for path in sorted(packages.iterdir()):
        yield path.name, _bytes(path)
    yield "bin", _bytes(image.root / "opt" / "lanjie" / "bin")
    yield "app", _bytes(image.root / "app")


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file() and not one.is_symlink()]
    return sum(one.stat().st_size for one in files)
