"""Requests that HTTP itself makes unacceptable."""

import json
from collections.abc import AsyncIterator

import pytest

from shared.http import BODY_LIMIT_BYTES
from shared.outbox import new_id
from tests.parts import DatabaseServer, Door, a_key, a_report, bank, intake_door
from tests.service.intake.counter import filed, metric, no_trace, post, problem_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/xml",
        "application/jsonx",
        "multipart/form-data; boundary=x",
        "application/x-ndjson",
    ],
)
async def test_a_report_of_another_content_type_is_refused(shared: Door, content_type: str) -> None:
    async with no_trace(shared):
        problem_of(await post(shared, a_report(), **{"Content-Type": content_type}), 415)


async def test_a_report_without_a_content_type_is_refused(shared: Door) -> None:
    headers = bank(**{"Idempotency-Key": a_key()})
    del headers["Content-Type"]
    async with no_trace(shared):
        problem_of(await shared.client.post("/v1/reports", content=json.dumps(a_report()), headers=headers), 415)


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json ;x=y"]
)
async def test_parameters_and_letter_case_of_the_content_type_do_not_matter(shared: Door, content_type: str) -> None:
    assert (await post(shared, a_report(), **{"Content-Type": content_type})).status_code == 202


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip", "nonsense"])
async def test_an_encoded_body_is_refused(shared: Door, encoding: str) -> None:
    async with no_trace(shared):
        problem_of(await post(shared, a_report(), **{"Content-Encoding": encoding}), 415)


async def test_the_identity_encoding_is_no_encoding(shared: Door) -> None:
    assert (await post(shared, a_report(), **{"Content-Encoding": "identity"})).status_code == 202


def padded(size: int) -> bytes:
    """A report that is accepted, drawn out with spaces to a size."""
    return json.dumps(a_report()).encode().ljust(size)


async def test_a_body_of_64_kb_is_accepted(shared: Door) -> None:
    assert (await post(shared, padded(BODY_LIMIT_BYTES))).status_code == 202


async def test_a_body_over_64_kb_is_refused(shared: Door) -> None:
    async with no_trace(shared):
        problem_of(await post(shared, padded(BODY_LIMIT_BYTES + 1)), 413)


async def in_chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 1000):
        yield body[start : start + 1000]


async def test_a_chunked_body_is_accepted(shared: Door) -> None:
    headers = bank(**{"Idempotency-Key": a_key()})
    answer = await shared.client.post("/v1/reports", content=in_chunks(padded(5000)), headers=headers)
    assert answer.request.headers["transfer-encoding"] == "chunked"
    assert answer.status_code == 202


async def test_a_chunked_body_over_64_kb_is_refused(shared: Door) -> None:
    headers = bank(**{"Idempotency-Key": a_key()})
    async with no_trace(shared):
        body = in_chunks(padded(BODY_LIMIT_BYTES + 1))
        problem_of(await shared.client.post("/v1/reports", content=body, headers=headers), 413)


@pytest.mark.parametrize("size", [16 * 1024, 60_000])
async def test_headers_that_are_too_large_are_refused(shared: Door, size: int) -> None:
    async with no_trace(shared):
        problem_of(await post(shared, a_report(), **{"X-Large": "x" * size}), 431)


async def test_a_url_that_is_too_long_is_refused(shared: Door) -> None:
    problem_of(await shared.client.get("/v1/orders?after=" + "x" * 17_000, headers=bank()), 431)


async def test_headers_just_below_the_limit_are_accepted(shared: Door) -> None:
    assert (await post(shared, a_report(), **{"X-Large": "x" * 15_000})).status_code == 202


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nothing", "/v1/reports/x/y", "/admin", "/%00", "/v1/reports/%2e%2e"])
async def test_a_path_that_is_not_there_is_refused_with_a_problem_document(shared: Door, path: str) -> None:
    answer = await shared.client.get(path, headers=bank())
    problem_of(answer, answer.status_code)
    assert answer.status_code in {404, 405, 422}


async def test_another_method_is_refused_and_told_which_is_allowed(shared: Door) -> None:
    answer = await shared.client.delete("/v1/reports", headers=bank())
    problem_of(answer, 405)
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/reports/{id}"), ("POST", "/v1/reports/{id}/disposition")],
)
async def test_a_foreign_report_looks_exactly_like_an_absent_one(shared: Door, method: str, path: str) -> None:
    body = {"outcome": "cancelled", "amount_fen": 1}
    own = await filed(shared)
    async with no_trace(shared):
        foreign, absent = [
            await shared.client.request(method, path.format(id=one), json=body, headers=bank("CCB"))
            for one in (own, new_id())
        ]
        assert problem_of(foreign, 404) == problem_of(absent, 404)
    assert set(foreign.headers) == set(absent.headers)


@pytest.mark.parametrize("path", ["/v1/reports/7", "/v1/orders/7", "/v1/orders?limit=0", "/v1/orders?status=lost"])
async def test_a_parameter_that_means_nothing_is_named(shared: Door, path: str) -> None:
    document = problem_of(await shared.client.get(path, headers=bank()), 422)
    assert document["errors"][0]["field"].partition(".")[0] in {"path", "query"}


async def test_each_refusal_is_counted_by_its_status(shared: Door) -> None:
    async def counted() -> list[float]:
        return [
            await metric(shared, "lanjie_requests_refused_total", status=one) for one in ("400", "404", "415", "431")
        ]

    before = await counted()
    await post(shared, b"{")
    await shared.client.get(f"/v1/reports/{new_id()}", headers=bank())
    await post(shared, a_report(), **{"Content-Type": "text/plain"})
    await post(shared, a_report(), **{"X-Large": "x" * 20_000})
    assert await counted() == [one + 1 for one in before]
    await post(shared, a_report())
    assert await counted() == [one + 1 for one in before]


async def test_a_failure_of_ours_is_told_without_internals_and_counted(server: DatabaseServer) -> None:
    async with intake_door(await server.clone("intake")) as door:
        report_id = await filed(door)
        await door.pool.execute("alter table case_view rename to mislaid")
        problem_of(await door.client.get(f"/v1/reports/{report_id}", headers=bank()), 500)
        assert await metric(door, "lanjie_requests_refused_total", status="500") == 1
        assert (await post(door, a_report())).status_code == 202


async def test_neither_an_accepted_nor_a_refused_report_is_written_to_the_log(
    shared: Door, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = "蒙世坤Q7"
    assert (await post(shared, a_report(payee__name=secret, note=secret))).status_code == 202
    problem_of(await post(shared, a_report(payee__name=secret, payee__account=secret)), 422)
    problem_of(await post(shared, f"{{{secret}".encode()), 400)
    written = capfd.readouterr()
    assert secret not in written.out + written.err
