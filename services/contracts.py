"""The contracts: generated from the code, committed, and checked for drift.

`docs/contracts/` holds OpenAPI for both doors, AsyncAPI for the topics, and a JSON Schema for each event.
`docs/orders.md` holds the table of what orders make of an account, made of the code that decides.
`docs/contracts/released/` holds the event schemas of the last release: what consumers out there rely on, and
what tests/contract holds today's schemas against.
"""

import json
from pathlib import Path
from typing import Any, Final

import typer

from services.intake.app import build as intake
from services.notifier.app import build as notifier
from services.notifier.orders.order_table import page_with_table
from shared.events import EVENTS, TOPICS, dead_letters

FOLDER: Final = Path(__file__).parent.parent / "docs" / "contracts"
RELEASED: Final = FOLDER / "released"
ORDERS_PAGE: Final = FOLDER.parent / "orders.md"

Schema = dict[str, Any]
commands = typer.Typer(help="The generated contracts.", no_args_is_help=True)


def documents() -> dict[str, Schema]:
    """Return every contract by its path under `docs/contracts`."""
    found = {"intake.openapi.json": intake().openapi(), "notifier.openapi.json": notifier().openapi()}
    found["lanjie.asyncapi.json"] = _asyncapi()
    for name, event in EVENTS.items():
        found[f"events/{name}.json"] = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:lanjie:event:{name}",
            **event.model_json_schema(mode="serialization"),
        }
    return found


def _asyncapi() -> Schema:
    channels, messages, operations = {}, {}, {}
    for topic in TOPICS:
        events = [event for event in EVENTS.values() if event.topic == topic]
        channels[topic] = {
            "address": topic,
            "messages": {event.type: {"$ref": f"#/components/messages/{event.type}"} for event in events},
            "description": f"What cannot be read is parked on {dead_letters(topic)} with the reason in a header.",
        }
        operations[f"publish.{topic}"] = {"action": "send", "channel": {"$ref": f"#/channels/{topic}"}}
    for name, event in EVENTS.items():
        messages[name] = {
            "name": name,
            "summary": (event.__doc__ or "").strip(),
            "contentType": "application/json",
            "headers": _HEADERS,
            "payload": {"$ref": f"./events/{name}.json"},
        }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "lanjie events", "version": "1", "description": "CloudEvents 1.0, binary mode, over Kafka."},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


_HEADERS: Final[Schema] = {
    "type": "object",
    "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "content-type"],
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {"type": "string", "format": "uuid"},
        "ce_type": {"type": "string"},
        "ce_source": {"type": "string"},
        "ce_time": {"type": "string", "format": "date-time"},
        "content-type": {"const": "application/json"},
        "traceparent": {"type": "string"},
    },
}


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
def release() -> None:
    """Promise today's event schemas to consumers."""
    for name, document in documents().items():
        if name.startswith("events/"):
            path = RELEASED / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text_of(document), encoding="utf-8")


@commands.command()
def check() -> None:
    """Fail where the committed contracts differ from the code."""
    problems = drift(FOLDER) + drifted_page(ORDERS_PAGE)
    for problem in problems:
        typer.secho(problem, fg="red", err=True)
    if problems:
        typer.echo("'make contracts' writes them anew", err=True)
        raise typer.Exit(1)
    typer.echo(f"{len(documents())} contracts are true")
