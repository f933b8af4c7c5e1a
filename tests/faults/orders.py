"""Officers and the payees' bank as the fault tests play them: cases taken on, accounts stopped, orders answered."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import httpx2

from services.notifier import reference
from services.notifier.alerting.targets import new_secret
from shared.privacy import Seal
from shared.settings import read_keys
from tests.e2e.stack import Stack
from tests.fakes.receiver import Receiver, receiving
from tests.faults.clients import NO_ANSWER, PASSING
from tests.faults.journal import Journal, State

LOOK_EVERY_SECONDS: Final = 0.2
UNIT: Final = "SZ-LH-CZ"
PAYEES_BANK: Final = "CCB"


@dataclass(frozen=True, slots=True)
class Desk:
    """Somebody at one of the two doors: where it is, who they are, and the log."""

    http: httpx2.AsyncClient
    url: str
    headers: dict[str, str]
    journal: Journal

    async def ask(self, method: str, path: str, body: object = None) -> httpx2.Response:
        """Ask until there is an answer for good."""
        while True:
            with suppress(*NO_ANSWER):
                answer = await self.http.request(method, self.url + path, json=body, headers=self.headers)
                if answer.status_code not in PASSING - {409}:
                    return answer
            await asyncio.sleep(LOOK_EVERY_SECONDS)


async def officer(desk: Desk, until: asyncio.Event) -> None:
    """Take on every case; look at the people of each fifth, and have the account of every other one stopped."""
    while not until.is_set():
        page = await desk.ask("GET", "/v1/cases?status=open&limit=500")
        for case in page.json()["cases"]:
            await _take_on(desk, case["id"])
        with suppress(TimeoutError):
            await asyncio.wait_for(until.wait(), LOOK_EVERY_SECONDS)


async def _take_on(desk: Desk, case_id: str) -> None:
    number = UUID(case_id).int
    taken = desk.journal.begin("acknowledgement", f"a-{case_id}", {"case_id": case_id})
    answer = await desk.ask("POST", f"/v1/cases/{case_id}/acknowledge")
    desk.journal.end(taken, State.OK if answer.is_success else State.FAILED)
    if number % 5 == 0:
        look = desk.journal.begin("look", f"l-{case_id}", {"subject": case_id, "at": "notifier"})
        answer = await desk.ask("POST", f"/v1/cases/{case_id}/unmask", {"reason": "联系客户"})
        desk.journal.end(look, State.OK if answer.is_success else State.FAILED)
    if number % 2 == 0:
        await _stop(desk, case_id)


async def _stop(desk: Desk, case_id: str) -> None:
    """Order a stop; where no answer came, look whether it was given before asking again, as an officer does."""
    asked = desk.journal.begin("order", f"o-{case_id}", {"case_id": case_id})
    while True:
        with suppress(*NO_ANSWER):
            url, body = f"{desk.url}/v1/cases/{case_id}/orders", {"kind": "stop", "reason": "核实"}
            answer = await desk.http.post(url, json=body, headers=desk.headers)
            if answer.is_success:
                desk.journal.end(asked, State.OK, answer.json()["id"])
                return
            if answer.status_code not in PASSING - {409}:
                desk.journal.end(asked, State.FAILED)
                return
        given = (await desk.ask("GET", f"/v1/cases/{case_id}")).json()["orders"]
        if given:
            desk.journal.end(asked, State.OK, given[0]["id"])
            return
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def payees_bank(desk: Desk) -> None:
    """Pull the orders and answer each, until cancelled."""
    while True:
        page = await desk.ask("GET", "/v1/orders?status=pending&limit=500")
        for order in page.json()["orders"]:
            shown = desk.journal.begin("look", f"b-{order['id']}", {"subject": order["id"], "at": "intake"})
            desk.journal.end(shown, State.OK)
            await _execute(desk, order)
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def _execute(desk: Desk, order: dict[str, Any]) -> None:
    """Stop what is there of the money; one account in ten is empty. The same order gets the same answer for ever."""
    dice = random.Random(order["id"])  # noqa: S311 - a test's dice
    balance = 0 if dice.random() < 0.1 else dice.randrange(1, order["amount_fen"] * 5 // 4 + 2)
    done = min(balance, order["amount_fen"])
    feedback: dict[str, object] = {"result": "failure", "remark": "账户余额为零"}
    if done:
        amounts = {"stopped_fen": done, "balance_before_fen": balance}
        feedback = {"result": "success", "executed_at": order["ordered_at"], **amounts}
    facts = {"order_id": order["id"], "stopped_fen": done, "balance_fen": balance}
    told = desk.journal.begin("feedback", f"f-{order['id']}", facts)
    answer = await desk.ask("POST", f"/v1/orders/{order['id']}/feedback", feedback)
    desk.journal.end(told, State.OK if answer.is_success else State.FAILED)


@asynccontextmanager
async def told_by_webhook(stack: Stack) -> AsyncIterator[Receiver]:
    """Have the alerts of the whole city delivered to a receiver."""
    identity = Seal(read_keys(stack.environment("notifier")["IDENTITY_KEYS"]))
    async with receiving() as receiver:
        async with stack.database("notifier") as connection:
            await reference.add_webhook(connection, identity, "SZ", receiver.url, new_secret())
        yield receiver
