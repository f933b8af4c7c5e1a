"""A door keeps what the last release promised: each rule with a change that breaks clients and one that breaks none."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services import contracts
from services.contracts_compat import broken_promises

Document = dict[str, Any]
Change = Callable[[Document], object]

SCHEMAS: Document = {
    "Report": {
        "type": "object",
        "additionalProperties": False,
        "required": ["amount_fen"],
        "properties": {
            "amount_fen": {"type": "integer", "minimum": 1, "maximum": 100},
            "channel": {"type": "string", "enum": ["counter", "atm"]},
            "note": {"type": "string", "maxLength": 2000, "pattern": "^[a-z]*$"},
            "phone": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "cues": {"type": "array", "maxItems": 50, "items": {"type": "string", "maxLength": 64}},
        },
    },
    "Status": {
        "type": "object",
        "required": ["id", "level"],
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "level": {"type": "string", "enum": ["clear", "alert"]},
            "score": {"type": "integer"},
            "case": {"anyOf": [{"$ref": "#/components/schemas/Status"}, {"type": "null"}]},
            "cues": {"type": "object", "additionalProperties": {"type": "integer"}},
        },
    },
}


def reference(name: str) -> Document:
    return {"schema": {"$ref": f"#/components/schemas/{name}"}}


POST: Document = {
    "parameters": [
        {"in": "header", "name": "Key", "required": True, "schema": {"type": "string"}},
        {"in": "query", "name": "limit", "schema": {"type": "integer", "minimum": 1}},
    ],
    "requestBody": {"content": {"application/json": reference("Report"), "text/csv": {}}},
    "responses": {
        "200": {"content": {"application/json": reference("Status")}, "headers": {"Location": {}}},
        "404": {"content": {}},
    },
}
RELEASED: Document = {
    "paths": {"/reports": {"post": POST, "get": {"responses": {"200": {}}, "security": []}}, "/orders": {}},
    "components": {"schemas": SCHEMAS},
    "security": [{"bearer": []}],
}


def post(document: Document) -> Any:  # noqa: ANN401
    return document["paths"]["/reports"]["post"]


def sent(document: Document) -> Any:  # noqa: ANN401
    return document["components"]["schemas"]["Report"]["properties"]


def shown(document: Document) -> Any:  # noqa: ANN401
    return document["components"]["schemas"]["Status"]


NEEDED = {"in": "query", "name": "unit", "required": True, "schema": {"type": "string"}}
FREE = {"in": "query", "name": "unit", "schema": {"type": "string"}}
IN = "POST /reports: request"
OUT = "POST /reports: answer 200"

RULES: dict[str, tuple[Change, str, Change]] = {
    "a path": (
        lambda new: new["paths"].pop("/orders"),
        "/orders: the path is gone",
        lambda new: new["paths"].update({"/cases": {}}),
    ),
    "a method": (
        lambda new: new["paths"]["/reports"].pop("get"),
        "GET /reports: the method is gone",
        lambda new: new["paths"]["/orders"].update(get={"responses": {}}),
    ),
    "a status": (
        lambda new: post(new)["responses"].pop("404"),
        "POST /reports: the answer 404 is gone",
        lambda new: post(new)["responses"].update({"409": {}}),
    ),
    "a credential": (
        lambda new: new["paths"]["/reports"]["get"].pop("security"),
        "GET /reports: a credential is now required",
        lambda new: post(new).update(security=[]),
    ),
    "a header of an answer": (
        lambda new: post(new)["responses"]["200"]["headers"].pop("Location"),
        f"{OUT}: header Location is gone",
        lambda new: post(new)["responses"]["200"]["headers"].update({"Retry-After": {}}),
    ),
    "a form of the body": (
        lambda new: post(new)["requestBody"]["content"].pop("text/csv"),
        f"{IN}: text/csv is gone",
        lambda new: post(new)["requestBody"]["content"].update({"text/xml": {}}),
    ),
    "a form of the answer": (
        lambda new: post(new)["responses"]["200"]["content"].pop("application/json"),
        f"{OUT}: application/json is gone",
        lambda new: post(new)["responses"]["200"]["content"].update({"text/xml": {}}),
    ),
    "the body": (
        lambda new: post(new)["requestBody"].update(required=True),
        "POST /reports: a body is now required",
        lambda new: post(new)["requestBody"].update(required=False),
    ),
    "a body at all": (
        lambda new: post(new).pop("requestBody"),
        "POST /reports: the body is gone",
        lambda new: new["paths"]["/reports"]["get"].update(requestBody={"content": {}}),
    ),
    "a parameter that is needed": (
        lambda new: post(new)["parameters"].append(NEEDED),
        "POST /reports: query parameter unit is now required",
        lambda new: post(new)["parameters"].append(FREE),
    ),
    "a parameter": (
        lambda new: post(new)["parameters"].pop(1),
        "POST /reports: query parameter limit is gone",
        lambda new: post(new)["parameters"][0].update(required=False),
    ),
    "a parameter's values": (
        lambda new: post(new)["parameters"][1]["schema"].update(minimum=2),
        "POST /reports: query parameter limit has a higher minimum: 2",
        lambda new: post(new)["parameters"][1]["schema"].update(minimum=0),
    ),
    "a field that is needed": (
        lambda new: new["components"]["schemas"]["Report"]["required"].append("note"),
        f"{IN}.note is now required",
        lambda new: new["components"]["schemas"]["Report"].update(required=[]),
    ),
    "a field that was taken": (
        lambda new: sent(new).pop("note"),
        f"{IN}.note is gone",
        lambda new: sent(new).update(mood={"type": "string"}),
    ),
    "a value that was taken": (
        lambda new: sent(new)["channel"]["enum"].remove("atm"),
        f'{IN}.channel may no longer be "atm"',
        lambda new: sent(new)["channel"]["enum"].append("mobile"),
    ),
    "values named one by one": (
        lambda new: sent(new)["note"].update(enum=["a", "b"]),
        f'{IN}.note may now be only "a", "b"',
        lambda new: sent(new)["channel"].pop("enum"),
    ),
    "a type that was taken": (
        lambda new: sent(new).update(phone={"type": "string"}),
        f"{IN}.phone may no longer be null",
        lambda new: sent(new)["note"].update(type=["string", "null"]),
    ),
    "an upper bound": (
        lambda new: sent(new)["note"].update(maxLength=200),
        f"{IN}.note has a lower maxLength: 200",
        lambda new: sent(new)["note"].update(maxLength=4000),
    ),
    "a lower bound": (
        lambda new: sent(new)["note"].update(minLength=1),
        f"{IN}.note has a higher minLength: 1",
        lambda new: sent(new)["amount_fen"].pop("minimum"),
    ),
    "a bound within an array": (
        lambda new: sent(new)["cues"]["items"].update(maxLength=8),
        f"{IN}.cues[] has a lower maxLength: 8",
        lambda new: sent(new)["cues"]["items"].pop("maxLength"),
    ),
    "a pattern": (
        lambda new: sent(new)["note"].update(pattern="^[a-c]*$"),
        f"{IN}.note has another pattern: ^[a-c]*$",
        lambda new: sent(new)["note"].pop("pattern"),
    ),
    "a field that was shown": (
        lambda new: shown(new)["properties"].pop("score"),
        f"{OUT}.score is gone",
        lambda new: shown(new)["properties"].update(mood={"type": "string"}),
    ),
    "a field that was always shown": (
        lambda new: shown(new).update(required=["id"]),
        f"{OUT}.level may now be missing",
        lambda new: shown(new)["required"].append("score"),
    ),
    "a value that is shown": (
        lambda new: shown(new)["properties"]["level"]["enum"].append("panic"),
        f'{OUT}.level may now be "panic"',
        lambda new: shown(new)["properties"]["level"]["enum"].remove("alert"),
    ),
    "a type that is shown": (
        lambda new: shown(new)["properties"]["score"].update(type=["integer", "null"]),
        f"{OUT}.score may now be null",
        lambda new: shown(new)["properties"].update(case={"type": "null"}),
    ),
    "a format that is shown": (
        lambda new: shown(new)["properties"]["id"].pop("format"),
        f"{OUT}.id is no longer in the format uuid",
        lambda new: shown(new)["properties"]["level"].update(format="word"),
    ),
    "what is shown under any name": (
        lambda new: shown(new)["properties"]["cues"]["additionalProperties"].update(type="string"),
        f"{OUT}.cues.* may now be a string",
        lambda new: shown(new)["properties"]["cues"]["additionalProperties"].update(minimum=0),
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_change_that_breaks_clients_is_refused_with_a_sentence_that_names_it(rule: str) -> None:
    breach, sentence, _ = RULES[rule]
    new = copy.deepcopy(RELEASED)
    breach(new)
    assert sentence in broken_promises(RELEASED, new)


@pytest.mark.parametrize("rule", RULES)
def test_a_change_that_breaks_no_client_is_let_pass(rule: str) -> None:
    _, _, harmless = RULES[rule]
    new = copy.deepcopy(RELEASED)
    harmless(new)
    assert new != RELEASED
    assert broken_promises(RELEASED, new) == []


def test_what_takes_no_unknown_fields_any_more_is_refused() -> None:
    old = copy.deepcopy(RELEASED)
    old["components"]["schemas"]["Report"].pop("additionalProperties")
    assert broken_promises(old, RELEASED) == [f"{IN} takes no unknown fields any more"]


def test_todays_doors_keep_what_was_released() -> None:
    assert contracts.broken(contracts.RELEASED) == []


def test_what_a_door_no_longer_does_is_named_with_its_document(tmp_path: Path) -> None:
    for name in contracts.DOORS:
        promised = json.loads((contracts.RELEASED / name).read_text(encoding="utf-8"))
        promised["paths"]["/v1/statements"] = {"get": {"responses": {}}}
        (tmp_path / name).write_text(json.dumps(promised), encoding="utf-8")
    assert contracts.broken(tmp_path) == [f"{name}: /v1/statements: the path is gone" for name in contracts.DOORS]


def test_nothing_is_released_that_takes_back_what_was_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contracts, "RELEASED", tmp_path)
    assert CliRunner().invoke(contracts.commands, ["release", "--anyway"]).exit_code == 0
    promised = tmp_path / contracts.DOORS[0]
    document = json.loads(promised.read_text(encoding="utf-8"))
    document["paths"]["/v1/gone"] = {"get": {"responses": {"200": {"description": "gone"}}}}
    promised.write_text(json.dumps(document), encoding="utf-8")
    refused = CliRunner().invoke(contracts.commands, ["release"])
    assert refused.exit_code == 1
    assert "/v1/gone" in refused.stderr
    assert json.loads(promised.read_text(encoding="utf-8")) == document
    assert CliRunner().invoke(contracts.commands, ["release", "--anyway"]).exit_code == 0
    assert CliRunner().invoke(contracts.commands, ["release"]).exit_code == 0
