"""A morning at the counters, played through the real doors: tellers report, police act, banks answer."""

import asyncio
import csv
import json
import secrets
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import httpx2
import yaml
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from deploy.local.config import REFERENCE
from deploy.local.ears import Ears, listening
from services.intake.identity import passes_luhn
from shared.money import yuan

BEIJING: Final = timezone(timedelta(hours=8))
STEP_SECONDS: Final = 0.15
PATIENCE_SECONDS: Final = 10.0
OK: Final = 200
STYLES: Final = {"alert": "bold white on red", "caution": "black on yellow", "clear": "green", "refused": "magenta"}
COLUMNS: Final = (
    ("时间", 8),
    ("网点 · 业务", 46),
    ("金额 ¥", 12),
    ("研判", 10),
    ("为什么", 40),
    ("预警", 9),
    ("签收", 8),
    ("结果", 40),
)
TABLE_WIDTH: Final = sum(width for _, width in COLUMNS) + 2 * len(COLUMNS)


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


async def play(info: dict[str, Any], environment: dict[str, str], console: Console) -> None:
    """Play the morning and print it as it happens; `environment` is notifier's, to register a webhook."""
    script = yaml.safe_load((REFERENCE / "morning.yaml").read_text(encoding="utf-8"))
    if not console.is_terminal:
        console.width = max(console.width, TABLE_WIDTH)
    console.print(f"\n[bold]{script['title']}[/]（北京时间）  one visit after the other, as it happens\n")
    run = secrets.token_hex(4)
    visits = [_visit(entry, place, run) for place, entry in enumerate(script["visits"])]
    ears = Ears()
    async with httpx2.AsyncClient(timeout=15) as client, listening(info, environment, client, ears):
        if console.width >= TABLE_WIDTH:
            _print_row(console, [name for name, _ in COLUMNS], style="bold")
        player = Player(client, info, ears)
        for visit in visits:
            if (earlier := visit.script.get("repeat_of")) is not None:
                visit.body, visit.key = visits[earlier].body, visits[earlier].key
            await player.perform(visit)
            (_print_row if console.width >= TABLE_WIDTH else _print_block)(console, _row(visit))
            if visit.level != visit.script.get("expect", visit.level):
                console.print(f"[red]not as expected: {visit.level} instead of {visit.script['expect']}[/]")
            await asyncio.sleep(STEP_SECONDS)
        await _print_totals(client, info, ears, console)


def _visit(entry: dict[str, Any], place: int, run: str) -> Visit:
    body = json.loads(json.dumps(entry.get("report", {})))
    if body:
        body["bank_reference"] = f"{body['branch_code'].split('-')[0]}-{run}-{place:03d}"
        body["observed_at"] = datetime.now(BEIJING).isoformat(timespec="seconds")
        for party in (body["payer"], body["payee"]):
            party["account"] = _of_this_run(party["account"], run)
    return Visit(body, f"{run}-{place:03d}", entry)


def _of_this_run(account: str, run: str) -> str:
    """Give each run accounts of its own, so that yesterday's morning does not weigh on today's."""
    middle = f"{int(run, 16) % 10**6:06d}"
    stem = account[:4] + middle + account[10:-1]
    return next(stem + digit for digit in "0123456789" if passes_luhn(stem + digit))


class Player:
    """Acts for the tellers, the officers and the banks."""

    def __init__(self, client: httpx2.AsyncClient, info: dict[str, Any], ears: Ears) -> None:
        self._client = client
        self._info = info
        self._ears = ears
        with (REFERENCE / "branches.csv").open(encoding="utf-8", newline="") as file:
            self._unit_of = {row["code"]: row["unit"] for row in csv.DictReader(file)}

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
            await self._officer(visit, "POST", f"/v1/cases/{case_id}/close", plan)
            visit.results.append("属实" if plan["finding"] == "confirmed" else "不属实")

    async def _report(self, visit: Visit, bank: str) -> dict[str, Any] | None:
        visit.posted = time.monotonic()
        headers = {"Idempotency-Key": visit.key, "Prefer": "wait=3"}
        answer = await self._bank(bank, "POST", "/v1/reports", visit.body, headers, refusable=True)
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
        deadline = time.monotonic() + PATIENCE_SECONDS
        while report_id not in self._ears.streamed:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + deadline - time.monotonic()):
                await self._ears.news.wait()
            self._ears.news.clear()
        at, facts = self._ears.streamed[report_id]
        visit.alert = f"{(at - visit.posted) * 1000:.0f} ms"
        if facts["kind"] == "joined":
            visit.results.append("并入已有案件")
        return str(facts["case_id"])

    async def _police(self, visit: Visit, case_id: str, plan: dict[str, Any]) -> None:
        await asyncio.sleep(plan.get("acknowledge_after", 0.5))
        case = (await self._officer(visit, "POST", f"/v1/cases/{case_id}/acknowledge")).json()
        seconds = datetime.fromisoformat(case["acknowledged_at"]) - datetime.fromisoformat(case["opened_at"])
        visit.acknowledged = f"{seconds.total_seconds():.1f} s"
        if plan.get("order"):
            asked = {"kind": "stop", "reason": plan.get("remark", "紧急止付")}
            order = (await self._officer(visit, "POST", f"/v1/cases/{case_id}/orders", asked)).json()
            await self._payee_bank(visit, order)

    async def _payee_bank(self, visit: Visit, order: dict[str, Any]) -> None:
        """The payee's bank pulls its orders, checks name, account and amount, and answers."""
        bank = order["bank"]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                pulled = (await self._bank(bank, "GET", "/v1/orders?status=pending&limit=500")).json()["orders"]
                if any(one["id"] == order["id"] for one in pulled):
                    break
                await asyncio.sleep(0.02)
        plan = visit.script.get("bank", {})
        answer = {"result": "success", "executed_at": datetime.now(BEIJING).isoformat(), **plan}
        if answer["result"] == "failure":
            answer.pop("executed_at")
            visit.results.append(f"止付未成：{plan.get('remark') or plan.get('failure_cause')}")
        else:
            visit.results.append(f"止付 ¥{yuan(plan['stopped_fen'])}")
        await self._bank(bank, "POST", f"/v1/orders/{order['id']}/feedback", answer)
        await self._answered(visit, order)

    async def _answered(self, visit: Visit, order: dict[str, Any]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                case = (await self._officer(visit, "GET", f"/v1/cases/{order['case_id']}")).json()
                if all(one["status"] != "pending" for one in case["orders"]):
                    return
                await asyncio.sleep(0.02)

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

    async def _officer(self, visit: Visit, method: str, path: str, body: object = None) -> httpx2.Response:
        unit = self._unit_of[visit.body["branch_code"]]
        who = next(one for one in self._info["officers"] if one["unit"] == unit and one["role"] == "officer")
        shown = {"Authorization": f"Bearer {who['token']}"}
        answer = await self._client.request(method, self._info["notifier"] + path, json=body, headers=shown)
        return answer.raise_for_status()


def _row(visit: Visit) -> list[str]:
    report = visit.body
    badge = f"[{STYLES[visit.level]}] {visit.level} [/]"
    return [
        datetime.now(BEIJING).strftime("%H:%M:%S"),
        f"[dim]{report['branch_code']}[/] {visit.script['story']}",
        yuan(report["transfer"]["amount_fen"]),
        badge,
        visit.why,
        visit.alert,
        visit.acknowledged,
        "；".join(visit.results),
    ]


def _print_row(console: Console, cells: list[str], style: str = "") -> None:
    table = Table(show_header=False, box=None, padding=(0, 1), style=style)
    for place, (_, width) in enumerate(COLUMNS):
        table.add_column(width=width, justify="right" if place == 2 else "left", overflow="fold")  # noqa: PLR2004
    table.add_row(*cells)
    console.print(table)


def _print_block(console: Console, cells: list[str]) -> None:
    """Print a visit on a terminal that is too narrow for the table."""
    at, story, amount, level, why, alert, acknowledged, result = cells
    times = "".join([f"  预警 {alert}" if alert else "", f"  签收 {acknowledged}" if acknowledged else ""])
    console.print(f"{at}  ¥{amount}  {level}{times}")
    for text in (story, f"为什么：{why}", f"结果：{result}" if result else ""):
        if text:
            console.print(Padding(text, (0, 0, 0, 10)))


async def _print_totals(client: httpx2.AsyncClient, info: dict[str, Any], ears: Ears, console: Console) -> None:
    metrics = (await client.get(f"{info['notifier']}/metrics")).text
    money: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics):
        if family.name == "lanjie_money_yuan":
            for sample in family.samples:
                money[sample.labels["kind"]] = money.get(sample.labels["kind"], 0) + sample.value
    console.print("\n[bold]合计[/]  from the ledger, since its beginning")
    names = {"reported": "报告", "averted": "劝阻", "stopped": "止付", "released": "解除", "lost": "损失"}
    console.print("   ".join(f"{name} {kind} [bold]¥{money.get(kind, 0):,.2f}[/]" for kind, name in names.items()))
    console.print(
        f"预警 {len(ears.streamed)} 条经事件流送达，{len(ears.hooked)} 条经签名 webhook 送达，签名不符 {ears.forged} 条"
    )
