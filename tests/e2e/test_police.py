"""The police's half, through the real doors: the clock, orders by law, money that moved on, rights, the ledger."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2

from tests.e2e.stack import Stack, alerts
from tests.parts import DROP, a_key, a_report


@dataclass(frozen=True, slots=True)
class World:
    """Everybody at their doors: the reporting bank, the officers of Futian, the banks that hold the accounts."""

    stack: Stack
    client: httpx2.AsyncClient

    async def report(self, account: str) -> dict[str, Any]:
        headers = self.stack.bank(**{"Idempotency-Key": a_key(), "Prefer": "wait=3"})
        body = a_report(
            payee__account=account,
            payer__account=account[::-1],  # a customer of no other test: each visit weighs on the next
            payer__id_number=DROP,
            branch_code="ICBC-SZ-FT-001",
            transfer__amount_fen=9_800_000,
        )
        answer = await self.client.post(f"{self.stack.info['intake']}/v1/reports", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def police(self, path: str, body: object = None, unit: str = "SZ-FT-HQB", role: str = "officer") -> Any:  # noqa: ANN401
        url, who = f"{self.stack.info['notifier']}/v1{path}", self.stack.officer(unit, role)
        answer = await (self.client.get(url, headers=who) if body is None else _post(self.client, url, body, who))
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    async def execute(self, bank: str, order_id: str, **feedback: Any) -> None:  # noqa: ANN401
        """The bank pulls the order and does what it says."""
        intake = self.stack.info["intake"]

        async def pulled() -> bool:
            answer = await self.client.get(f"{intake}/v1/orders/{order_id}", headers=self.stack.bank(bank))
            return answer.status_code == 200

        await eventually(pulled)
        body = {"result": "success", "executed_at": datetime.now(UTC).isoformat(), **feedback}
        url = f"{intake}/v1/orders/{order_id}/feedback"
        answer = await _post(self.client, url, body, self.stack.bank(bank))
        assert answer.status_code == 200, answer.text

        async def answered() -> bool:
            async with self.stack.database("notifier") as database:
                sql = "select status = 'executed' from bank_order where id = $1"
                return bool(await database.fetchval(sql, order_id))

        await eventually(answered)


async def _post(client: httpx2.AsyncClient, url: str, body: object, headers: dict[str, str]) -> httpx2.Response:
    return await client.post(url, json=body, headers=headers)


async def eventually(look: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await look():  # noqa: ASYNC110 - the other side is another process
            await asyncio.sleep(0.02)


async def test_a_case_nobody_took_on_climbs_is_frozen_by_law_and_freed_when_unfounded(stack: Stack) -> None:
    account = f"62{int(datetime.now(UTC).timestamp() * 1e6):017d}"
    async with httpx2.AsyncClient(timeout=20) as client, alerts(stack, "SZ") as feed:
        world = World(stack, client)
        report = await world.report(account)
        case_id = (await feed.of_report(report["id"]))["case_id"]

        await a_minute_passes(stack, case_id)
        escalated = await feed.of_case(case_id, "escalated")
        assert escalated["unit"] == "SZ-FT"
        await world.police(f"/cases/{case_id}/acknowledge", {})

        stop = await world.police(f"/cases/{case_id}/orders", {"kind": "stop", "reason": "核实"})
        onward = {
            "bank_code": "ICBC",
            "account": account[:-1] + "9",
            "name": "卢广生",
            "amount_fen": 3_000_000,
            "transferred_at": datetime.now(UTC).isoformat(),
        }
        await world.execute("CCB", stop["id"], stopped_fen=6_800_000, balance_before_fen=6_800_000, onward=[onward])
        accounts = (await world.police(f"/cases/{case_id}"))["accounts"]
        further = next(one for one in accounts if one["level"] == 2)
        assert "stop" in further["offered"]

        asked = {"kind": "stop", "reason": "延伸止付", "onward_id": further["id"]}
        follow_up = await world.police(f"/cases/{case_id}/orders", asked)
        assert (follow_up["bank"], follow_up["amount_fen"]) == ("ICBC", 3_000_000)
        await world.execute("ICBC", follow_up["id"], stopped_fen=3_000_000, balance_before_fen=3_100_000)

        asked = {"kind": "freeze", "reason": "涉嫌诈骗", "notice_number": "深公冻字2026-0001", "amount_fen": 6_800_000}
        freeze = await world.police(f"/cases/{case_id}/orders", asked)
        assert freeze["status"] == "proposed"
        approved = await world.police(f"/orders/{freeze['id']}/approve", {}, unit="SZ-FT", role="approver")
        assert approved["status"] == "pending"
        await world.execute("CCB", freeze["id"], frozen_fen=6_800_000)

        case = await world.police(f"/cases/{case_id}/close", {"finding": "unfounded", "reason": "客户系向亲属汇款"})
        freed = {one["kind"]: one for one in case["orders"] if one["status"] == "pending"}
        assert freed.keys() == {"unfreeze", "release_stop"}
        await world.execute("CCB", freed["unfreeze"]["id"])
        await world.execute("ICBC", freed["release_stop"]["id"])
        assert await money_of(stack, case_id) == {
            "stopped": 9_800_000,
            "frozen": 6_800_000,
            "released": 9_800_000,
        }
    assert "0 differences" in await stack.lanjie("ledger", "verify", part="notifier")


async def a_minute_passes(stack: Stack, case_id: str) -> None:
    """Let the time to acknowledge be over."""
    async with stack.database("notifier") as database:
        sql = "update deadline set due_at = now() where case_id = $1 and stage = 'acknowledge' and state = 'running'"
        assert await database.execute(sql, case_id) == "UPDATE 1"


async def money_of(stack: Stack, case_id: str) -> dict[str, int]:
    async with stack.database("notifier") as database:
        rows = await database.fetch(
            "select kind, sum(fen)::bigint as fen from ledger where case_id = $1 group by kind", case_id
        )
        return {row["kind"]: row["fen"] for row in rows if row["fen"]}
