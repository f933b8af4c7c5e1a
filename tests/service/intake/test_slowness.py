"""Clients that keep the door waiting, or keep sending when they have their answer."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.parts import DatabaseServer, Door, intake_door
from tests.service.intake.counter import metric, no_trace
from tests.service.intake.wire import Wire, head, refused, report_body, report_head, wired

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE_SECONDS = 0.5


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty(server: DatabaseServer) -> AsyncIterator[Door]:
    """A door that waits for a head or a body a fraction of a second."""
    clone = await server.clone("intake")
    async with intake_door(clone, head_seconds=PATIENCE_SECONDS, body_seconds=PATIENCE_SECONDS) as door:
        yield door


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
