"""Duty at the door: who is on, where nobody is, and shifts that change hands."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from httpx2 import Response

from tests.parts import Door, officer_token
from tests.service.notifier.builders import now
from tests.service.notifier.police import AUDITOR, CITY, CUIZHU, DONGMEN, LUOHU, recorded
from tests.service.notifier.reach import AUDITOR_NAME, CUIZHU_OFFICER, LUOHU_APPROVER, add_officer, on_duty

COLLEAGUE = "温若溪"
HERS = {"Authorization": f"Bearer {officer_token(COLLEAGUE)}"}


async def duty(door: Door, who: dict[str, str] = CITY, **query: str) -> dict[str, Any]:
    """A subtree's duty by unit."""
    answer = await door.client.get("/v1/duty", params=query, headers=who)
    assert answer.status_code == 200, answer.text
    return {unit["unit"]: unit for unit in answer.json()["units"]}


async def hand_over(door: Door, to: str = COLLEAGUE, who: dict[str, str] = CUIZHU, **more: str) -> Response:
    return await door.client.post("/v1/duty/hand-over", json={"to": to, **more}, headers=who)


async def shifts(door: Door) -> list[dict[str, Any]]:
    return await door.rows(
        """
        select o.name, s.starts_at, s.ends_at, s.handed_over_from is not null as handed
        from shift s join officer o on o.id = s.officer order by s.starts_at
        """
    )


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_duty_shows_who_is_on_the_next_change_and_the_gaps(notifier: Door) -> None:
    await add_officer(notifier.pool, COLLEAGUE, "SZ-LH-CZ")
    await on_duty(notifier.pool, CUIZHU_OFFICER, since=-2, hours=12)
    await on_duty(notifier.pool, COLLEAGUE, since=-1, hours=3)
    await on_duty(notifier.pool, COLLEAGUE, since=20, hours=24)
    found = (await duty(notifier))["SZ-LH-CZ"]
    assert [one["officer"] for one in found["on_duty"]] == [CUIZHU_OFFICER, COLLEAGUE]
    assert at(found["next_change"]) == at(found["on_duty"][1]["until"])
    first, second = found["gaps"]
    assert at(first["since"]) == at(found["on_duty"][0]["until"])
    assert at(first["until"]) - at(first["since"]) == pytest.approx(timedelta(hours=10), abs=timedelta(seconds=5))
    assert at(second["until"]) - now() == pytest.approx(timedelta(days=7), abs=timedelta(seconds=5))


async def test_a_unit_without_a_roster_is_one_gap(notifier: Door) -> None:
    found = (await duty(notifier))["SZ-LH-DM"]
    assert (found["on_duty"], found["next_change"], len(found["gaps"])) == ([], None, 1)


async def test_duty_is_shown_of_the_own_subtree_and_no_other(notifier: Door) -> None:
    assert set(await duty(notifier, DONGMEN)) == {"SZ-LH-DM"}
    assert set(await duty(notifier, LUOHU, unit="SZ-LH-CZ")) == {"SZ-LH-CZ"}
    assert {"SZ", "SZ-LH", "SZ-FT", "SZ-LH-CZ"} <= set(await duty(notifier, AUDITOR))
    foreign, absent = [
        await notifier.client.get("/v1/duty", params={"unit": unit}, headers=DONGMEN) for unit in ("SZ-LH-CZ", "NONE")
    ]
    assert foreign.status_code == absent.status_code == 404
    assert foreign.content == absent.content
    assert (await notifier.client.get("/v1/duty", params={"unit": "\0"}, headers=DONGMEN)).status_code == 422


async def test_an_officer_revoked_or_moved_away_is_not_on_duty(notifier: Door) -> None:
    await add_officer(notifier.pool, COLLEAGUE, "SZ-LH-CZ")
    await on_duty(notifier.pool, CUIZHU_OFFICER, COLLEAGUE)
    await notifier.pool.execute("update officer set revoked_at = now() where name = $1", CUIZHU_OFFICER)
    await notifier.pool.execute("update officer set unit = 'SZ-FT' where name = $1", COLLEAGUE)
    assert (await duty(notifier, LUOHU))["SZ-LH-CZ"]["on_duty"] == []


async def test_a_hand_over_ends_one_shift_and_begins_the_other_until_the_same_end(notifier: Door) -> None:
    await add_officer(notifier.pool, COLLEAGUE, "SZ-LH-CZ")
    await on_duty(notifier.pool, CUIZHU_OFFICER, since=-2, hours=12)
    [planned] = await shifts(notifier)
    answer = await hand_over(notifier, note="网点来电待回")
    assert answer.status_code == 200
    before, after = await shifts(notifier)
    assert before["ends_at"] == after["starts_at"]
    assert (after["name"], after["ends_at"], after["handed"]) == (COLLEAGUE, planned["ends_at"], True)
    told = answer.json()
    assert (told["unit"], told["handed_over_by"], told["on_duty"]["officer"]) == ("SZ-LH-CZ", CUIZHU_OFFICER, COLLEAGUE)
    assert [one["officer"] for one in (await duty(notifier))["SZ-LH-CZ"]["on_duty"]] == [COLLEAGUE]
    assert await recorded(notifier, told["shift_id"]) == [(f"officer:{CUIZHU_OFFICER}", "handed_over", "网点来电待回")]


async def test_handing_over_twice_or_at_once_is_once(notifier: Door) -> None:
    await add_officer(notifier.pool, COLLEAGUE, "SZ-LH-CZ")
    await on_duty(notifier.pool, CUIZHU_OFFICER)
    answers = await asyncio.gather(*(hand_over(notifier) for _ in range(6)))
    answers.append(await hand_over(notifier))
    assert {answer.status_code for answer in answers} == {200}
    assert {(answer.json()["shift_id"], answer.json()["on_duty"]["since"]) for answer in answers} == {
        (answers[0].json()["shift_id"], answers[0].json()["on_duty"]["since"])
    }
    assert await notifier.count("shift") == 2
    assert await notifier.count("audit") == 1


async def test_a_shift_may_come_back(notifier: Door) -> None:
    await add_officer(notifier.pool, COLLEAGUE, "SZ-LH-CZ")
    await notifier.pool.execute(
        "update officer set token_sha256 = sha256($1) where name = $2", officer_token(COLLEAGUE).encode(), COLLEAGUE
    )
    await on_duty(notifier.pool, CUIZHU_OFFICER)
    assert (await hand_over(notifier)).status_code == 200
    assert (await hand_over(notifier, CUIZHU_OFFICER, HERS)).status_code == 200
    assert [one["officer"] for one in (await duty(notifier))["SZ-LH-CZ"]["on_duty"]] == [CUIZHU_OFFICER]
    assert await notifier.count("shift") == 3


@pytest.mark.parametrize("to", [LUOHU_APPROVER, "何婉仪", AUDITOR_NAME, "没有此人", "\0", ""])
async def test_a_shift_goes_to_officers_of_the_unit_alone(notifier: Door, to: str) -> None:
    await on_duty(notifier.pool, CUIZHU_OFFICER)
    before = await shifts(notifier)
    answer = await hand_over(notifier, to)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == ["to"]
    assert await shifts(notifier) == before


async def test_a_shift_does_not_go_to_whoever_has_one_then(notifier: Door) -> None:
    await add_officer(notifier.pool, COLLEAGUE, "SZ-LH-CZ")
    await on_duty(notifier.pool, CUIZHU_OFFICER, since=-2, hours=12)
    await on_duty(notifier.pool, COLLEAGUE, since=9, hours=12)
    before = await shifts(notifier)
    answer = await hand_over(notifier)
    assert answer.status_code == 409
    assert "has a shift" in answer.json()["detail"]
    assert await shifts(notifier) == before
    assert await notifier.count("audit") == 0


async def test_who_is_not_on_duty_has_nothing_to_hand_over(notifier: Door) -> None:
    await add_officer(notifier.pool, COLLEAGUE, "SZ-LH-CZ")
    await on_duty(notifier.pool, CUIZHU_OFFICER, since=1)
    answer = await hand_over(notifier)
    assert answer.status_code == 409
    assert "not on duty" in answer.json()["detail"]
    assert (await hand_over(notifier, CUIZHU_OFFICER, AUDITOR)).status_code == 403


async def test_units_with_a_roster_and_nobody_on_duty_are_counted(notifier: Door) -> None:
    async def unattended() -> str:
        lines = (await notifier.client.get("/metrics")).text.splitlines()
        return next(line for line in lines if line.startswith("lanjie_units_unattended "))

    await on_duty(notifier.pool, CUIZHU_OFFICER, since=1)
    assert await unattended() == "lanjie_units_unattended 1.0"
    await on_duty(notifier.pool, CUIZHU_OFFICER, since=-5, hours=5.5)
    assert await unattended() == "lanjie_units_unattended 0.0"
