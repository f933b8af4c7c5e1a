"""What is found out reaches earlier reports, and new rules reach every replica, over the real broker."""

import asyncio
import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.local.config import REFERENCE
from shared.postgres import Row
from tests.e2e.stack import Stack, alerts, one_more
from tests.e2e.test_chain import eventually
from tests.parts import a_key, a_report

CLERKS = 4
NEXT_CUSTOMER_SECONDS = 0.05
WITHIN = timedelta(seconds=5)
"""So soon a release counts on every replica: two seconds where the machine has room (`tests.bench.publish`)."""

JUDGED_SINCE = """
    select exists (select from verdict where judged_at > (select max(released_at) from pack_release) + $1::interval)
"""
MARK = "e2e-mark"
MARKED = f"""
title: 测试
owner: 测试
rules:
  - {{id: {MARK}, title: 测试, when: transfer.amount_yuan >= 1, weight: 1, why: "金额 {{transfer.amount_yuan}} 元"}}
"""


def account(place: int = 0) -> str:
    """Return an account number nobody has used before."""
    return f"62{int(datetime.now(UTC).timestamp() * 1e6):017d}{place:02d}"


def plain(payee: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a report that is judged clear, also when its payee was alerted about once."""
    return a_report(
        payee__account=payee,
        payer__account=account(1),
        transfer__purpose="房租",
        transfer__amount_fen=350_000,
        note="每月固定交房租，房东本人当面",
        cues=[],
        **changes,
    )


async def file(client: httpx2.AsyncClient, stack: Stack, body: dict[str, Any]) -> dict[str, Any]:
    """File a report; return it with its verdict."""
    headers = stack.bank(**{"Idempotency-Key": a_key(), "Prefer": "wait=5"})
    answer = await client.post(f"{stack.info['intake']}/v1/reports", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def raised(client: httpx2.AsyncClient, stack: Stack, report_id: str) -> dict[str, Any]:
    """Return a report as its bank sees it, once its second verdict and its case are there."""

    async def look() -> dict[str, Any] | None:
        url = f"{stack.info['intake']}/v1/reports/{report_id}"
        seen = (await client.get(url, headers=stack.bank())).json()
        return dict(seen) if seen["version"] == 2 and seen["case"] else None

    return dict(await eventually(look))


async def reported(stack: Stack, report_id: str) -> list[int]:
    """Return the money that was counted as reported for a report, line by line (fen)."""
    async with stack.database("notifier") as notifier:
        rows = await notifier.fetch("select fen from ledger where kind = 'reported' and report_id = $1", report_id)
    return [row["fen"] for row in rows]


async def check_raised(
    client: httpx2.AsyncClient, stack: Stack, first: dict[str, Any], alert: dict[str, Any]
) -> dict[str, Any]:
    """Check that bank, unit and ledger agree about a report that was judged again; return the bank's view."""
    seen = await raised(client, stack, first["id"])
    assert (first["version"], first["level"], seen["version"], seen["level"]) == (1, "clear", 2, "alert")
    assert seen["case"]["id"] == alert["case_id"]
    assert (alert["version"], alert["kind"], alert["unit"]) == (2, "opened", "SZ-LH-CZ")
    case_url = f"{stack.info['notifier']}/v1/cases/{alert['case_id']}"
    case = (await client.get(case_url, headers=stack.officer("SZ-LH-CZ"))).json()
    assert (case["status"], case["amount_fen"]) == ("open", 350_000)
    assert Counter(entry["kind"] for entry in case["timeline"]) == {"opened": 1, "judged_again": 1}
    assert await reported(stack, first["id"]) == [350_000], "its money was counted with the first verdict"
    return seen


async def nothing_owed(stack: Stack) -> bool:
    """Whether every event of rules was published, and answered where an answer is awaited."""
    async with stack.database("rules") as rules:
        return not await rules.fetchval("select count(*) from outbox")


async def test_a_confirmed_case_makes_an_alert_of_an_earlier_clear_report_on_its_payee(stack: Stack) -> None:
    payee = account()
    async with httpx2.AsyncClient(timeout=20) as client, alerts(stack, "SZ-LH-CZ") as feed:
        first = await file(client, stack, plain(payee))
        other = await file(client, stack, a_report(payee__account=payee))
        assert other["level"] == "alert"
        case_id = (await feed.of_report(other["id"]))["case_id"]
        close = {"finding": "confirmed", "scam_type": "fake_loan", "reason": "已受案"}
        url = f"{stack.info['notifier']}/v1/cases/{case_id}/close"
        assert (await client.post(url, json=close, headers=stack.officer("SZ-LH-CZ"))).status_code == 200

        alert = await feed.of_report(first["id"])
        seen = await check_raised(client, stack, first, alert)
        assert "payee-confirmed" in [finding["rule"] for finding in seen["findings"]]
        assert alert["case_id"] != case_id, "the confirmed case is closed, so this is another"
        assert alert["scam_type"] == seen["scam_type"] == "fake_loan"
        await eventually(lambda: nothing_owed(stack))


async def test_a_payee_that_an_analyst_lists_makes_an_alert_of_an_earlier_clear_report(stack: Stack) -> None:
    payee = account()
    async with httpx2.AsyncClient(timeout=20) as client, alerts(stack, "SZ-LH-CZ") as feed:
        first = await file(client, stack, plain(payee))
        words = ["--account", payee, "--condition", "overridable_block", "--reason", "群众举报", "--author", "analyst"]
        await stack.lanjie("rules", "lists", "add", *words)

        alert = await feed.of_report(first["id"])
        seen = await check_raised(client, stack, first, alert)
        assert seen["findings"][0]["rule"] == "list-overridable-block"
        assert [why for why in alert["why"] if "群众举报" in why], "the unit is told why"
        await eventually(lambda: nothing_owed(stack))


async def stored(stack: Stack) -> list[Row]:
    """Return all first verdicts in the order they were reached, with the events as sent."""
    async with stack.database("rules") as rules:
        return list(
            await rules.fetch(
                "select report_id, pack_version, pack_hash, judged_at, event from verdict where version = 1"
                " order by judged_at"
            )
        )


async def released(stack: Stack) -> list[datetime]:
    """Return when each release was made."""
    async with stack.database("rules") as rules:
        return [row["released_at"] for row in await rules.fetch("select released_at from pack_release order by id")]


async def test_packs_change_under_load_and_every_verdict_is_by_one_of_them_whole(
    own_stack: Stack, tmp_path: Path
) -> None:
    stack, folder = own_stack, tmp_path / "pack"
    shutil.copytree(REFERENCE / "rules", folder)
    (folder / "mark.yaml").write_text(MARKED, encoding="utf-8")
    accepted: set[str] = set()
    enough = asyncio.Event()

    async def clerk(client: httpx2.AsyncClient, place: int) -> None:
        while not enough.is_set():
            body = plain(account(place)) if place % 2 else a_report(payee__account=account(place))
            accepted.add((await file(client, stack, body))["id"])
            await asyncio.sleep(NEXT_CUSTOMER_SECONDS)

    async def in_use() -> bool:
        """Whether a report was judged when the latest release had to be known everywhere."""
        async with stack.database("rules") as rules:
            return bool(await rules.fetchval(JUDGED_SINCE, WITHIN))

    async with (
        one_more(stack, "rules"),
        httpx2.AsyncClient(timeout=20) as client,
        asyncio.timeout(40),
        asyncio.TaskGroup() as group,
    ):
        for place in range(CLERKS):
            group.create_task(clerk(client, place))
        await eventually(lambda: seen_by_banks(stack))
        await stack.lanjie("rules", "publish", str(folder), "--author", "analyst")
        await eventually(in_use)
        await stack.lanjie("rules", "rollback", "--author", "analyst")
        await eventually(in_use)
        enough.set()

    async def all_judged() -> bool:
        return {str(row["report_id"]) for row in await stored(stack)} == accepted

    await eventually(all_judged)
    await check_packs(stack)


async def check_packs(stack: Stack) -> None:
    """Check each verdict's findings against the pack it names, and when each pack was used."""
    rows, (_, published, back) = await stored(stack), await released(stack)
    for row in rows:
        event, version = json.loads(row["event"]), row["pack_version"]
        rules = [finding["rule"] for finding in event["findings"]]
        assert (event["pack"], event["pack_hash"]) == (f"reference@{version}", row["pack_hash"])
        assert rules.count(MARK) == (version == 2), "it is judged by the pack it names, and by no other"
        at = row["judged_at"]
        if at < published:
            assert version == 1
        if published + WITHIN < at < back:
            assert version == 2, f"still by the old pack after {at - published}"
        if back + WITHIN < at:
            assert version == 1, f"not rolled back after {at - back}"
    assert len({(row["pack_version"], row["pack_hash"]) for row in rows}) == 2
    later = [row["pack_version"] for row in rows if published + WITHIN < row["judged_at"]]
    assert set(later) == {1, 2}, "there were reports to be judged by each"
    assert await seen_by_banks(stack) == {str(row["report_id"]): 1 for row in rows}, "and banks see them all"


async def seen_by_banks(stack: Stack) -> dict[str, int]:
    """Return the version of the verdict that the bank is shown, by report."""
    async with stack.database("intake") as intake:
        rows = await intake.fetch("select report_id, version from verdict")
    return {str(row["report_id"]): row["version"] for row in rows}


@pytest.fixture
def listing(tmp_path: Path) -> Callable[[list[str]], str]:
    """Return a writer of a CSV that puts accounts on the watch list."""

    def write(accounts: list[str]) -> str:
        lines = [f"payee,{one},overridable_block,群众举报" for one in accounts]
        path = tmp_path / "listed.csv"
        path.write_text("\n".join(["subject,account,condition,reason", *lines]), encoding="utf-8")
        return str(path)

    return write


async def test_second_verdicts_survive_a_kill_between_commit_and_publication_and_arrive_once(
    own_stack: Stack, listing: Callable[[list[str]], str]
) -> None:
    stack = own_stack
    payees = [account(place) for place in range(5)]
    async with httpx2.AsyncClient(timeout=20) as client:
        filed = [await file(client, stack, plain(payee)) for payee in payees for _ in range(4)]
        ids = sorted(report["id"] for report in filed)
        assert {report["level"] for report in filed} == {"clear"}
        await eventually(lambda: nothing_owed(stack))

        os.kill(stack.pid("kafka"), signal.SIGSTOP)  # what rules says now is heard by nobody
        await stack.lanjie("rules", "lists", "import", listing(payees), "--author", "analyst")
        await eventually(lambda: second_verdicts(stack, ids))
        stack.kill("rules")
        stack.kill("kafka")  # and with it whatever was on its way to it
        assert set((await seen_by_banks(stack)).values()) == {1}

        async def all_shown() -> bool:
            return all(version == 2 for version in (await seen_by_banks(stack)).values())

        await eventually(all_shown, 40)
        await eventually(lambda: nothing_owed(stack), 40)
    await check_arrived_once(stack, ids, len(payees))


async def second_verdicts(stack: Stack, report_ids: list[str]) -> bool:
    """Whether each of the reports has exactly one second verdict, stored."""
    async with stack.database("rules") as rules:
        rows = await rules.fetch("select report_id from verdict where version > 1 and level = 'alert'")
    return sorted(str(row["report_id"]) for row in rows) == report_ids


async def check_arrived_once(stack: Stack, report_ids: list[str], payees: int) -> None:
    """Check that the police's side has each second verdict once: one alert, one case a payee, money as before."""
    assert await second_verdicts(stack, report_ids), "no report was judged a third time"
    async with stack.database("notifier") as notifier:
        alerted = await notifier.fetch("select report_id from alert")
        cases = await notifier.fetch("select amount_fen from fraud_case where status = 'open'")
        told = await notifier.fetchval("select count(*) from timeline where kind = 'judged_again'")
        counted = await notifier.fetch("select report_id, fen from ledger where kind = 'reported'")
    assert sorted(str(row["report_id"]) for row in alerted) == report_ids
    assert [case["amount_fen"] for case in cases] == [4 * 350_000] * payees
    assert told == len(report_ids)
    assert sorted(str(row["report_id"]) for row in counted) == report_ids
    assert {row["fen"] for row in counted} == {350_000}
