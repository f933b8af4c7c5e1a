"""What Prometheus saw of a run, asked the way Grafana asks for the panels of the dashboards."""

import asyncio
import json
import math
import re
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from deploy.grafana.__main__ import FOLDER
from deploy.grafana.boards import BOARDS
from deploy.local.config import REFERENCE
from tests.e2e.stack import Stack
from tests.parts import a_key, a_report

PATIENCE_SECONDS = 60
STEP_SECONDS = 5
LOOKED_BACK_SECONDS = 900
"""Longer than the run is up."""
JOBS = {"intake", "rules", "notifier"}
ON_TRIAL = "on-trial"
TRIAL = f"""
title: 试用
owner: 测试
rules:
  - {{id: {ON_TRIAL}, title: 试用, when: transfer.amount_yuan > 0, weight: 5, why: 试用, status: shadow}}
"""


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a panel: its labels, its numbers."""

    labels: dict[str, str]
    numbers: list[float]


@dataclass(frozen=True, slots=True)
class Asked:
    """An expression of a panel. `quiet`: the panel may be 0 as long as all is well."""

    panel: str
    quiet: bool
    target: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Watched:
    """A Prometheus that saw all there was to see until `ended`, in seconds since the epoch."""

    client: httpx2.AsyncClient
    ended: int

    async def series(self, target: dict[str, Any]) -> list[Series]:
        """Return what an expression finds; that Prometheus refuses it is an error."""
        expr = filled_in(target["expr"])
        if target["range"]:
            words = {"start": str(self.ended - LOOKED_BACK_SECONDS), "end": str(self.ended), "step": str(STEP_SECONDS)}
            found = (await self._get("query_range", query=expr, **words))["result"]
            return [Series(one["metric"], [float(value) for _, value in one["values"]]) for one in found]
        found = (await self._get("query", query=expr, time=str(self.ended)))["result"]
        return [Series(one["metric"], [float(one["value"][1])]) for one in found]

    async def choices(self, query: str) -> list[str]:
        """Return what a variable offers, by its query `label_values(metric, label)`."""
        metric, label = re.findall(r"\w+", query)[1:]
        found: list[str] = await self._get(f"label/{label}/values", **{"match[]": metric})
        return found

    async def _get(self, path: str, **words: str) -> Any:  # noqa: ANN401 - any JSON
        answer = await self.client.get(f"/api/v1/{path}", params=words)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


def filled_in(expr: str) -> str:
    """Put values in place of variables, as Grafana does where `All` is chosen."""
    known = {"__range": f"{LOOKED_BACK_SECONDS}s", "__rate_interval": f"{4 * STEP_SECONDS}s"}
    return re.sub(r"\$(\w+)", lambda found: known.get(found[1], ".*"), expr)


def committed() -> list[dict[str, Any]]:
    """Return the committed dashboards."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))]


def asked() -> list[Asked]:
    """Return every expression of the committed dashboards."""
    quiet = {(board.uid, panel.title): panel.quiet for board in BOARDS for panel in board.panels()}
    return [
        Asked(f"{dashboard['uid']}: {panel['title']}", quiet[dashboard["uid"], panel["title"]], target)
        for dashboard in committed()
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    ]


def choices() -> list[str]:
    """Return the queries of all variables."""
    variables = [variable for dashboard in committed() for variable in dashboard["templating"]["list"]]
    return [variable["query"]["query"] for variable in variables if variable["type"] == "query"]


@asynccontextmanager
async def watching(stack: Stack) -> AsyncIterator[Watched]:
    """Yield the Prometheus of a run with `OPS=1`, once it has seen all that happened so far."""
    async with httpx2.AsyncClient(base_url=stack.info["prometheus"], timeout=30) as client:
        happened = time.time()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await _scraped(client) > happened:  # noqa: ASYNC110 - the other side is another process
                await asyncio.sleep(0.2)
        yield Watched(client, math.ceil(time.time()))


async def _scraped(client: httpx2.AsyncClient) -> float:
    """Return when the service that was scraped the longest ago was scraped."""
    answer = await client.get("/api/v1/query", params={"query": "timestamp(up) and (up == 1)"})
    found = answer.json()["data"]["result"]
    times = {one["metric"]["job"]: float(one["value"][1]) for one in found}
    return min(times.values()) if times.keys() >= JOBS else 0.0


async def try_rules(stack: Stack) -> None:
    """Judge a report by a pack with a rule on trial in it, and with another pack on trial beside it."""
    pack = stack.folder / "rules-on-trial"
    shutil.copytree(REFERENCE / "rules", pack)
    (pack / "trial.yaml").write_text(TRIAL, encoding="utf-8")
    for beside in ([], ["--shadow"]):
        await stack.lanjie("rules", "publish", str(pack), "--author", "a test", "--note", "on trial", *beside)
    async with asyncio.timeout(PATIENCE_SECONDS), httpx2.AsyncClient(timeout=30) as client:
        while not await _tried(client, stack):
            headers = stack.bank(**{"Idempotency-Key": a_key(), "Prefer": "wait=3"})
            answer = await client.post(f"{stack.info['intake']}/v1/reports", json=a_report(), headers=headers)
            assert answer.is_success, answer.text


async def _tried(client: httpx2.AsyncClient, stack: Stack) -> bool:
    page = (await client.get(f"{stack.info['rules']}/metrics")).text
    counted = (rf'lanjie_shadow_rule_hits_total{{rule="{ON_TRIAL}"}}', r'lanjie_shadow_verdicts_total{.*of="pack".*}')
    return all(re.search(rf"^{one} [1-9]", page, re.MULTILINE) for one in counted)
