"""The contracts are what the code does, and keep what the last release promised."""

import copy
import json
from typing import Any

import jsoncompat
import pytest
from jsonschema import Draft202012Validator

from services import contracts
from shared.events import EVENTS, TOPICS, Event

RELEASED = sorted((contracts.RELEASED / "events").glob("*.json"))


def schema_of(event: type[Event]) -> dict[str, Any]:
    return event.model_json_schema(mode="serialization")


def keeps_the_promise(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether whoever reads events by the old schema can read those written by the new one."""
    return jsoncompat.check_compat(json.dumps(old), json.dumps(new), "serializer")


def test_the_committed_contracts_are_what_the_code_says() -> None:
    assert contracts.drift(contracts.FOLDER) == []


def test_the_page_on_orders_shows_the_table_that_decides(tmp_path: Any) -> None:  # noqa: ANN401
    assert contracts.drifted_page(contracts.ORDERS_PAGE) == []
    page = tmp_path / "orders.md"
    page.write_text(contracts.ORDERS_PAGE.read_text(encoding="utf-8").replace("→ frozen", "→ free"), encoding="utf-8")
    assert contracts.drifted_page(page) == ["orders.md is out of date"]


def test_drift_is_noticed(tmp_path: Any) -> None:  # noqa: ANN401
    for name, document in contracts.documents().items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(contracts.text_of(document), encoding="utf-8")
    assert contracts.drift(tmp_path) == []
    (tmp_path / "lanjie.asyncapi.json").unlink()
    (tmp_path / "intake.openapi.json").write_text("{}", encoding="utf-8")
    (tmp_path / "events" / "lanjie.old.v1.json").write_text("{}", encoding="utf-8")
    assert sorted(contracts.drift(tmp_path)) == [
        "events/lanjie.old.v1.json is left over",
        "intake.openapi.json is out of date",
        "lanjie.asyncapi.json is missing",
    ]


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_todays_event_breaks_no_consumer_of_the_last_release(path: Any) -> None:  # noqa: ANN401
    assert path.stem in EVENTS, "consumers still read it"
    released = json.loads(path.read_text(encoding="utf-8"))
    del released["$id"]  # the checker takes it for the base of the references
    assert keeps_the_promise(released, schema_of(EVENTS[path.stem]))


def test_every_event_is_promised() -> None:
    assert {path.stem for path in RELEASED} == EVENTS.keys()


BREACHES: dict[str, Any] = {
    "a field is gone": lambda schema: (schema["properties"].pop("score"), schema["required"].remove("score")),
    "a type is another": lambda schema: schema["properties"].update(score={"type": "string"}),
    "a field may be missing": lambda schema: schema["required"].remove("score"),
    "a value is new": lambda schema: schema["$defs"]["Level"]["enum"].append("panic"),
    "a part is another": lambda schema: schema["$defs"]["RuleFinding"]["properties"].update(why={"type": "integer"}),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_change_that_breaks_consumers_is_refused(breach: str) -> None:
    old = schema_of(EVENTS["lanjie.verdict.reached.v1"])
    new = copy.deepcopy(old)
    BREACHES[breach](new)
    assert not keeps_the_promise(old, new)


def test_a_new_field_breaks_nobody() -> None:
    old = schema_of(EVENTS["lanjie.verdict.reached.v1"])
    new = copy.deepcopy(old)
    new["properties"]["mood"] = {"type": "string"}
    new["required"].append("mood")
    assert keeps_the_promise(old, new)


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.type)
def test_an_event_survives_the_wire_and_ignores_what_it_does_not_know(event: type[Event]) -> None:
    schema = schema_of(event)
    for _ in range(5):
        sample = jsoncompat.generate_value(json.dumps(schema), 5)
        assert not list(Draft202012Validator(schema).iter_errors(json.loads(sample)))
        read = event.model_validate_json(json.dumps({**json.loads(sample), "of_a_later_version": 1}))
        assert event.model_validate_json(read.model_dump_json()) == read


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.type)
def test_an_event_is_named_with_its_version_and_travels_on_a_known_topic(event: type[Event]) -> None:
    assert event.type.startswith("lanjie.")
    assert event.type.endswith(".v1")
    assert event.topic in TOPICS
    assert (event.__doc__ or "").strip()


def test_the_banks_door_describes_every_call_with_its_body_and_its_refusals() -> None:
    paths = contracts.documents()["intake.openapi.json"]["paths"]
    assert {(method, path) for path, calls in paths.items() for method in calls} == {
        ("post", "/v1/reports"),
        ("post", "/v1/reports/batch"),
        ("get", "/v1/reports/{report_id}"),
        ("post", "/v1/reports/{report_id}/disposition"),
        ("get", "/v1/orders"),
        ("get", "/v1/orders/{order_id}"),
        ("post", "/v1/orders/{order_id}/feedback"),
    }
    for calls in paths.values():
        for method, call in calls.items():
            assert {"401", "403", "503"} <= call["responses"].keys()
            assert method == "get" or "requestBody" in call


def test_the_polices_door_describes_every_call() -> None:
    paths = contracts.documents()["notifier.openapi.json"]["paths"]
    assert {(method, path) for path, calls in paths.items() for method in calls} == {
        ("get", "/a/{token}"),
        ("post", "/a/{token}"),
        ("get", "/v1/alerts/stream"),
        ("get", "/v1/branches/unfounded"),
        ("get", "/v1/cases"),
        ("get", "/v1/cases/{case_id}"),
        ("post", "/v1/cases/{case_id}/acknowledge"),
        ("post", "/v1/cases/{case_id}/attachments"),
        ("post", "/v1/cases/{case_id}/close"),
        ("post", "/v1/cases/{case_id}/link"),
        ("post", "/v1/cases/{case_id}/notes"),
        ("post", "/v1/cases/{case_id}/objections"),
        ("post", "/v1/cases/{case_id}/orders"),
        ("post", "/v1/cases/{case_id}/reopen"),
        ("post", "/v1/cases/{case_id}/split"),
        ("post", "/v1/cases/{case_id}/take-over"),
        ("post", "/v1/cases/{case_id}/transfer"),
        ("post", "/v1/cases/{case_id}/unmask"),
        ("get", "/v1/duty"),
        ("post", "/v1/duty/hand-over"),
        ("post", "/v1/objections/{objection_id}/answer"),
        ("post", "/v1/orders/{order_id}/approve"),
        ("post", "/v1/orders/{order_id}/reject"),
    }
