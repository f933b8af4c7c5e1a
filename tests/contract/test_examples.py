"""Every request and every answer in the doors' documents has examples, and each fits its schema."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from services import contracts
from shared.openapi import calls_of

DOCUMENTS = {name: json.loads((contracts.FOLDER / name).read_text(encoding="utf-8")) for name in contracts.DOORS}
Part = tuple[str, str, str, dict[str, Any]]


def parts() -> Iterator[Part]:
    """Every body that is described: the document, the call, the request or the status, and what is said of it."""
    for name, document in DOCUMENTS.items():
        for _, _, call in calls_of(document):
            bodies = {"request": call.get("requestBody", {}), **call["responses"]}
            for where, body in bodies.items():
                for media_type, content in body.get("content", {}).items():
                    yield name, call["operationId"], f"{where} {media_type}", content


PARTS = list(parts())


def resolved(document: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in example:
        return example
    found: dict[str, Any] = document["components"]["examples"][example["$ref"].rpartition("/")[2]]
    return found


@pytest.mark.parametrize("part", PARTS, ids=lambda part: " ".join(part[:3]))
def test_a_body_has_examples_and_each_fits_its_schema(part: Part) -> None:
    name, _, _, content = part
    document = DOCUMENTS[name]
    schema = {**content["schema"], "components": document["components"]}
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    assert content["examples"]
    for example in content["examples"].values():
        found = resolved(document, example)
        assert found["summary"]
        validator.validate(found["value"])


def test_an_example_for_a_call_that_is_not_there_would_be_noticed() -> None:
    for service, name in zip(("intake", "notifier"), contracts.DOORS, strict=True):
        path = contracts.FOLDER.parent.parent / "services" / service / "examples.json"
        written = json.loads(path.read_text(encoding="utf-8"))
        calls = {call["operationId"]: call for _, _, call in calls_of(DOCUMENTS[name])}
        assert written.keys() - {"shared"} == calls.keys()
        for call, examples in written.items():
            if call != "shared":
                assert examples.get("answers", {}).keys() <= calls[call]["responses"].keys()
