"""Puts on the table what a walk needs: reports that became cases, and orders that wait for their banks."""

import asyncio
from typing import Any, Final

import httpx2

from tests.e2e.stack import Stack
from tests.parts import a_key, a_report

CASES: Final = 24
ORDERED: Final = 12
PROPOSED: Final = 4
MUCH: Final = 150_000_000
"""Fen: an order about so much waits for a second officer."""
STATION: Final = "SZ-LH-CZ"


async def seed(stack: Stack) -> dict[str, list[str]]:
    """File reports that alert the station of 翠竹, order stops in some of them; return the ids, by their names.

    A walk sends most of its made-up ids to nothing; these are for it to hit something.
    """
    async with httpx2.AsyncClient(timeout=30) as client, asyncio.timeout(120):
        reports = [await _file(client, stack, place) for place in range(CASES)]
        cases = await _cases(client, stack)
        orders = []
        large = [case for case in cases if case["amount_fen"] == MUCH]
        small = [case for case in cases if case["amount_fen"] != MUCH]
        for case in small[:ORDERED] + large[:PROPOSED]:
            answer = await client.post(
                f"{stack.info['notifier']}/v1/cases/{case['id']}/orders",
                headers=stack.officer(STATION),
                json={"kind": "stop", "reason": "已电话联系网点核实"},
            )
            assert answer.status_code == 201, answer.text
            orders.append(answer.json()["id"])
        await _ordered(client, stack)
    return {"report_id": reports, "case_id": [case["id"] for case in cases], "order_id": orders}


async def _file(client: httpx2.AsyncClient, stack: Stack, place: int) -> str:
    bank = ("ICBC", "CCB")[place % 2]
    told: dict[str, Any] = {"payee__account": f"6217{place:015}", "payee__bank_code": bank}
    if place % 3 == 0:
        told["transfer__amount_fen"] = MUCH
    headers = stack.bank("ICBC", **{"Idempotency-Key": a_key()})
    answer = await client.post(f"{stack.info['intake']}/v1/reports", headers=headers, json=a_report(**told))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def _cases(client: httpx2.AsyncClient, stack: Stack) -> list[dict[str, Any]]:
    """Wait until every report has its case."""
    while True:
        answer = await client.get(f"{stack.info['notifier']}/v1/cases", headers=stack.officer(STATION))
        cases: list[dict[str, Any]] = answer.json()["cases"]
        if len(cases) >= CASES:
            return cases
        await asyncio.sleep(0.1)


async def _ordered(client: httpx2.AsyncClient, stack: Stack) -> None:
    """Wait until the banks can pull their orders."""
    while True:
        url = f"{stack.info['intake']}/v1/orders"
        answers = [await client.get(url, headers=stack.bank(one)) for one in ("ICBC", "CCB")]
        if sum(len(answer.json()["orders"]) for answer in answers) >= ORDERED:
            return
        await asyncio.sleep(0.1)
