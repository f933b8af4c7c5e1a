"""Walks a door with schemathesis: every call, well-formed and not, one by one and in sequence, every check on."""

import asyncio
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deploy.local.config import ROOT
from tests.e2e.stack import Stack

HERE: Final = Path(__file__).parent
SEED: Final = 20261122
LINKS: Final = re.compile(r"API Links: +([0-9]+) covered")


@dataclass(frozen=True, slots=True)
class Size:
    """How long a walk is: cases a call and phase, and seconds at most for all that is random."""

    examples: int
    seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Walked:
    """What came of a walk: cases sent, failures, links followed, all that was said, whether every call was tried."""

    cases: int
    failures: int
    links: int
    said: str
    whole: bool


async def walk(stack: Stack, door: str, known: dict[str, list[str]], size: Size, seed: int = SEED) -> Walked:
    """Walk a door of a run, with the ids that are `known` there; reports go to the run's folder."""
    identities, report = _files(stack, door)
    words = ["--config-file", str(HERE / f"{door}.toml"), "run", str(_document(door)), "--seed", str(seed)]
    words += ["--max-examples", str(size.examples), "--continue-on-failure", "--report-json-path", str(report)]
    if size.seconds:
        words += ["--max-time", str(size.seconds)]
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).parent / "schemathesis",
        *words,
        cwd=ROOT,
        env={
            **os.environ,
            "DOOR": stack.info[door],
            "IDENTITIES": str(identities),
            "KNOWN": json.dumps(known),
            "SCHEMATHESIS_HOOKS": "tests.doors.hooks",
            "COLUMNS": "120",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return _walked(json.loads(report.read_text(encoding="utf-8")), said.decode())


def _files(stack: Stack, door: str) -> tuple[Path, Path]:
    """Write down who walks; return that and where the report goes."""
    folder = stack.folder / "walks"
    folder.mkdir(exist_ok=True)
    identities = folder / f"{door}.identities.json"
    identities.write_text(json.dumps({"auth": _identities(stack, door)}), encoding="utf-8")
    return identities, folder / f"{door}.json"


def _document(door: str) -> Path:
    return ROOT / "docs" / "contracts" / f"{door}.openapi.json"


def _identities(stack: Stack, door: str) -> list[dict[str, Any]]:
    """Who walks, in the order in which calls are tried: who may not do one leaves it to the next."""
    if door == "intake":
        return [_identity(bank, stack.info["bank_keys"][bank]) for bank in ("ICBC", "CCB")]
    roles = {(one["unit"], one["role"]): one["token"] for one in stack.info["officers"]}
    walkers = (("SZ-LH-CZ", "officer"), ("SZ-LH", "approver"), ("SZ-FT", "approver"), ("SZ", "auditor"))
    return [_identity(f"{unit} {role}", roles[unit, role]) for unit, role in walkers]


def _identity(name: str, credential: str) -> dict[str, Any]:
    return {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {credential}"}]}


def _walked(report: dict[str, Any], said: str) -> Walked:
    """Read a report. A walk that broke off in an error of its own counts as failed."""
    cases = report["test_cases"]
    failed = cases["unique_failures"] + len(report["errors"])
    links = LINKS.search(said)
    whole = report["complete"] and report["operations"]["tested"] == report["operations"]["total"]
    return Walked(cases["generated"], failed, int(links.group(1)) if links else 0, said, whole=whole)
