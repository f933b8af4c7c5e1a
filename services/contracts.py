"""The contracts: generated from the code, committed, and checked for drift.

`docs/contracts/` holds OpenAPI for both doors, AsyncAPI for the topics, and a JSON Schema for each event.
`docs/orders.md` holds the table of what orders make of an account, made of the code that decides.
`docs/contracts/released/` holds both doors and the event schemas as they were promised last: what banks, police units
and consumers out there rely on. `check` holds today's doors against it, tests/contract today's events.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from services.contracts_async import asyncapi
from services.contracts_compat import broken_promises
from services.intake.app import build as intake
from services.notifier.app import build as notifier
from services.notifier.orders.order_table import page_with_table
from shared.events import EVENTS

FOLDER: Final = Path(__file__).parent.parent / "docs" / "contracts"
RELEASED: Final = FOLDER / "released"
DOORS: Final = ("intake.openapi.json", "notifier.openapi.json")
ORDERS_PAGE: Final = FOLDER.parent / "orders.md"

Schema = dict[str, Any]
commands = typer.Typer(help="The generated contracts.", no_args_is_help=True)


def documents() -> dict[str, Schema]:
    """Return every contract by its path under `docs/contracts`."""
    found = {"intake.openapi.json": intake().openapi(), "notifier.openapi.json": notifier().openapi()}
    found["lanjie.asyncapi.json"] = asyncapi()
    for name, event in EVENTS.items():
        found[f"events/{name}.json"] = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:lanjie:event:{name}",
            **event.model_json_schema(mode="serialization"),
        }
    return found


def text_of(document: Schema) -> str:
    """Write a contract the way it is committed."""
    return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def drift(folder: Path) -> list[str]:
    """Return what is wrong with the committed contracts: missing, out of date, or left over."""
    wanted = documents()
    there = {str(path.relative_to(folder)) for path in folder.rglob("*.json") if RELEASED.name not in path.parts}
    found = [f"{name} is left over" for name in sorted(there - wanted.keys())]
    for name, document in wanted.items():
        path = folder / name
        if not path.exists():
            found.append(f"{name} is missing")
        elif path.read_text(encoding="utf-8") != text_of(document):
            found.append(f"{name} is out of date")
    return found


def drifted_page(page: Path) -> list[str]:
    """Return what is wrong with the page that shows the table of transitions."""
    text = page.read_text(encoding="utf-8")
    return [] if page_with_table(text) == text else [f"{page.name} is out of date"]


@commands.command()
def write() -> None:
    """Write the contracts anew."""
    ORDERS_PAGE.write_text(page_with_table(ORDERS_PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    for name, document in documents().items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text_of(document), encoding="utf-8")
    typer.echo(f"wrote {len(documents())} contracts to {FOLDER}")


@commands.command()
def release(
    *, anyway: Annotated[bool, typer.Option(help="Take back what was promised: nobody relies on it yet.")] = False
) -> None:
    """Promise today's doors and event schemas to whoever uses them. What was promised before must still hold."""
    if not anyway and (breaches := broken(RELEASED)):
        for problem in breaches:
            typer.secho(problem, fg="red", err=True)
        typer.echo("nothing was written; add beside what was promised, or begin /v2 (--anyway takes it back)", err=True)
        raise typer.Exit(1)
    for name, document in documents().items():
        if name.startswith("events/") or name in DOORS:
            path = RELEASED / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text_of(document), encoding="utf-8")


def broken(released: Path) -> list[str]:
    """Return what today's doors take away from those that were released, a sentence each."""
    today = documents()
    return [
        f"{name}: {sentence}"
        for name in DOORS
        for sentence in broken_promises(json.loads((released / name).read_text(encoding="utf-8")), today[name])
    ]


@commands.command()
def check() -> None:
    """Fail where the committed contracts differ from the code, or a door breaks what was promised."""
    drifted, breaches = drift(FOLDER) + drifted_page(ORDERS_PAGE), broken(RELEASED)
    for problem in drifted + breaches:
        typer.secho(problem, fg="red", err=True)
    if drifted:
        typer.echo("'make contracts' writes them anew", err=True)
    if breaches:
        typer.echo("what was promised stays; add beside it, or begin /v2", err=True)
    if drifted or breaches:
        raise typer.Exit(1)
    typer.echo(f"{len(documents())} contracts are true")
