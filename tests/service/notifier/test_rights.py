"""Timely release is a duty: what an unfounded case sets free, and which branches report for nothing."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.parts import Door
from tests.service.notifier.builders import a_success, a_verdict, an_account, hear
from tests.service.notifier.police import (
    CITY,
    CUIZHU,
    DONGMEN,
    a_case,
    case_of,
    clocks,
    close,
    done,
    new_case,
    ordered,
    orders_of,
)

DM = "ICBC-SZ-LH-002"


async def branches(door: Door, who: dict[str, str] = CITY, **query: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    answer = await door.client.get("/v1/branches/unfounded", params=query, headers=who)
    assert answer.status_code == 200, answer.text
    return answer.json()["branches"]  # type: ignore[no-any-return]


async def closed_as(door: Door, finding: str, *branches_reporting: str) -> str:
    account = an_account()
    case_id = await a_case(door, *(a_verdict(account, branch=branch) for branch in branches_reporting))
    assert (await close(door, case_id, finding, CITY)).status_code == 200
    return case_id


async def test_a_release_that_follows_from_an_unfounded_case_has_a_deadline_until_the_bank_answers(
    notifier: Door,
) -> None:
    case_id = await new_case(notifier)
    await hear(notifier.pool, a_success(await ordered(notifier, case_id)))
    release = (await close(notifier, case_id, "unfounded")).json()["orders"][-1]
    assert "release" in await clocks(notifier, case_id)
    await hear(notifier.pool, a_success(release))
    assert await clocks(notifier, case_id) == []


async def test_a_case_is_found_unfounded_without_waiting_for_the_bank_and_frees_what_it_stops_then(
    notifier: Door,
) -> None:
    case_id = await new_case(notifier)
    stop = await ordered(notifier, case_id)
    assert (await close(notifier, case_id, "unfounded")).status_code == 200
    await hear(notifier.pool, a_success(stop))
    assert [row["kind"] for row in await orders_of(notifier, case_id)] == ["stop", "release_stop"]


async def test_the_branches_with_unfounded_reports_are_shown_the_most_first(notifier: Door) -> None:
    assert await branches(notifier) == []
    await closed_as(notifier, "unfounded", DM, "ICBC-SZ-LH-001")
    last = await closed_as(notifier, "unfounded", DM)
    await closed_as(notifier, "confirmed", "ICBC-SZ-LH-001", "CCB-SZ-LH-001")
    await a_case(notifier, a_verdict(an_account(), branch=DM))
    first, second = await branches(notifier)
    closed_at = (await case_of(notifier, last))["closed_at"]
    assert first == {
        "branch": DM,
        "name": "工商银行深圳东门支行",
        "bank": "ICBC",
        "unit": "SZ-LH-DM",
        "reports": 2,
        "unfounded": 2,
        "share": 1.0,
        "last_unfounded_at": closed_at,
    }
    assert (second["branch"], second["reports"], second["unfounded"], second["share"]) == ("ICBC-SZ-LH-001", 2, 1, 0.5)


async def test_an_officer_sees_the_branches_of_the_own_subtree(notifier: Door) -> None:
    await closed_as(notifier, "unfounded", DM, "ICBC-SZ-LH-001")
    assert [row["branch"] for row in await branches(notifier, DONGMEN)] == [DM]
    assert [row["branch"] for row in await branches(notifier, CUIZHU)] == ["ICBC-SZ-LH-001"]


async def test_the_list_can_be_cut_by_time_and_number(notifier: Door) -> None:
    first = await closed_as(notifier, "unfounded", "ICBC-SZ-LH-001")
    second = await closed_as(notifier, "unfounded", DM)
    since = (await case_of(notifier, second))["closed_at"]
    assert [row["branch"] for row in await branches(notifier, since=since)] == [DM]
    assert len(await branches(notifier, since=(await case_of(notifier, first))["closed_at"])) == 2
    later = (datetime.fromisoformat(since) + timedelta(seconds=1)).isoformat()
    assert await branches(notifier, since=later) == []
    assert len(await branches(notifier, limit=1)) == 1


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 501}, {"since": "yesterday"}])
async def test_a_query_that_cannot_be_understood_is_refused(notifier: Door, query: dict[str, Any]) -> None:
    answer = await notifier.client.get("/v1/branches/unfounded", params=query, headers=CITY)
    assert answer.status_code == 422


async def test_a_reopened_case_counts_no_more_in_the_list_while_the_counter_stays(notifier: Door) -> None:
    case_id = await closed_as(notifier, "unfounded", DM)
    await done(notifier, case_id, "reopen", CITY, reason="x")
    assert await branches(notifier) == []
    metrics = (await notifier.client.get("/metrics")).text
    assert 'lanjie_reports_unfounded_total{bank="ICBC",unit="SZ-LH-DM"} 1.0' in metrics
