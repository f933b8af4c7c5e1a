"""Requests no well-behaved client would send, byte by byte."""

import pytest

from tests.parts import Door, bank_key
from tests.service.intake.counter import filed, no_trace
from tests.service.intake.wire import head, refused, report_body, report_head, wired

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_wire_carries_a_report_that_is_accepted(shared: Door) -> None:
    body = report_body()
    async with wired(shared) as wire:
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
async def test_a_body_whose_end_is_ambiguous_is_refused(shared: Door, framing: dict[str, object]) -> None:
    async with no_trace(shared), wired(shared) as wire:
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
async def test_what_is_no_http_is_refused(shared: Door, nonsense: bytes) -> None:
    async with wired(shared) as wire:
        await wire.send(nonsense)
        refused(await wire.answer(), 400)
        assert await wire.hung_up()


async def test_a_chunk_of_a_false_size_is_refused(shared: Door) -> None:
    async with no_trace(shared), wired(shared) as wire:
        await wire.send(report_head(transfer_encoding="chunked") + b"zz\r\n{}\r\n0\r\n\r\n")
        refused(await wire.answer(), 400)


async def test_a_chunked_body_over_64_kb_is_refused_before_its_end(shared: Door) -> None:
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    async with no_trace(shared), wired(shared) as wire:
        await wire.send(report_head(transfer_encoding="chunked") + 5 * chunk)
        assert (await wire.answer()).status == 413


async def test_a_report_whose_head_is_too_large_is_not_filed_even_if_it_came_in_one_piece(shared: Door) -> None:
    body = report_body()
    async with no_trace(shared), wired(shared) as wire:
        await wire.send(report_head(content_length=len(body), x_large="x" * 17_000) + body)
        refused(await wire.answer(), 431)
        assert await wire.hung_up()


async def test_a_head_without_an_end_is_refused_when_it_is_too_large(shared: Door) -> None:
    async with wired(shared) as wire:
        await wire.send(b"GET /v1/orders HTTP/1.1\r\n")
        for _ in range(20):
            await wire.send(b"x: " + b"y" * 1000 + b"\r\n")
        refused(await wire.answer(), 431)


async def test_a_second_request_on_a_connection_has_as_large_a_head_as_the_first(shared: Door) -> None:
    async with wired(shared) as wire:
        for _ in range(3):
            await wire.send(report_head(content_length=2, x_large="x" * 10_000) + b"{}")
            assert (await wire.answer()).status == 422


async def test_requests_sent_in_one_go_are_answered_in_their_order(shared: Door) -> None:
    report_id = await filed(shared)
    asked = head("GET", f"/v1/reports/{report_id}", authorization=f"Bearer {bank_key('ICBC')}")
    async with wired(shared) as wire:
        await wire.send(asked + head("GET", "/v1/nothing") + asked)
        answers = [await wire.answer() for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 404, 200]


async def test_nonsense_behind_a_request_is_not_taken_for_its_answer(shared: Door) -> None:
    report_id = await filed(shared)
    waiting = {"authorization": f"Bearer {bank_key('ICBC')}", "prefer": "wait=1"}
    async with wired(shared) as wire:
        await wire.send(head("GET", f"/v1/reports/{report_id}", **waiting) + b"nonsense\r\n\r\n")
        assert await wire.hung_up()


async def test_an_upgrade_to_another_protocol_is_not_taken_up(shared: Door) -> None:
    upgrade = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec_websocket_version": 13,
        "sec_websocket_key": "eA==",
    }
    async with wired(shared) as wire:
        await wire.send(head("GET", "/v1/orders", **upgrade))
        assert (await wire.answer()).status == 401
