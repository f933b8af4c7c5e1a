"""One-time links: looking changes nothing, pressing the button takes the case on, once."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from httpx2 import Response

from services.notifier.duty import link
from services.notifier.duty.link import GOOD_FOR
from shared.events import CaseChanged
from shared.outbox import new_id
from shared.postgres import Pool
from shared.privacy import Tokens
from tests.parts import TOKENS, Door
from tests.service.notifier.builders import CLEAR_TEXTS, a_verdict, an_account, now, take
from tests.service.notifier.police import CITY, LUOHU, acknowledge, case_of, close, said_of, timeline
from tests.service.notifier.reach import (
    CUIZHU_OFFICER,
    LUOHU_SUPERVISOR,
    add_officer,
    reachable,
    reachable_unit,
)

FORM = {"content-type": "application/x-www-form-urlencoded"}
COLLEAGUE = "温若溪"


async def sent_to(pool: Pool, name: str) -> tuple[UUID, UUID]:
    """The newest delivery to an officer or a unit, and its case."""
    row = await pool.fetchrow(
        """
        select d.id, d.case_id from delivery d join target t on t.id = d.target_id
        left join officer o on o.id = t.officer
        where coalesce(o.name, t.unit) = $1 order by d.created_at desc limit 1
        """,
        name,
    )
    assert row is not None
    return row["id"], row["case_id"]


def path_of(delivery_id: UUID, tokens: Tokens = TOKENS, good_for: timedelta = GOOD_FOR) -> str:
    return link.url("", tokens, delivery_id, now() + good_for)


async def a_link(door: Door, name: str = CUIZHU_OFFICER, delay: int = 600) -> tuple[str, str]:
    """Alert an officer of a new case; return the link's path and the case's id."""
    await reachable(door.pool, name, delay=delay)
    await take(door.pool, a_verdict(account=an_account()))
    delivery_id, case_id = await sent_to(door.pool, name)
    return path_of(delivery_id), str(case_id)


async def press(door: Door, path: str) -> Response:
    return await door.client.post(path, headers=FORM)


async def state(door: Door) -> list[object]:
    """All that a link could change."""
    tables = ("fraud_case", "timeline", "outbox", "audit", "link_used", "delivery", "deadline")
    return [await door.rows(f"select * from {table} order by 1") for table in tables]


async def test_looking_at_a_link_shows_masked_facts_and_changes_nothing(notifier: Door) -> None:
    path, case_id = await a_link(notifier)
    before = await state(notifier)
    for method in ("GET", "GET", "HEAD", "GET"):
        answer = await notifier.client.request(method, path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for text in ("98,000.00 元", "梁** ****1024", "<button", case_id, CUIZHU_OFFICER):
        assert text in answer.text
    assert not [text for text in CLEAR_TEXTS if text in answer.text]
    assert await state(notifier) == before


async def test_the_page_is_not_stored_indexed_framed_or_scripted(notifier: Door) -> None:
    path, _ = await a_link(notifier)
    for answer in (await notifier.client.get(path), await press(notifier, path), await notifier.client.get("/a/x")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-robots-tag"].startswith("noindex")
        assert answer.headers["referrer-policy"] == "no-referrer"
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in policy
        assert "set-cookie" not in answer.headers
        assert "<script" not in answer.text


async def test_pressing_the_button_takes_the_case_on_as_that_officer(notifier: Door) -> None:
    path, case_id = await a_link(notifier)
    answer = await press(notifier, path)
    assert answer.status_code == 200
    assert "签收成功" in answer.text
    assert CUIZHU_OFFICER in answer.text
    case = await case_of(notifier, case_id)
    assert (case["status"], case["acknowledged_by"], timeline(case)[-1]) == (
        "acknowledged",
        CUIZHU_OFFICER,
        "acknowledged",
    )
    assert await said_of(notifier, case_id) == [CaseChanged.type]
    assert await notifier.rows("select actor, action, subject from audit") == [
        {"actor": f"officer:{CUIZHU_OFFICER}", "action": "acknowledged_by_link", "subject": UUID(case_id)}
    ]
    assert await notifier.rows("select state from delivery") == [{"state": "moot"}]
    assert await notifier.rows("select state from deadline where stage = 'acknowledge'") == [{"state": "met"}]


async def test_a_link_counts_like_any_acknowledgement(notifier: Door) -> None:
    path, _ = await a_link(notifier)
    await press(notifier, path)
    await press(notifier, path)
    metrics = (await notifier.client.get("/metrics")).text
    for line in (
        'lanjie_acknowledgements_total{in_time="true",unit="SZ-LH-CZ"} 1.0',
        'lanjie_stage_seconds_count{stage="alert_to_acknowledged"} 1.0',
        'lanjie_links_total{outcome="done"} 1.0',
        'lanjie_links_total{outcome="used"} 1.0',
    ):
        assert line in metrics


async def test_a_link_acknowledges_once(notifier: Door) -> None:
    path, _ = await a_link(notifier)
    await press(notifier, path)
    before = await state(notifier)
    for answer in (await press(notifier, path), await notifier.client.get(path)):
        assert answer.status_code == 200
        assert "此链接已使用" in answer.text
        assert CUIZHU_OFFICER in answer.text
        assert "<button" not in answer.text
    assert await state(notifier) == before


async def test_pressing_many_times_at_once_takes_the_case_on_once(notifier: Door) -> None:
    path, case_id = await a_link(notifier)
    answers = await asyncio.gather(*(press(notifier, path) for _ in range(8)))
    assert sorted("签收成功" in answer.text for answer in answers) == [False] * 7 + [True]
    assert sorted("此链接已使用" in answer.text for answer in answers) == [False] + [True] * 7
    assert timeline(await case_of(notifier, case_id)).count("acknowledged") == 1
    assert await notifier.count("link_used") == 1


async def test_of_two_officers_links_the_first_takes_the_case_and_the_second_learns_by_whom(notifier: Door) -> None:
    await add_officer(notifier.pool, COLLEAGUE, "SZ-LH-CZ")
    await reachable(notifier.pool, COLLEAGUE, delay=600)
    first, case_id = await a_link(notifier)
    second = path_of((await sent_to(notifier.pool, COLLEAGUE))[0])
    answers = await asyncio.gather(press(notifier, first), press(notifier, second))
    assert sorted("签收成功" in answer.text for answer in answers) == [False, True]
    winner = (await case_of(notifier, case_id))["acknowledged_by"]
    assert all(winner in answer.text for answer in answers)
    assert await notifier.count("link_used") == 1


async def test_a_case_that_somebody_else_has_taken_on_stays_theirs(notifier: Door) -> None:
    path, case_id = await a_link(notifier)
    await acknowledge(notifier, case_id, LUOHU)
    before = await state(notifier)
    for answer in (await press(notifier, path), await notifier.client.get(path)):
        assert f"案件已由 {LUOHU_SUPERVISOR}" in answer.text
    assert await state(notifier) == before


async def test_a_case_that_is_closed_needs_nobody(notifier: Door) -> None:
    path, case_id = await a_link(notifier)
    await close(notifier, case_id, who=CITY)
    before = await state(notifier)
    assert "已结案" in (await press(notifier, path)).text
    assert await state(notifier) == before


@pytest.mark.parametrize(
    "what", ["forged", "expired", "foreign key", "unknown", "of a unit", "revoked", "moved", "lost", "x"]
)
async def test_every_link_that_is_not_good_looks_the_same_and_changes_nothing(notifier: Door, what: str) -> None:
    await reachable_unit(notifier.pool, "SZ-LH-CZ", channel="mail")
    path, _ = await a_link(notifier)
    delivery_id, _ = await sent_to(notifier.pool, CUIZHU_OFFICER)
    unit_delivery, _ = await sent_to(notifier.pool, "SZ-LH-CZ")
    bad = {
        "forged": path[:-1] + ("A" if path[-1] != "A" else "B"),
        "expired": path_of(delivery_id, good_for=timedelta(seconds=-1)),
        "foreign key": path_of(delivery_id, Tokens(bytes(32))),
        "unknown": path_of(new_id()),
        "of a unit": path_of(unit_delivery),
    }.get(what, "/a/x" if what == "x" else path)
    if what == "revoked":
        await notifier.pool.execute("update officer set revoked_at = now() where name = $1", CUIZHU_OFFICER)
    if what == "moved":
        await notifier.pool.execute("update officer set unit = 'SZ-FT' where name = $1", CUIZHU_OFFICER)
    if what == "lost":
        await notifier.pool.execute("update target set removed_at = now() where officer is not null")
    watched = "select version, status from fraud_case"
    before = await notifier.rows(watched)
    plain = await notifier.client.get("/a/nothing")
    for answer in (await notifier.client.get(bad), await press(notifier, bad)):
        assert answer.status_code == 404
        assert answer.content == plain.content
    assert await notifier.rows(watched) == before
    for table in ("audit", "link_used"):
        assert await notifier.count(table) == 0


async def test_a_form_that_is_not_one_or_too_large_is_refused(notifier: Door) -> None:
    path, _ = await a_link(notifier)
    assert (await notifier.client.post(path, json={})).status_code == 415
    assert (await notifier.client.post(path, content=b"x" * 1025, headers=FORM)).status_code == 413
    for method in ("PUT", "DELETE", "PATCH"):
        assert (await notifier.client.request(method, path)).status_code == 405
    assert await notifier.count("link_used") == 0
