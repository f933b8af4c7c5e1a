"""`make profile`: where each service's processor time goes under a saturating load, by py-spy.

Samples are taken of the whole Python stack. Each counts for the innermost frame that belongs to somebody: a module of
ours, or a library. `--write` puts the tables into docs/performance.md; the flame graphs' raw stacks lie where told by
`PROFILES` (a folder).
"""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from deploy.local.config import ROOT, SERVICES
from tests.bench.chain_report import put
from tests.bench.measuring import throughput
from tests.bench.sides import Side, lanjie_side
from tests.e2e.stack import running_stack

SECONDS: Final = int(os.environ.get("SECONDS", "20"))
REPORTS: Final = int(os.environ.get("REPORTS", "30000"))
SHOWN: Final = 12
FRAME: Final = re.compile(r"^(?P<function>.+) \((?P<file>[^:]+):\d+\)$")
LIBRARY: Final = re.compile(r"(?:site-packages|python3\.\d+)/(?!site-packages)(?P<name>[^/.]+)")
console = Console(highlight=False, width=110)

Shares = list[tuple[str, float]]


def main() -> None:
    """Profile the three services of a run of its own."""
    with tempfile.TemporaryDirectory() as folder:
        profiles = Path(os.environ.get("PROFILES", folder))
        with running_stack(Path(folder), KAFKA=os.environ.get("KAFKA", "apache")) as stack:
            asyncio.run(_profile(lanjie_side(stack), profiles))
        found = {service: shares((profiles / f"{service}.txt").read_text()) for service in SERVICES}
    for service, parts in found.items():
        table = Table(service, "of its processor time")
        for name, share in parts[:SHOWN]:
            table.add_row(name, f"{share:.1%}")
        console.print(table)
    if "--write" in sys.argv:
        put("profile", _lines(found))


async def _profile(opened: AbstractAsyncContextManager[Side], profiles: Path) -> None:
    async with opened as side:
        await throughput(side, 2_000)
        spies = [_spy(side, service, profiles) for service in SERVICES]
        load = asyncio.create_task(throughput(side, REPORTS))
        for spy in spies:
            await asyncio.to_thread(spy.wait)
        await load


def _spy(side: Side, service: str, profiles: Path) -> "subprocess.Popen[bytes]":
    words = ["record", "--pid", str(side.processes[service].pid), "--duration", str(SECONDS), "--rate", "200"]
    more = ["--format", "raw", "--full-filenames", "--output", str(profiles / f"{service}.txt"), "--nonblocking"]
    spy = Path(sys.executable).with_name("py-spy")
    return subprocess.Popen([spy, *words, *more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def shares(raw: str) -> Shares:
    """Read raw stacks (`outer;…;inner count` a line); return each owner's share of the samples, the largest first."""
    counts: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        counts[_owner(stack.split(";"))] += int(count)
    return [(name, number / counts.total()) for name, number in counts.most_common()]


def _owner(frames: list[str]) -> str:
    """Name the innermost frame that is ours, or the library that ours called into."""
    library = ""
    for frame in reversed(frames):
        if not (match := FRAME.match(frame)):
            continue
        file = match["file"]
        if file.startswith(str(ROOT)) and "site-packages" not in file:
            ours = f"{Path(file).relative_to(ROOT)}: {match['function']}"
            return f"{ours} → {library}" if library else ours
        if found := LIBRARY.search(file):
            library = found["name"]
            if library not in {"asyncio", "contextlib", "json", "uuid", "re", "typing"}:
                return library
    return library or "the interpreter"


def _lines(found: dict[str, Shares]) -> list[str]:
    lines = []
    for service, parts in found.items():
        lines += [f"**{service}**", "", "| where | of its processor time |", "|---|--:|"]
        lines += [f"| {name} | {share:.1%} |" for name, share in parts[:SHOWN]]
        lines += [""]
    return lines


if __name__ == "__main__":
    main()
