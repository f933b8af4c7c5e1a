"""The reply to a commit is lost on its way to intake, and the client sends again: as many rows as posts."""

import random
from dataclasses import dataclass
from typing import Final

import httpx2

from tests.faults.at_intake import compared, unanswered_are_broken
from tests.faults.clients import Bank, bodies, morning
from tests.faults.database import own_server
from tests.faults.journal import Journal
from tests.faults.play import Outcome, Play
from tests.faults.proxy import CommitReplies, line_to_database
from tests.parts import bank, intake_door

SEEDS: Final = (4,)
CLIENTS: Final = 16
DROPPED_SHARE: Final = 0.25


@dataclass(slots=True)
class _Dropping:
    """Drops the news of a share of the transactions that ended well. `commits` counts those that wrote."""

    dice: random.Random
    commits: int = 0

    def __call__(self, done: str) -> bool:
        drop = self.dice.random() < DROPPED_SHARE
        self.commits += drop and done.startswith(("COMMIT", "INSERT"))
        return drop


async def play(run: Play) -> Outcome:
    """Post, lose replies, post again, and count."""
    dice = random.Random(run.seed)  # noqa: S311 - a test's dice
    posts = list(bodies(dice, 1000 if run.long else 150))
    dropping = _Dropping(dice)
    journal = Journal(run.folder / "journal.jsonl")
    async with own_server(run.folder) as server:
        clone = await server.clone("intake")
        async with (
            line_to_database(clone, dice) as (line, dsn),
            intake_door(dsn) as door,
            httpx2.AsyncClient(timeout=20) as http,
        ):
            client = Bank(http, [door.url], bank(), journal)
            client.pause_seconds = 0.02
            line.watching = lambda: CommitReplies(dropping)
            await line.hang_up()
            await morning(client, posts, CLIENTS)
            line.watching = lambda: lambda _piece: False
            await line.hang_up()
        outcome = await compared(clone, journal)
    unanswered_are_broken(journal, outcome)
    outcome.figures = {"commit replies dropped": dropping.commits, "repeated posts": client.repeats}
    if not dropping.commits:
        outcome.broken.append("no commit's reply was dropped, so nothing was tried")
    return outcome
