"""The banks' door as it describes itself."""

from typing import Any

import pytest
import pytest_asyncio

from tests.parts import Door

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLS = {
    ("post", "/v1/reports"): ("application/json", "Report"),
    ("post", "/v1/reports/batch"): ("application/x-ndjson", "BatchLine"),
    ("get", "/v1/reports/{report_id}"): None,
    ("post", "/v1/reports/{report_id}/disposition"): ("application/json", "Disposition"),
    ("get", "/v1/orders"): None,
    ("get", "/v1/orders/{order_id}"): None,
    ("post", "/v1/orders/{order_id}/feedback"): ("application/json", "Feedback"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def document(shared: Door) -> dict[str, Any]:
    """Return the door's description, which it shows to anybody."""
    answer = await shared.client.get("/openapi.json")
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    return told


async def test_it_lists_the_calls_of_the_door_and_no_others(document: dict[str, Any]) -> None:
    listed = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert listed == set(CALLS)


@pytest.mark.parametrize(("call", "body"), CALLS.items())
async def test_it_says_what_a_calls_body_is(
    document: dict[str, Any], call: tuple[str, str], body: tuple[str, str] | None
) -> None:
    described = document["paths"][call[1]][call[0]]
    if body is None:
        assert "requestBody" not in described
        return
    media_type, model = body
    assert described["requestBody"]["required"] is True
    [(offered, content)] = described["requestBody"]["content"].items()
    assert (offered, content["schema"]) == (media_type, {"$ref": f"#/components/schemas/{model}"})
    assert document["components"]["schemas"][model]["additionalProperties"] is False


@pytest.mark.parametrize("call", CALLS)
async def test_it_describes_every_refusal_as_a_problem_document(
    document: dict[str, Any], call: tuple[str, str]
) -> None:
    responses = document["paths"][call[1]][call[0]]["responses"]
    refusals = {status: response for status, response in responses.items() if int(status) >= 400}
    assert {"401", "403", "503"} <= set(refusals)
    for response in refusals.values():
        assert list(response["content"]) == ["application/problem+json"]


async def test_it_asks_for_a_bearer_credential(document: dict[str, Any]) -> None:
    assert document["security"] == [{"bearer": []}]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


async def test_it_tells_of_the_headers_of_a_report(document: dict[str, Any]) -> None:
    headers = {one["name"]: one["required"] for one in document["paths"]["/v1/reports"]["post"]["parameters"]}
    assert headers == {"Idempotency-Key": True, "Prefer": False}


async def test_every_reference_in_it_leads_somewhere(document: dict[str, Any]) -> None:
    def references(value: object) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*(references(inner) for inner in value.values()))
        return set().union(*(references(inner) for inner in value)) if isinstance(value, list) else set()

    kinds = ("schemas", "examples")
    known = {f"#/components/{kind}/{name}" for kind in kinds for name in document["components"][kind]}
    assert references(document) <= known


async def test_its_patterns_mean_the_same_to_an_integrators_validator(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["Payer"]["properties"]["account"]["pattern"] == "^[0-9]{8,32}$"
    assert "\\z" not in str(schemas)
