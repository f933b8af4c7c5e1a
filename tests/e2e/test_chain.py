"""The whole chain, through the real doors, over the real broker."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.stack import Stack, alerts
from tests.parts import a_key, a_report


@pytest.fixture
def account() -> str:
    return f"62{int(datetime.now(UTC).timestamp() * 1e6):017d}"


async def eventually(look: Callable[[], Awaitable[Any]], seconds: float = 20) -> Any:  # noqa: ANN401
    """Return what `look` finds, as soon as it finds something."""
    async with asyncio.timeout(seconds):
        while not (found := await look()):  # noqa: ASYNC110 - the other side is another process
            await asyncio.sleep(0.02)
    return found


async def money(client: httpx2.AsyncClient, stack: Stack) -> dict[str, float]:
    text = (await client.get(f"{stack.info['notifier']}/metrics")).text
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        if family.name == "lanjie_money_yuan":
            for sample in family.samples:
                sums[sample.labels["kind"]] = sums.get(sample.labels["kind"], 0) + sample.value
    return sums


async def test_a_report_becomes_an_alert_an_order_a_feedback_and_counted_money(stack: Stack, account: str) -> None:
    intake, notifier = stack.info["intake"], stack.info["notifier"]
    async with httpx2.AsyncClient(timeout=20) as client, alerts(stack, "SZ-LH-CZ") as feed:
        before = await money(client, stack)
        body = a_report(payee__account=account)
        headers = stack.bank(**{"Idempotency-Key": a_key(), "Prefer": "wait=3"})
        answer = await client.post(f"{intake}/v1/reports", json=body, headers=headers)
        assert answer.status_code == 200
        report = answer.json()
        assert report["level"] == "alert"
        assert report["scam_type"] == "impersonated_authority"
        assert report["findings"]
        assert all(report["advice"][part] for part in ("ask", "say", "do"))

        alert = await feed.of_report(report["id"])
        assert alert["unit"] == "SZ-LH-CZ"
        case_url = f"{notifier}/v1/cases/{alert['case_id']}"
        officer = stack.officer("SZ-LH-CZ")

        case = (await client.post(f"{case_url}/acknowledge", headers=officer)).json()
        assert case["status"] == "acknowledged"
        order = (
            await client.post(f"{case_url}/orders", json={"kind": "stop", "reason": "核实"}, headers=officer)
        ).json()
        assert order["amount_fen"] == 9_800_000

        async def pulled() -> Any:  # noqa: ANN401
            url = f"{intake}/v1/orders?status=pending&limit=500"
            page = (await client.get(url, headers=stack.bank("CCB"))).json()
            return next((one for one in page["orders"] if one["id"] == order["id"]), None)

        seen = await eventually(pulled)
        assert (seen["payee"]["account"], seen["payee"]["name"], seen["kind"]) == (account, "蒙世坤", "stop")

        stopped_at = datetime.now(UTC).isoformat()
        feedback = {
            "result": "success",
            "balance_before_fen": 6_200_000,
            "stopped_fen": 6_200_000,
            "executed_at": stopped_at,
        }
        url = f"{intake}/v1/orders/{order['id']}/feedback"
        assert (await client.post(url, json=feedback, headers=stack.bank("CCB"))).status_code == 200
        disposition = {"outcome": "already_sent", "amount_fen": 9_800_000}
        url = f"{intake}/v1/reports/{report['id']}/disposition"
        assert (await client.post(url, json=disposition, headers=stack.bank())).status_code == 200

        async def counted() -> Any:  # noqa: ANN401
            now = await money(client, stack)
            found = {kind: round(now.get(kind, 0) - before.get(kind, 0), 2) for kind in ("reported", "stopped", "lost")}
            return found == {"reported": 98_000, "stopped": 62_000, "lost": 36_000}

        await eventually(counted)
        close = {"finding": "confirmed", "scam_type": "impersonated_authority", "reason": "已受案"}
        assert (await client.post(f"{case_url}/close", json=close, headers=officer)).status_code == 200
        case = (await client.get(case_url, headers=officer)).json()
        assert [entry["kind"] for entry in case["timeline"]] == [
            *("opened", "acknowledged", "ordered", "feedback", "disposition", "closed")
        ] or sorted(entry["kind"] for entry in case["timeline"]) == sorted(
            ("opened", "acknowledged", "ordered", "feedback", "disposition", "closed")
        )

        async def closed_for_the_bank() -> Any:  # noqa: ANN401
            url = f"{intake}/v1/reports/{report['id']}"
            state = (await client.get(url, headers=stack.bank())).json()["case"]
            return state and state["status"] == "closed" and state["finding"] == "confirmed"

        await eventually(closed_for_the_bank)


async def test_a_confirmed_payee_makes_the_next_plain_report_an_alert(stack: Stack, account: str) -> None:
    intake, notifier = stack.info["intake"], stack.info["notifier"]
    plain = {
        "cues": [],
        "note": "",
        "transfer__purpose": "转账",
        "transfer__amount_fen": 90_000,
        "payee__account": account,
    }
    async with httpx2.AsyncClient(timeout=20) as client, alerts(stack, "SZ-LH-CZ") as feed:

        async def post(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
            headers = stack.bank(**{"Idempotency-Key": a_key(), "Prefer": "wait=3"})
            answer = await client.post(f"{intake}/v1/reports", json=a_report(**changes), headers=headers)
            return dict(answer.json())

        first = await post(payee__account=account)
        alert = await feed.of_report(first["id"])
        close = {"finding": "confirmed", "scam_type": "fake_loan", "reason": "已受案"}
        url = f"{notifier}/v1/cases/{alert['case_id']}/close"
        await client.post(url, json=close, headers=stack.officer("SZ-LH-CZ"))

        async def watched() -> Any:  # noqa: ANN401
            async with stack.database("rules") as database:
                return await database.fetchval("select count(*) from outcome where case_id = $1", alert["case_id"])

        await eventually(watched)
        second = await post(**plain)
        assert second["level"] == "alert"
        assert "payee-confirmed" in [finding["rule"] for finding in second["findings"]]
