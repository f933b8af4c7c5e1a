"""Bodies that a page shows, and that nobody types, are what the doors take."""

import json
from typing import Any

import jsonschema
import pytest

from tests.docs.blocks import ROOT, Block, Kind, pages

CONTRACTS = [json.loads((ROOT / f"docs/contracts/{door}.openapi.json").read_text()) for door in ("intake", "notifier")]
SCHEMAS = {name: (door, schema) for door in CONTRACTS for name, schema in door["components"]["schemas"].items()}
SHOWN = [(page.name, block) for page in pages() for block in page.of(Kind.SHOWN) if block.words[:1] == ("as",)]


@pytest.mark.parametrize("block", [block for _, block in SHOWN], ids=[f"{page}:{block.line}" for page, block in SHOWN])
def test_a_body_is_what_the_door_takes(block: Block) -> None:
    door, schema = SCHEMAS[block.words[1]]
    document: dict[str, Any] = {**schema, "components": door["components"]}
    for body in block.text.strip().split("\n\n"):
        jsonschema.validate(json.loads(body), document)


def test_there_are_such_bodies() -> None:
    assert {page for page, _ in SHOWN} >= {"docs/integration-banks.md"}
