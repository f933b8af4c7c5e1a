"""Many screens on one stream: all hear everything in time, and one that is too slow harms nobody."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from services.notifier.alerting.reader import Counts, Reader
from services.notifier.alerting.stream import AlertStream, Pace
from shared.access import fingerprint
from shared.postgres import Pool
from tests.parts import DatabaseServer, Door, notifier_door, officer_token
from tests.service.notifier.builders import a_verdict, an_account, take, until
from tests.service.notifier.police import CITY, CUIZHU, LUOHU
from tests.service.notifier.screens import Ear, listening, post

TOKEN = fingerprint(officer_token("叶知远"))


@asynccontextmanager
async def a_stream(pool: Pool, kept: int, dropped: list[str]) -> AsyncIterator[AlertStream]:
    """A stream without a door, that keeps few alerts in memory."""
    pace = Pace(look_every=0.01, tend_every=0.01, kept=kept)
    stream = AlertStream(pool, lambda: False, pace, Counts(dropped=dropped.append))
    await stream.open()
    yield stream
    await stream.close()


async def a_reader(stream: AlertStream, after: int | None = None) -> Reader:
    return await stream.reader("/SZ/", TOKEN, after, lambda: None)


def positions(text: bytes) -> list[int]:
    return [
        int(event.split(b"\n")[0].removeprefix(b"id: ")) for event in text.split(b"\n\n") if b"event: alert" in event
    ]


async def hear(following: AsyncIterator[bytes], number: int) -> list[int]:
    """Read so many alerts."""
    heard: list[int] = []
    async with asyncio.timeout(10):
        while len(heard) < number:
            heard += positions(await anext(following))
    return heard


async def test_forty_screens_hear_twenty_alerts_a_second_in_order_and_in_time(notifier: Door) -> None:
    await take(notifier.pool, a_verdict())
    posted: dict[int, float] = {}
    async with AsyncExitStack() as stack:
        whos = (CITY, LUOHU, CUIZHU, CITY) * 10
        ears = [await stack.enter_async_context(listening(notifier, who)) for who in whos]
        tasks = [asyncio.create_task(_delays(ear, 30, posted)) for ear in ears]
        for _ in range(30):
            [position] = await post(notifier.pool)
            posted[position] = time.monotonic()
            await asyncio.sleep(0.05)
        delays = sorted(delay for heard in await asyncio.gather(*tasks) for delay in heard)
    assert len(delays) == 40 * 30
    assert delays[len(delays) // 2] < 0.25, "the longest of them may be the machine's doing"


async def _delays(ear: Ear, number: int, posted: dict[int, float]) -> list[float]:
    heard = [((await ear.next())[0], time.monotonic()) for _ in range(number)]
    assert [position for position, _ in heard] == list(posted)
    return [at - posted[position] for position, at in heard]


async def test_a_screen_that_takes_nothing_is_hung_up_on_and_the_others_hear_everything(
    server: DatabaseServer,
) -> None:
    async with notifier_door(await server.clone("notifier"), stream_drain_seconds=0.5) as door:
        await take(door.pool, a_verdict())
        with socket.socket() as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.connect(("127.0.0.1", door.port))
            stuck.sendall(f"GET /v1/alerts/stream HTTP/1.1\r\nAuthorization: {CITY['Authorization']}\r\n\r\n".encode())
            async with listening(door) as ear:
                await until(lambda: _metric(door, "lanjie_stream_readers 2.0"))
                posted = await post(door.pool, 1000)
                assert [(await ear.next())[0] for _ in posted] == posted
                await until(lambda: _metric(door, 'lanjie_stream_readers_dropped_total{reason="stuck"} 1.0'))
                await until(lambda: _metric(door, "lanjie_stream_readers 1.0"))
                posted = await post(door.pool)
                assert [(await ear.next())[0]] == posted
        await until(lambda: _metric(door, "lanjie_stream_readers 0.0"))
        assert await _metric(door, 'lanjie_stage_seconds_count{stage="alert_to_stream"}')


async def _metric(door: Door, line: str) -> bool:
    return line in (await door.client.get("/metrics")).text


async def test_a_screen_that_comes_back_late_catches_up_from_the_database_while_more_is_posted(pool: Pool) -> None:
    await take(pool, a_verdict())
    posted = [1, *await post(pool, 300)]
    dropped: list[str] = []
    async with a_stream(pool, 10, dropped) as stream:
        following = stream.follow(await a_reader(stream, 0))
        heard = await hear(following, 64)
        posted += await post(pool, 5)
        heard += await hear(following, 306 - 64)
        posted += await post(pool, 5)
        heard += await hear(following, 5)
        await following.aclose()
    assert heard == posted
    assert dropped == []


async def test_a_screen_that_falls_behind_what_is_kept_is_let_go_and_hears_the_rest_when_it_comes_back(
    pool: Pool,
) -> None:
    await take(pool, a_verdict())
    dropped: list[str] = []
    async with a_stream(pool, 5, dropped) as stream:
        slow = stream.follow(await a_reader(stream))
        posted = await post(pool)
        heard = await hear(slow, 1)
        posted += await post(pool, 40)
        quick = await a_reader(stream, posted[-2])
        await hear(following := stream.follow(quick), 1)
        assert [text async for text in slow] == []
        assert dropped == ["behind"]
        again = stream.follow(await a_reader(stream, heard[-1]))
        heard += await hear(again, 40)
        await again.aclose()
        await following.aclose()
        assert stream.connected() == 0
    assert heard == posted


async def test_a_screen_of_a_quiet_unit_is_not_behind_however_much_the_others_hear(pool: Pool) -> None:
    await take(pool, a_verdict())
    dropped: list[str] = []
    async with a_stream(pool, 20, dropped) as stream:
        quiet = stream.follow(await dongmen(stream, None))
        heard = asyncio.create_task(hear(quiet, 1))
        busy = stream.follow(await a_reader(stream))
        for _ in range(8):
            await hear(busy, len(await post(pool, 10)))
        await take(pool, a_verdict(an_account(), "ICBC-SZ-LH-002"))
        assert await heard == [await pool.fetchval("select max(position) from alert")]
        await quiet.aclose()
        await busy.aclose()
    assert dropped == []


async def test_a_screen_of_a_quiet_unit_that_comes_back_late_hears_the_first_alert_there_is(pool: Pool) -> None:
    await take(pool, a_verdict())
    await post(pool, 30)
    async with a_stream(pool, 5, []) as stream:
        quiet = stream.follow(await dongmen(stream, 0))
        heard = asyncio.create_task(hear(quiet, 1))
        await until(lambda: _connected(stream))
        await take(pool, a_verdict(an_account(), "ICBC-SZ-LH-002"))
        assert await heard == [await pool.fetchval("select max(position) from alert")]
        await quiet.aclose()


async def dongmen(stream: AlertStream, after: int | None) -> Reader:
    """A reader at a station that none of the alerts posted anew is for."""
    return await stream.reader("/SZ/SZ-LH/SZ-LH-DM/", fingerprint(officer_token("何婉仪")), after, lambda: None)


async def _connected(stream: AlertStream) -> bool:
    return stream.connected() == 1
