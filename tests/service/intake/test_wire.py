"""Requests no well-behaved client would send, byte by byte."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.parts import DatabaseServer, Door, a_key, a_report, bank, bank_key, intake_door
from tests.service.intake.counter import filed, metric, no_trace
from tests.service.intake.wire import Answer, Wire, head, wired

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE_SECONDS = 0.3


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty(server: DatabaseServer) -> AsyncIterator[Door]:
    """A door that waits for a head or a body a fraction of a second."""
    clone = await server.clone("intake")
    async with intake_door(clone, head_seconds=PATIENCE_SECONDS, body_seconds=PATIENCE_SECONDS) as door:
        yield door


def report_head(**more: object) -> bytes:
    """The head of a bank's report."""
    return head("POST", "/v1/reports", **bank(**{"Idempotency-Key": a_key()}), **more)


def report_body() -> bytes:
    return json.dumps(a_report()).encode()


def refused(answer: Answer, status: int) -> None:
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert json.loads(answer.body)["status"] == status


async def test_the_wire_carries_a_report_that_is_accepted(hasty: Door) -> None:
    body = report_body()
    async with wired(hasty) as wire:
        await wire.send(report_head(content_length=len(body)) + body)
        assert (await wire.answer()).status == 202


CHUNK_THAT_SAYS_OTHERWISE = b"2\r\n{}\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "framing",
    [
        {"content_length": 2, "transfer_encoding": "chunked"},
        {"transfer_encoding": "chunked", "content_length": 2},
        {"content_length": [2, 3]},
        {"content_length": "-2"},
        {"content_length": "2_0"},
        {"content_length": "two"},
        {"transfer_encoding": "chunked, identity"},
    ],
)
async def test_a_body_whose_end_is_ambiguous_is_refused(hasty: Door, framing: dict[str, object]) -> None:
    async with no_trace(hasty), wired(hasty) as wire:
        await wire.send(report_head(**framing) + CHUNK_THAT_SAYS_OTHERWISE)
        refused(await wire.answer(), 400)
        assert await wire.hung_up()


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HELO door\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v1/orders HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /v1/orders HTTP/1.1\r\na\x00b: c\r\n\r\n",
        b"GET \xff HTTP/1.1\r\n\r\n",
        b"CONNECT door:443 HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused(hasty: Door, nonsense: bytes) -> None:
    async with wired(hasty) as wire:
        await wire.send(nonsense)
        refused(await wire.answer(), 400)
        assert await wire.hung_up()


async def test_a_chunk_of_a_false_size_is_refused(hasty: Door) -> None:
    async with no_trace(hasty), wired(hasty) as wire:
        await wire.send(report_head(transfer_encoding="chunked") + b"zz\r\n{}\r\n0\r\n\r\n")
        refused(await wire.answer(), 400)


async def test_a_chunked_body_over_64_kb_is_refused_before_its_end(hasty: Door) -> None:
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    async with no_trace(hasty), wired(hasty) as wire:
        await wire.send(report_head(transfer_encoding="chunked") + 5 * chunk)
        assert (await wire.answer()).status == 413


async def test_an_announced_length_over_64_kb_is_refused_before_the_body(hasty: Door) -> None:
    async with no_trace(hasty), wired(hasty) as wire:
        await wire.send(report_head(content_length=10_000_000))
        assert (await wire.answer()).status == 413
        assert await wire.hung_up()


async def test_a_client_that_sends_far_too_much_is_told_so_and_served_again(hasty: Door) -> None:
    body = report_body()
    async with wired(hasty) as wire:
        await wire.send(report_head(content_length=3_000_000))
        sending = asyncio.create_task(wire.send(b" " * 3_000_000))
        assert (await wire.answer()).status == 413
        await sending
        await wire.send(report_head(content_length=len(body)) + body)
        assert (await wire.answer()).status == 202


async def test_a_report_whose_head_is_too_large_is_not_filed_even_if_it_came_in_one_piece(hasty: Door) -> None:
    body = report_body()
    async with no_trace(hasty), wired(hasty) as wire:
        await wire.send(report_head(content_length=len(body), x_large="x" * 17_000) + body)
        refused(await wire.answer(), 431)
        assert await wire.hung_up()


async def test_a_head_without_an_end_is_refused_when_it_is_too_large(hasty: Door) -> None:
    async with wired(hasty) as wire:
        await wire.send(b"GET /v1/orders HTTP/1.1\r\n")
        for _ in range(20):
            await wire.send(b"x: " + b"y" * 1000 + b"\r\n")
        refused(await wire.answer(), 431)


async def test_a_second_request_on_a_connection_has_as_large_a_head_as_the_first(hasty: Door) -> None:
    async with wired(hasty) as wire:
        for _ in range(3):
            await wire.send(report_head(content_length=2, x_large="x" * 10_000) + b"{}")
            assert (await wire.answer()).status == 422


async def test_a_slow_head_is_refused(hasty: Door) -> None:
    before = await metric(hasty, "lanjie_requests_refused_total", status="408")
    async with wired(hasty) as wire:
        await wire.send(b"GET /v1/orders HTTP/1.1\r\nhost:")
        refused(await wire.answer(), 408)
        assert await wire.hung_up()
    assert await metric(hasty, "lanjie_requests_refused_total", status="408") == before + 1


async def test_a_head_that_comes_drop_by_drop_has_no_more_time_than_another(hasty: Door) -> None:
    async with wired(hasty) as wire:
        await wire.send(b"GET /v1/orders HTTP/1.1\r\n")
        dripping = asyncio.create_task(drip(wire, b"x: y\r\n"))
        refused(await wire.answer(), 408)
        dripping.cancel()


async def drip(wire: Wire, drop: bytes) -> None:
    while True:
        await wire.send(drop)
        await asyncio.sleep(PATIENCE_SECONDS / 10)


async def test_a_connection_that_says_nothing_is_closed(hasty: Door) -> None:
    async with wired(hasty) as wire:
        refused(await wire.answer(), 408)
        assert await wire.hung_up()


async def test_a_slow_body_is_refused_and_nothing_of_it_is_stored(hasty: Door) -> None:
    body = report_body()
    async with no_trace(hasty), wired(hasty) as wire:
        await wire.send(report_head(content_length=len(body)) + body[:-1])
        refused(await wire.answer(), 408)
        await wire.send(body[-1:])
        assert await wire.hung_up()


async def test_a_body_in_small_pieces_is_accepted_if_it_comes_in_time(hasty: Door) -> None:
    body = report_body()
    async with wired(hasty) as wire:
        await wire.send(report_head(content_length=len(body)))
        for start in range(0, len(body), 50):
            await wire.send(body[start : start + 50])
            await asyncio.sleep(0)
        assert (await wire.answer()).status == 202


async def test_a_client_that_hangs_up_in_mid_body_leaves_nothing_and_the_door_stays_open(hasty: Door) -> None:
    body = report_body()
    async with no_trace(hasty):
        async with wired(hasty) as wire:
            await wire.send(report_head(content_length=len(body)) + body[:100])
        answer = await hasty.client.get("/health/live")
    assert answer.status_code == 200


async def test_a_body_that_never_ends_does_not_hold_a_connection_that_has_its_answer(hasty: Door) -> None:
    async with wired(hasty) as wire:
        await wire.send(head(content_length=10_000_000, content_type="application/json"))
        assert (await wire.answer()).status == 401
        dripping = asyncio.create_task(drip(wire, b" "))
        assert await wire.hung_up()
        dripping.cancel()


async def test_a_connection_whose_answer_came_before_its_body_serves_the_next_request(hasty: Door) -> None:
    body = report_body()
    async with wired(hasty) as wire:
        await wire.send(head(content_length=20, content_type="application/json"))
        assert (await wire.answer()).status == 401
        await wire.send(b" " * 20 + report_head(content_length=len(body)) + body)
        assert (await wire.answer()).status == 202


async def test_a_connection_that_stays_silent_after_a_late_body_is_closed(hasty: Door) -> None:
    async with wired(hasty) as wire:
        await wire.send(head(content_length=20, content_type="application/json"))
        assert (await wire.answer()).status == 401
        await wire.send(b" " * 20)
        refused(await wire.answer(), 408)
        assert await wire.hung_up()


async def test_requests_sent_in_one_go_are_answered_in_their_order(hasty: Door) -> None:
    report_id = await filed(hasty)
    asked = head("GET", f"/v1/reports/{report_id}", authorization=f"Bearer {bank_key('ICBC')}")
    async with wired(hasty) as wire:
        await wire.send(asked + head("GET", "/v1/nothing") + asked)
        answers = [await wire.answer() for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 404, 200]


async def test_nonsense_behind_a_request_is_not_taken_for_its_answer(hasty: Door) -> None:
    report_id = await filed(hasty)
    waiting = {"authorization": f"Bearer {bank_key('ICBC')}", "prefer": "wait=1"}
    async with wired(hasty) as wire:
        await wire.send(head("GET", f"/v1/reports/{report_id}", **waiting) + b"nonsense\r\n\r\n")
        assert await wire.hung_up()


async def test_an_upgrade_to_another_protocol_is_not_taken_up(hasty: Door) -> None:
    upgrade = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec_websocket_version": 13,
        "sec_websocket_key": "eA==",
    }
    async with wired(hasty) as wire:
        await wire.send(head("GET", "/v1/orders", **upgrade))
        assert (await wire.answer()).status == 401
