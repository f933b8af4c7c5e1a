"""`make schemathesis`: start a run, walk both doors for as long as asked, say what was found."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.doors.seeding import seed
from tests.doors.walk import SEED, Size, Walked, walk
from tests.e2e.stack import Stack, running_stack

DOORS = ("intake", "notifier")


async def _walk(stack: Stack, size: Size, seed_number: int) -> list[Walked]:
    known = await seed(stack)
    return await asyncio.gather(*(walk(stack, door, known, size, seed_number) for door in DOORS))


def main() -> None:
    """Walk both doors; end with 1 where something failed."""
    parser = argparse.ArgumentParser(description="Walk both doors with every check on.")
    parser.add_argument("--examples", type=int, default=100, help="cases a call in each random phase")
    parser.add_argument("--seconds", type=int, default=None, help="go on at random for so long")
    parser.add_argument("--seed", type=int, default=SEED)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_stack(Path(folder)) as stack:
        walks = asyncio.run(_walk(stack, Size(told.examples, told.seconds), told.seed))
    for door, walked in zip(DOORS, walks, strict=True):
        print(walked.said)  # noqa: T201 - to a person
        print(f"{door}: {walked.cases} cases, {walked.failures} failures, {walked.links} links followed")  # noqa: T201
    sys.exit(any(walked.failures or not walked.whole for walked in walks))


if __name__ == "__main__":
    main()
