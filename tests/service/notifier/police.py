"""What officers do at the door."""

from typing import Any, cast
from uuid import UUID

from httpx2 import Response

from shared.events import VerdictReached
from tests.parts import IDENTITY, Door, officer_of
from tests.service.notifier.builders import a_verdict, an_account, take

CITY = officer_of("SZ")
AUDITOR = officer_of("SZ", "auditor")
LUOHU = officer_of("SZ-LH", "supervisor")
CUIZHU = officer_of("SZ-LH-CZ")
COUNTY = officer_of("SZ-LH", "approver")
DONGMEN = officer_of("SZ-LH-DM")
FUTIAN = officer_of("SZ-FT", "approver")


async def inbox(door: Door, who: dict[str, str] = CITY, **query: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """The cases an officer sees."""
    answer = await door.client.get("/v1/cases", params=query, headers=who)
    assert answer.status_code == 200, answer.text
    return cast("list[dict[str, Any]]", answer.json()["cases"])


async def case_of(door: Door, case_id: str, who: dict[str, str] = CITY) -> dict[str, Any]:
    """One case as an officer sees it."""
    answer = await door.client.get(f"/v1/cases/{case_id}", headers=who)
    assert answer.status_code == 200, answer.text
    return cast("dict[str, Any]", answer.json())


async def a_case(door: Door, *verdicts: VerdictReached) -> str:
    """Open a case; return its id."""
    taken = await take(door.pool, *(verdicts or (a_verdict(),)))
    return str(taken.placed[0].case_id)


async def new_case(door: Door) -> str:
    """Open a case on an account of its own; return its id."""
    return await a_case(door, a_verdict(account=an_account()))


async def said_of(door: Door, case_id: str) -> list[str]:
    """The types of the events about a case that are in the outbox, sorted."""
    rows = await door.rows("select type from outbox where key = $1 order by type", case_id)
    return [row["type"] for row in rows]


async def promised(door: Door, case_id: str) -> list[dict[str, Any]]:
    """What is promised about a case and awaits its answer."""
    return await door.rows("select * from outbox where key = $1 and awaits_answer order by type", case_id)


async def orders_of(door: Door, case_id: str) -> list[dict[str, Any]]:
    """The orders of a case as they are stored."""
    return await door.rows("select * from bank_order where case_id = $1 order by id", UUID(case_id))


async def acknowledge(door: Door, case_id: str, who: dict[str, str] = CUIZHU) -> Response:
    return await door.client.post(f"/v1/cases/{case_id}/acknowledge", headers=who)


async def give(door: Door, case_id: str, kind: str = "stop", who: dict[str, str] = CUIZHU, **more: Any) -> Response:  # noqa: ANN401
    """Give an order; with a reason where it frees, and a notice where it freezes."""
    if kind in ("release_stop", "unfreeze"):
        more = {"reason": "核实无误，及时解除", **more}
    elif kind in ("freeze", "extend_freeze"):
        more = {"notice_number": "深公（罗）冻字〔2026〕1号", **more}
    return await door.client.post(f"/v1/cases/{case_id}/orders", json={"kind": kind, **more}, headers=who)


async def ordered(door: Door, case_id: str, kind: str = "stop", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Give an order that is taken; return it."""
    answer = await give(door, case_id, kind, **more)
    assert answer.status_code == 201, answer.text
    return cast("dict[str, Any]", answer.json())


async def approve(door: Door, order: dict[str, Any], who: dict[str, str] = COUNTY) -> Response:
    """Approve an order as a second officer."""
    return await door.client.post(f"/v1/orders/{order['id']}/approve", headers=who)


async def approved(door: Door, order: dict[str, Any], who: dict[str, str] = COUNTY) -> dict[str, Any]:
    """Approve an order that may be; return it."""
    answer = await approve(door, order, who)
    assert answer.status_code == 200, answer.text
    return cast("dict[str, Any]", answer.json())


async def reject(door: Door, order: dict[str, Any], who: dict[str, str] = COUNTY, reason: str = "依据不足") -> Response:
    """Turn a proposed order down."""
    return await door.client.post(f"/v1/orders/{order['id']}/reject", json={"reason": reason}, headers=who)


async def close(
    door: Door,
    case_id: str,
    finding: str = "confirmed",
    who: dict[str, str] = CUIZHU,
    **more: Any,  # noqa: ANN401
) -> Response:
    body = {"finding": finding, "reason": "核实完毕", **more}
    return await door.client.post(f"/v1/cases/{case_id}/close", json=body, headers=who)


def timeline(case: dict[str, Any]) -> list[str]:
    """The kinds of a case's timeline, in order."""
    return [entry["kind"] for entry in case["timeline"]]


async def does(door: Door, case_id: str, step: str, who: dict[str, str] = CUIZHU, /, **body: Any) -> Response:  # noqa: ANN401
    """Take a step of case work."""
    return await door.client.post(f"/v1/cases/{case_id}/{step}", json=body, headers=who)


async def done(door: Door, case_id: str, step: str, who: dict[str, str] = CUIZHU, /, **body: Any) -> dict[str, Any]:  # noqa: ANN401
    """Take a step of case work that is possible; return the case it answers with."""
    answer = await does(door, case_id, step, who, **body)
    assert answer.status_code in (200, 201), answer.text
    return cast("dict[str, Any]", answer.json())


async def clocks(door: Door, case_id: str) -> list[str]:
    """The stages whose deadlines run in a case, sorted."""
    sql = "select stage from deadline where case_id = $1 and state = 'running' order by stage"
    return [row["stage"] for row in await door.rows(sql, UUID(case_id))]


async def recorded(door: Door, subject: str) -> list[tuple[str, str, str]]:
    """Who did what to a case, an order or a shift, and why; only sealed words are opened."""
    sql = "select actor, action, sealed from audit where subject = $1 and reason = '' order by id"
    rows = await door.rows(sql, UUID(subject))
    return [
        (row["actor"], row["action"], IDENTITY.open(row["sealed"], subject) if row["sealed"] else "") for row in rows
    ]
