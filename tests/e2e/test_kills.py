"""Nothing is lost and nothing is doubled while every part is killed in the middle of the work."""

import asyncio
import random
import uuid
from contextlib import suppress
from typing import Any

import httpx2

from tests.e2e.stack import Stack
from tests.e2e.test_chain import eventually
from tests.parts import DROP, a_key, a_report

REPORTS = 500
CLIENTS = 16
VICTIMS = ("rules", "kafka", "intake", "notifier", "kafka", "intake", "rules", "notifier")
PATIENCE_SECONDS = 90.0


async def insist(http: httpx2.AsyncClient, url: str, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    """Repeat a post, as a branch system does, until it is answered with a success."""
    while True:
        with suppress(httpx2.HTTPError):
            answer = await http.post(url, json=body, headers=headers)
            if answer.is_success:
                return dict(answer.json())
            assert answer.status_code in {409, 503}, answer.text
        await asyncio.sleep(0.1)


def bodies(seed: int) -> list[dict[str, Any]]:
    """Reports to some 120 accounts; a third of them plain, so that no alert comes of them."""
    dice = random.Random(seed)  # noqa: S311 - a test's dice
    made = []
    for _ in range(REPORTS):
        account = f"6217{uuid.UUID(int=dice.getrandbits(128)).int % 120:012d}"
        amount = dice.randrange(1, 10_000_000)
        plain = dice.random() < 1 / 3
        body = a_report(payee__account=account, transfer__amount_fen=amount)
        if plain:
            body = a_report(
                payee__account=f"6228{dice.randrange(10**12):012d}",
                payer__account=f"6229{dice.randrange(10**12):012d}",
                payer__id_number=DROP,
                transfer__amount_fen=amount,
                transfer__purpose="货款",
                cues=[],
                note="",
            )
        made.append(body)
    return made


async def test_five_hundred_reports_survive_the_killing_of_every_part(own_stack: Stack) -> None:
    stack, url = own_stack, own_stack.info["intake"]
    queue = list(enumerate(bodies(seed=7)))
    accepted: dict[str, dict[str, Any]] = {}
    cancelled: dict[str, int] = {}

    async def client(http: httpx2.AsyncClient) -> None:
        while queue:
            place, body = queue.pop()
            receipt = await insist(http, f"{url}/v1/reports", body, stack.bank(**{"Idempotency-Key": a_key()}))
            accepted[receipt["id"]] = body
            if place % 5 == 0:
                amount = body["transfer"]["amount_fen"]
                told = {"outcome": "cancelled", "amount_fen": amount}
                await insist(http, f"{url}/v1/reports/{receipt['id']}/disposition", told, stack.bank())
                cancelled[receipt["id"]] = amount

    async def killer() -> None:
        for number, victim in enumerate(VICTIMS, 1):

            async def far_enough(goal: int = number * REPORTS // (len(VICTIMS) + 1)) -> bool:
                return len(accepted) >= goal

            await eventually(far_enough, PATIENCE_SECONDS)
            await asyncio.to_thread(stack.kill, victim)

    async with (
        httpx2.AsyncClient(timeout=5) as http,
        asyncio.timeout(PATIENCE_SECONDS),
        asyncio.TaskGroup() as group,
    ):
        group.create_task(killer())
        for _ in range(CLIENTS):
            group.create_task(client(http))

    async def all_answered() -> bool:
        async with stack.database("intake") as intake:
            return bool(await intake.fetchval("select not exists (select from outbox where awaits_answer)"))

    await eventually(all_answered, PATIENCE_SECONDS)
    await check(stack, accepted, cancelled)


async def check(stack: Stack, accepted: dict[str, dict[str, Any]], cancelled: dict[str, int]) -> None:
    """Compare what the clients were told with what the databases hold."""
    amounts = {report_id: body["transfer"]["amount_fen"] for report_id, body in accepted.items()}
    async with stack.database("intake") as intake:
        stored = {str(row["id"]) for row in await intake.fetch("select id from report")}
        shown = {
            str(row["report_id"]): row["level"] for row in await intake.fetch("select report_id, level from verdict")
        }
    async with stack.database("rules") as rules:
        judged = [str(row["report_id"]) for row in await rules.fetch("select report_id from verdict")]
    async with stack.database("notifier") as notifier:
        counted = {str(row["id"]): row["case_id"] for row in await notifier.fetch("select id, case_id from report")}
        alerted = [str(row["report_id"]) for row in await notifier.fetch("select report_id from alert")]
        cases = await notifier.fetch("select payee_token from fraud_case where status <> 'closed'")
        ledger = await notifier.fetch("select kind, report_id, fen from ledger")
        totals = await notifier.fetch("select kind, sum(fen)::bigint as fen from ledger_total group by kind")

    assert len(accepted) == REPORTS
    assert stored == accepted.keys(), "exactly what was accepted is stored"
    assert shown.keys() == accepted.keys(), "every report has a verdict its bank can see"
    assert sorted(judged) == sorted(accepted), "and exactly one"
    assert counted.keys() == accepted.keys()
    urgent = {report_id for report_id, level in shown.items() if level == "alert"}
    assert REPORTS / 2 < len(urgent) < REPORTS
    assert {report_id for report_id, case_id in counted.items() if case_id} == urgent, "each alert is in a case"
    assert sorted(alerted) == sorted(urgent), "and was alerted once"
    assert len({case["payee_token"] for case in cases}) == len(cases), "one open case an account"

    by_kind: dict[str, dict[str, int]] = {"reported": {}, "averted": {}}
    for row in ledger:
        account = by_kind[row["kind"]]
        assert str(row["report_id"]) not in account, "no yuan is counted twice"
        account[str(row["report_id"])] = row["fen"]
    assert by_kind["reported"] == amounts
    assert by_kind["averted"] == cancelled
    assert {row["kind"]: row["fen"] for row in totals} == {
        "reported": sum(amounts.values()),
        "averted": sum(cancelled.values()),
    }
