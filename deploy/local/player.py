"""Who acts in a morning at the counters: tellers report, officers take on, order and close, banks execute."""

import asyncio
import csv
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import httpx2

from deploy.local.arrangements import address_of
from deploy.local.config import REFERENCE
from deploy.local.ears import PATIENCE_SECONDS, Ears
from deploy.local.mailbox import links_in
from shared.money import yuan

BEIJING: Final = timezone(timedelta(hours=8))
OK: Final = 200
LOOK_EVERY_SECONDS: Final = 0.02
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
DONE: Final = {
    "stop": ("止付", "stopped_fen"),
    "freeze": ("冻结", "frozen_fen"),
    "return_funds": ("返还", "returned_fen"),
    "release_stop": ("解除止付", "amount_fen"),
    "unfreeze": ("解除冻结", "amount_fen"),
}
"""What an executed order is called, and where its amount is: in the bank's answer, of a release in the order."""


@dataclass(slots=True)
class Visit:
    """One customer at the counter, and what has been seen of the case so far."""

    body: dict[str, Any]
    key: str
    script: dict[str, Any]
    posted: float = 0.0
    level: str = ""
    why: str = ""
    alert: str = ""
    acknowledged: str = ""
    results: list[str] = field(default_factory=list)
    officer: dict[str, Any] = field(default_factory=dict)


class Player:
    """Acts for the tellers, the officers and the banks."""

    def __init__(self, client: httpx2.AsyncClient, info: dict[str, Any], ears: Ears) -> None:
        self._client = client
        self._info = info
        self._ears = ears
        self._unit_of = {row["code"]: row["unit"] for row in _rows("branches.csv")}
        self._unit_name = {row["code"]: row["name"] for row in _rows("units.csv")}

    async def perform(self, visit: Visit) -> None:
        """One visit from the report to the close of its case."""
        bank = visit.body["branch_code"].split("-")[0]
        answer = await self._report(visit, bank)
        if answer is None or "repeat_of" in visit.script:
            return
        case_id = await self._alert(visit, answer["id"]) if answer["level"] == "alert" else None
        if case_id and (plan := visit.script.get("officer")):
            await self._police(visit, case_id, plan)
        if plan := visit.script.get("disposition"):
            await self._bank(bank, "POST", f"/v1/reports/{answer['id']}/disposition", plan)
            words = {"cancelled": "劝阻", "proceeded": "照常办理", "already_sent": "已转出"}
            visit.results.append(f"{words[plan['outcome']]} ¥{yuan(plan['amount_fen'])}")
        if case_id and (plan := visit.script.get("close")):
            await self._close(visit, case_id, plan)

    async def _report(self, visit: Visit, bank: str) -> dict[str, Any] | None:
        visit.posted = time.monotonic()
        headers = {"Idempotency-Key": visit.key, "Prefer": "wait=3"}
        answer = await self._bank(bank, "POST", "/v1/reports", visit.body, headers, refusable=True)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while answer.is_success and answer.json()["status"] == "received":  # a busy machine takes longer than 3 s
                path = f"/v1/reports/{answer.json()['id']}"
                answer = await self._bank(bank, "GET", path, headers={"Prefer": headers["Prefer"]})
        if answer.status_code != OK:
            problem = answer.json()
            visit.level = "refused"
            visit.why = (
                "；".join(f"{one['field']} {one['message']}" for one in problem.get("errors", [])) or problem["detail"]
            )
            return None
        found: dict[str, Any] = answer.json()
        visit.level = found["level"]
        visit.why = found["findings"][0]["why"] if found["findings"] else "—"
        if "repeat_of" in visit.script:
            visit.results.append("重复报送，应答与第一次相同")
        return found

    async def _alert(self, visit: Visit, report_id: str) -> str:
        at, facts = await self._ears.told(lambda facts: bool(facts["report_id"] == report_id))
        visit.alert = f"{(at - visit.posted) * 1000:.0f} ms"
        if facts["kind"] == "joined":
            visit.results.append("并入已有案件")
        return str(facts["case_id"])

    async def _police(self, visit: Visit, case_id: str, plan: dict[str, Any]) -> None:
        who = plan.get("by", {"unit": self._unit_of[visit.body["branch_code"]], "role": "officer"})
        visit.officer = self._find(who["role"], who["unit"])
        if "by" in plan:
            await self._acknowledge_by_link(visit, case_id)
        else:
            await asyncio.sleep(plan.get("acknowledge_after", 0.5))
            await self._officer(visit, "POST", f"/v1/cases/{case_id}/acknowledge")
        case = await self._case(visit, case_id)
        seconds = datetime.fromisoformat(case["acknowledged_at"]) - datetime.fromisoformat(case["opened_at"])
        visit.acknowledged = f"{seconds.total_seconds():.1f} s"
        if plan.get("order"):
            stop = {"order": {"kind": "stop", "reason": plan["remark"]}, "bank": visit.script["bank"]}
            await self._orders(visit, case_id, [stop, *visit.script.get("further", [])])

    async def _acknowledge_by_link(self, visit: Visit, case_id: str) -> None:
        """Let the station's time run out; then the officer of the unit above presses the button behind the mail."""
        who = visit.officer
        _, alert = await self._ears.told(
            lambda facts: (facts["case_id"], facts["kind"], facts["unit"]) == (case_id, "escalated", who["unit"])
        )
        mail = await self._ears.mailed(address_of(self._info["officers"].index(who)), alert["alert_id"])
        for link in links_in(mail):
            if case_id in (await self._client.get(link)).raise_for_status().text:
                (await self._client.post(link, headers=FORM)).raise_for_status()
        unit = self._unit_name[who["unit"]]
        visit.results.append(f"逾期未签收，升级到{unit}；{who['name']}凭邮件里的链接签收")

    async def _orders(self, visit: Visit, case_id: str, plans: Sequence[dict[str, Any]]) -> None:
        """Order one after the other; a second officer approves what needs it, the bank executes."""
        for plan in plans:
            asked, note = dict(plan["order"]), ""
            if plan.get("onward"):
                accounts = (await self._case(visit, case_id))["accounts"]
                asked["onward_id"] = next(one["id"] for one in accounts if one["level"] > 1)
            order = (await self._officer(visit, "POST", f"/v1/cases/{case_id}/orders", asked)).json()
            if order["status"] == "proposed":
                approver = self._find("approver", visit.officer["unit"])
                await self._officer(visit, "POST", f"/v1/orders/{order['id']}/approve", who=approver)
                note = f"（{approver['name']}批准）"
            await self._execute(visit, order, plan["bank"], "延伸" if plan.get("onward") else "", note)

    async def _execute(
        self, visit: Visit, order: dict[str, Any], plan: dict[str, Any], before: str = "", after: str = ""
    ) -> None:
        """The account's bank pulls its orders, checks name, account and amount, and answers."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await self._pulled(order):  # noqa: ASYNC110 - the other side is another process
                await asyncio.sleep(LOOK_EVERY_SECONDS)
        now = datetime.now(BEIJING).isoformat()
        onward = [{**one, "transferred_at": now} for one in plan.get("onward", [])]
        done = {"result": "success", "executed_at": now, **plan, **({"onward": onward} if onward else {})}
        word, field_name = DONE[order["kind"]]
        if done["result"] == "failure":
            del done["executed_at"]
            visit.results.append(f"{word}未成：{plan['remark']}")
        else:
            visit.results.append(f"{before}{word} ¥{yuan({**order, **plan}[field_name])}{after}")
        await self._bank(order["bank"], "POST", f"/v1/orders/{order['id']}/feedback", done)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await self._answered(visit, order):  # noqa: ASYNC110 - the other side is another process
                await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def _pulled(self, order: dict[str, Any]) -> bool:
        pulled = await self._bank(order["bank"], "GET", "/v1/orders?status=pending&limit=500")
        return any(one["id"] == order["id"] for one in pulled.json()["orders"])

    async def _answered(self, visit: Visit, order: dict[str, Any]) -> bool:
        orders = (await self._case(visit, order["case_id"]))["orders"]
        return any(one["id"] == order["id"] and one["status"] in ("executed", "failed") for one in orders)

    async def _close(self, visit: Visit, case_id: str, plan: dict[str, Any]) -> None:
        """Close the case; the bank frees what an unfounded one held."""
        case = (await self._officer(visit, "POST", f"/v1/cases/{case_id}/close", plan)).json()
        visit.results.append("属实" if plan["finding"] == "confirmed" else "不属实")
        for order in case["orders"]:
            if order["status"] == "pending":
                await self._execute(visit, order, {})
        await self._orders(visit, case_id, visit.script.get("after_close", []))

    async def _case(self, visit: Visit, case_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self._officer(visit, "GET", f"/v1/cases/{case_id}")).json()
        return found

    def _find(self, role: str, unit: str) -> dict[str, Any]:
        """Return the officer of a role in a unit, or above it."""
        officers = [one for one in self._info["officers"] if one["role"] == role and unit.startswith(one["unit"])]
        return max(officers, key=lambda one: len(one["unit"]))

    async def _bank(
        self,
        bank: str,
        method: str,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
        *,
        refusable: bool = False,
    ) -> httpx2.Response:
        shown = {"Authorization": f"Bearer {self._info['bank_keys'][bank]}", **(headers or {})}
        answer = await self._client.request(method, self._info["intake"] + path, json=body, headers=shown)
        return answer if refusable else answer.raise_for_status()

    async def _officer(
        self, visit: Visit, method: str, path: str, body: object = None, *, who: dict[str, Any] | None = None
    ) -> httpx2.Response:
        shown = {"Authorization": f"Bearer {(who or visit.officer)['token']}"}
        answer = await self._client.request(method, self._info["notifier"] + path, json=body, headers=shown)
        return answer.raise_for_status()


def _rows(name: str) -> list[dict[str, str]]:
    with (REFERENCE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
