"""`lanjie dead …`: dead letters looked at, put back, or dropped.

With DATABASE_URL it works on the services whose schemas are there; without it, on all of the local run.
"""

import json
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services import dead_places
from services.dead_places import Found, Place
from shared import dead_letter_store
from shared.command import run, whoever
from shared.dead_letter_store import Which
from shared.dead_letter_view import shown
from shared.dead_letters import LetterState, ReasonClass, opened
from shared.replaying import replay as put_back
from shared.settings import BrokerFiles

PAGE: Final = 100
MOST_AT_ONCE: Final = 100_000
WIDTH: Final = 170

commands = typer.Typer(help="Dead letters: what could not be read or handled.", no_args_is_help=True)
console = Console(highlight=False, soft_wrap=True)

Ids = Annotated[list[str] | None, typer.Argument(help="Ids of letters, or how they begin.")]
Reason = Annotated[ReasonClass | None, typer.Option("--reason", help="Those put aside for this.")]
All = Annotated[bool, typer.Option("--all", help="All that are parked.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
By = Annotated[str, typer.Option("--by", default_factory=whoever, help="Who does it.")]


@commands.command("list")
def list_(
    state: Annotated[LetterState | None, typer.Option(help="Those in this state.")] = LetterState.PARKED,
    reason: Reason = None,
    topic: Annotated[str | None, typer.Option(help="Those of this topic.")] = None,
    most: Annotated[int, typer.Option(min=1)] = 100,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Whatever their state.")] = False,
    as_json: AsJson = False,
) -> None:
    """List letters, those that were parked last first."""
    which = Which(state=None if everything else state, reason_class=reason, topic=topic)
    found = run(lambda: dead_places.found(which, most))
    lines = [_line(place, row) for place, row in found]
    if as_json:
        typer.echo(json.dumps(lines, ensure_ascii=False, indent=2))
        return
    table = Table("service", "id", "topic", "lay at", "reason", "state", "tries", "parked at")
    for line in lines:
        table.add_row(*(escape(str(line[name])) for name in _COLUMNS))
    Console(highlight=False, width=WIDTH).print(table)
    console.print(f"{len(found):,} letters{'; there may be more, see --most' if len(found) >= most else ''}")


_COLUMNS: Final = ("service", "id", "topic", "lay_at", "reason", "state", "attempts", "parked_at")


@commands.command()
def show(letter: Annotated[str, typer.Argument(help="Its id, or how it begins.")], *, as_json: AsJson = False) -> None:
    """Show one letter, masked, and what was done about it. Needs NARRATIVE_KEYS, but in the local run."""
    told = run(lambda: _told(letter))
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    for name, value in told.items():
        text = json.dumps(value, ensure_ascii=False, indent=2) if isinstance(value, dict | list) else str(value)
        console.print(f"[bold]{name}[/] {escape(text)}")


async def _told(letter: str) -> dict[str, Any]:
    [(place, row)] = await dead_places.exactly([letter])
    async with dead_places.connected(place) as connection:
        steps = await dead_letter_store.steps(connection, row["id"])
    record = shown(opened(row["sealed"], row["id"], dead_places.seal())) if row["sealed"] else "not kept"
    done = [f"{one['at'].isoformat()}  {one['action']} by {one['actor']}: {one['why']}" for one in steps]
    return {**_line(place, row), "sha256": row["sha256"].hex(), "record": record, "steps": done}


@commands.command()
def replay(by: By, ids: Ids = None, reason: Reason = None, *, everything: All = False) -> None:
    """Put letters back on their topics, once what was wrong is mended. One that fails again is parked again.

    Needs NARRATIVE_KEYS and KAFKA_BOOTSTRAP_SERVERS, but in the local run.
    """

    async def work() -> tuple[int, int]:
        done, asked = 0, await _meant(ids, reason, everything=everything)
        kafka, seal = dead_places.brokers(), dead_places.seal()
        for place, rows in dead_places.by_place([one for one in asked if one[1]["sealed"]]):
            async with dead_places.connected(place) as connection:
                for first in range(0, len(rows), PAGE):
                    page = [row["id"] for row in rows[first : first + PAGE]]
                    done += await put_back(connection, kafka, page, seal, by, BrokerFiles().broker_tls())
        return done, len(asked)

    done, asked = run(work)
    console.print(f"replayed {done:,} of {asked:,}{_WHY_NOT if done < asked else ''}")


_WHY_NOT: Final = "; the others are not parked any more, or are from before records were kept"


@commands.command()
def drop(
    by: By,
    why: Annotated[str, typer.Option("--why", help="Why nothing is lost with them: kept, so it names nobody.")],
    ids: Ids = None,
    reason: Reason = None,
    *,
    everything: All = False,
) -> None:
    """Give letters up. They stay on record, and come up no more however often their record comes again."""

    async def work() -> tuple[int, int]:
        if not why.strip():
            raise ValueError("say why (--why)")
        done, asked = 0, await _meant(ids, reason, everything=everything)
        for place, rows in dead_places.by_place(asked):
            async with dead_places.connected(place) as connection:
                given_up = [row["id"] for row in rows]
                done += len(await dead_letter_store.end(connection, given_up, LetterState.DROPPED, by, why.strip()))
        return done, len(asked)

    done, asked = run(work)
    console.print(f"dropped {done:,} of {asked:,}{'; the others are not parked any more' if done < asked else ''}")


async def _meant(ids: list[str] | None, reason: ReasonClass | None, *, everything: bool) -> list[Found]:
    """Return the letters that are meant. Raises `ValueError` where none are named, or by an id that is not one's."""
    if sum((bool(ids), reason is not None, everything)) != 1:
        raise ValueError("say which: ids, --reason or --all")
    if ids:
        return await dead_places.exactly(ids)
    return await dead_places.found(Which(state=LetterState.PARKED, reason_class=reason), MOST_AT_ONCE)


def _line(place: Place, row: Any) -> dict[str, Any]:  # noqa: ANN401 - a row
    return {
        "service": place.service,
        "id": str(row["id"]),
        "topic": row["topic"],
        "lay_at": f"{row['partition_number']}/{row['offset_number']}",
        "reason": row["reason"],
        "reason_class": row["reason_class"],
        "state": row["state"],
        "attempts": row["attempts"],
        "parked_at": row["parked_at"].isoformat(timespec="seconds"),
        "changed_at": row["changed_at"].isoformat(timespec="seconds"),
    }
