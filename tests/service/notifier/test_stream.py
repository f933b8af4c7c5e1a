"""The alert stream over real HTTP: who hears what, and what a broken connection loses (nothing)."""

import asyncio
import json
import time

import httpx2
import pytest

from shared.access import TRUST_SECONDS
from shared.events import VerdictReached
from shared.postgres import Connection
from tests.parts import DatabaseServer, Door, notifier_door
from tests.service.notifier.builders import CLEAR_TEXTS, a_verdict, an_account, take, until
from tests.service.notifier.police import CITY, CUIZHU, DONGMEN, FUTIAN, LUOHU
from tests.service.notifier.screens import Alert, Ear, StreamEndedError, listening, post


def report_of(alert: Alert) -> str:
    return str(alert[1]["report_id"])


def ids(*verdicts: VerdictReached) -> list[str]:
    return [str(verdict.report.report_id) for verdict in verdicts]


async def test_new_alerts_arrive_with_masked_facts_and_those_before_the_connection_do_not(notifier: Door) -> None:
    async with listening(notifier) as ear:
        await take(notifier.pool, a_verdict(account=an_account()))
        await ear.next()
    async with listening(notifier) as ear:
        verdict = a_verdict(amount_fen=100)
        await take(notifier.pool, verdict)
        _, facts = await ear.next()
    assert facts["report_id"] == str(verdict.report.report_id)
    assert (facts["kind"], facts["level"], facts["amount_fen"]) == ("opened", "alert", 100)
    assert (facts["unit"], facts["branch"]) == ("SZ-LH-CZ", "ICBC-SZ-LH-001")
    assert facts["why"] == ["提到安全账户"], "only what speaks for fraud"
    assert facts["link"] == f"/v1/cases/{facts['case_id']}"
    assert not any(clear in json.dumps(facts, ensure_ascii=False) for clear in CLEAR_TEXTS)


async def test_an_officer_hears_the_alerts_of_the_own_subtree_only(notifier: Door) -> None:
    branches = ("ICBC-SZ-LH-001", "ICBC-SZ-LH-002", "ICBC-SZ-FT-001")
    verdicts = [a_verdict(account=an_account(), branch=branch) for branch in (*branches, *branches)]
    await take(notifier.pool, *verdicts)
    cuizhu, dongmen, futian, *_ = all_ids = ids(*verdicts)
    for who, expected in (
        (CUIZHU, [cuizhu, all_ids[3]]),
        (DONGMEN, [dongmen, all_ids[4]]),
        (FUTIAN, [futian, all_ids[5]]),
        (LUOHU, [cuizhu, dongmen, all_ids[3], all_ids[4]]),
        (CITY, all_ids),
    ):
        async with listening(notifier, who, last_id="0") as ear:
            assert [report_of(await ear.next()) for _ in expected] == expected


async def test_a_connection_taken_up_again_loses_no_alert_and_repeats_none(notifier: Door) -> None:
    verdicts = [a_verdict(account=an_account()) for _ in range(6)]
    async with listening(notifier) as ear:
        await take(notifier.pool, verdicts[0], verdicts[1])
        heard = [report_of(await ear.next())]
        last_id = ear.last_id
    await take(notifier.pool, verdicts[2])
    await take(notifier.pool, verdicts[3], verdicts[4])
    async with listening(notifier, last_id=last_id) as ear:
        heard += [report_of(await ear.next()) for _ in range(4)]
        await take(notifier.pool, verdicts[5])
        heard.append(report_of(await ear.next()))
    assert heard == ids(*verdicts)


async def test_an_id_of_an_alert_that_others_see_is_a_place_to_resume_from(notifier: Door) -> None:
    async with listening(notifier, DONGMEN) as ear:
        await take(notifier.pool, a_verdict(branch="ICBC-SZ-LH-001"))
        mine = a_verdict(branch="ICBC-SZ-LH-002", account=an_account())
        await take(notifier.pool, mine)
        position, _ = await ear.next()
    async with listening(notifier, DONGMEN, last_id=str(position - 1)) as ear:
        assert report_of(await ear.next()) == ids(mine)[0]


async def test_more_alerts_than_a_page_holds_all_arrive_in_order(notifier: Door) -> None:
    verdicts = [a_verdict() for _ in range(450)]
    await take(notifier.pool, *verdicts)
    async with listening(notifier, last_id="0") as ear:
        heard = [await ear.next() for _ in verdicts]
    assert [report_of(alert) for alert in heard] == ids(*verdicts)
    assert [position for position, _ in heard] == sorted({position for position, _ in heard})


async def test_whoever_hears_an_alert_has_heard_all_before_it_though_two_replicas_alert_at_once(
    notifier: Door,
) -> None:
    zeroth, first, second = a_verdict(), a_verdict(), a_verdict(an_account(), "CMB-SZ-LH-002")
    await take(notifier.pool, zeroth)
    async with listening(notifier, last_id="0") as ear, notifier.pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute("select from ledger_total for update")  # the first comes as far as its money
            tasks = [asyncio.create_task(take(notifier.pool, first))]
            await until(lambda: _waiting(connection, 1))
            tasks.append(asyncio.create_task(take(notifier.pool, second)))
            await until(lambda: _waiting(connection, 2))
        await asyncio.gather(*tasks)
        heard = [report_of(await ear.next()) for _ in range(3)]
    assert heard == ids(zeroth, first, second)


async def _waiting(connection: Connection, number: int) -> bool:
    waiting: int = await connection.fetchval("select count(*) from pg_locks where not granted")
    return waiting == number


@pytest.mark.parametrize("last_id", ["x", "-1", "1.5", "٣", "9" * 19, "1 2", "0x10"])
@pytest.mark.asyncio(loop_scope="module")
async def test_an_id_that_is_none_of_the_streams_is_refused(shared_notifier: Door, last_id: str) -> None:
    headers = {b"Authorization": CITY["Authorization"].encode(), b"Last-Event-ID": last_id.encode()}
    answer = await shared_notifier.client.get("/v1/alerts/stream", headers=headers)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["Last-Event-ID"]


async def test_an_id_from_a_database_that_is_gone_is_taken_as_from_now_on(notifier: Door) -> None:
    await take(notifier.pool, a_verdict())
    async with listening(notifier, last_id="1000000") as ear:
        [position] = await post(notifier.pool)
        assert (await ear.next())[0] == position


async def test_a_stream_ends_before_an_alert_that_its_officer_may_no_longer_see(notifier: Door) -> None:
    async with listening(notifier, CUIZHU) as ear:
        await notifier.pool.execute("update officer set revoked_at = now() where name = '陆峥'")

        async def refused() -> bool:
            return (await notifier.client.get("/v1/cases", headers=CUIZHU)).status_code == 401

        await until(refused)
        await take(notifier.pool, a_verdict())
        with pytest.raises(StreamEndedError):
            await ear.next()


@pytest.mark.parametrize(
    "change", ["revoked_at = now()", "unit = 'SZ-LH-DM'", "token_sha256 = 'another'"], ids=["revoked", "moved", "lost"]
)
async def test_an_officers_stream_ends_within_about_a_second_though_nothing_is_to_be_shown(
    notifier: Door, change: str
) -> None:
    async with listening(notifier, CUIZHU) as ear, listening(notifier, DONGMEN) as other:
        await notifier.pool.execute(f"update officer set {change} where name = '陆峥'")
        async with asyncio.timeout(2):
            with pytest.raises(StreamEndedError):
                await ear.next()
        mine = a_verdict(branch="ICBC-SZ-LH-002")
        await take(notifier.pool, mine)
        assert report_of(await other.next()) == ids(mine)[0], "another officer's goes on"


async def test_nothing_is_shown_while_nobody_can_say_who_may_see_it(notifier: Door) -> None:
    await take(notifier.pool, a_verdict())
    async with listening(notifier, CUIZHU) as ear, notifier.pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute("lock table officer in access exclusive mode")
            await until(lambda: _waiting(connection, 1))
            await asyncio.sleep(TRUST_SECONDS)  # the last check is too old now
            await post(notifier.pool)
            with pytest.raises(TimeoutError):
                await ear.next(within=0.5)
            await connection.execute("update officer set revoked_at = now() where name = '陆峥'")
        with pytest.raises(StreamEndedError):
            await ear.next()


async def test_a_silent_stream_gives_a_sign_of_life_with_the_place_to_resume_from(server: DatabaseServer) -> None:
    dsn = await server.clone("notifier")
    async with notifier_door(dsn, stream_heartbeat_seconds=0.2) as door, listening(door, DONGMEN) as ear:
        await take(door.pool, a_verdict())  # another unit's
        position = await door.pool.fetchval("select position from alert")
        await until(lambda: _beaten(ear, str(position)))


async def _beaten(ear: Ear, last_id: str) -> bool:
    await ear.event()
    return ear.last_id == last_id


async def test_a_stream_ends_quickly_when_the_server_stops(server: DatabaseServer) -> None:
    async with httpx2.AsyncClient() as client:
        async with notifier_door(await server.clone("notifier")) as door:
            request = client.stream("GET", f"{door.url}/v1/alerts/stream", headers=CITY)
            response = await request.__aenter__()
            ear = Ear(response)
            await ear.opened()
            began = time.monotonic()
        assert time.monotonic() - began < 3
        with pytest.raises(StreamEndedError):
            await ear.next()
        await request.__aexit__(None, None, None)
