"""Banks' branch systems as the fault tests play them: they insist until they are answered, and write it all down."""

import asyncio
import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

import httpx2

from tests.faults.journal import Journal, Operation, State
from tests.parts import DROP, a_report

PASSING: Final = {408, 409, 429, 500, 502, 503, 504}
"""What a client repeats. 409 is one of its own requests that is still in hand."""

NO_ANSWER: Final = (httpx2.HTTPError, OSError)


def bodies(dice: random.Random, number: int, accounts: int = 120) -> Iterator[dict[str, Any]]:
    """Yield reports: two thirds at alert level, on some accounts that come again; the others plain transfers."""
    for _ in range(number):
        amount = dice.randrange(1, 10_000_000)
        reference = f"F-{uuid.UUID(int=dice.getrandbits(128)).hex[:20]}"
        if dice.random() < 1 / 3:
            yield a_report(
                bank_reference=reference,
                payee__account=f"6228{dice.randrange(10**12):012d}",
                payer__account=f"6229{dice.randrange(10**12):012d}",
                payer__id_number=DROP,
                transfer__amount_fen=amount,
                transfer__purpose="货款",
                cues=[],
                note="",
            )
        else:
            account = f"6217{dice.randrange(accounts):012d}"
            yield a_report(bank_reference=reference, payee__account=account, transfer__amount_fen=amount)


class Bank:
    """One bank's branch system: any number of requests at a time, each repeated with its key until it is answered."""

    def __init__(
        self, http: httpx2.AsyncClient, urls: Sequence[str], headers: dict[str, str], journal: Journal
    ) -> None:
        self._http = http
        self._urls = urls
        self._headers = headers
        self._journal = journal
        self.pause_seconds = 0.1
        self.repeats = 0

    async def report(self, body: dict[str, Any], *, insist: bool = True) -> Operation:
        """File a report; with `insist`, until it is answered for good, else once."""
        key = uuid.uuid4().hex
        facts = {
            "bank_reference": body["bank_reference"],
            "amount_fen": body["transfer"]["amount_fen"],
            "account": body["payee"]["account"],
            "key": key,
        }
        operation = self._journal.begin("report", key, facts)
        return await self._ask(operation, "/v1/reports", body, {"Idempotency-Key": key}, insist=insist)

    async def dispose(self, report_id: str, outcome: str, amount_fen: int, *, insist: bool = True) -> Operation:
        """Say how a visit ended."""
        facts = {"report_id": report_id, "outcome": outcome, "amount_fen": amount_fen}
        operation = self._journal.begin("disposition", f"d-{report_id}", facts)
        told = {"outcome": outcome, "amount_fen": amount_fen}
        return await self._ask(operation, f"/v1/reports/{report_id}/disposition", told, {}, insist=insist)

    async def _ask(
        self, operation: Operation, path: str, body: dict[str, Any], more: dict[str, str], *, insist: bool
    ) -> Operation:
        for attempt in range(1_000_000):
            url = self._urls[attempt % len(self._urls)]
            with suppress(*NO_ANSWER):
                answer = await self._http.post(url + path, json=body, headers={**self._headers, **more})
                if answer.is_success:
                    return self._journal.end(operation, State.OK, str(answer.json().get("id", "")))
                if answer.status_code not in PASSING:
                    return self._journal.end(operation, State.FAILED)
            if not insist:
                return self._journal.end(operation, State.UNKNOWN)
            self.repeats += 1
            await asyncio.sleep(self.pause_seconds)
        raise AssertionError("unreachable")


async def morning(
    bank: Bank, queue: list[dict[str, Any]], clients: int, *, each: Callable[[Operation], None] = lambda _: None
) -> None:
    """Have so many clients file the queue's reports; every fifth visit is broken off, the money kept."""

    async def client() -> None:
        while queue:
            place = len(queue)
            body = queue.pop()
            filed = await bank.report(body)
            each(filed)
            if place % 5 == 0 and filed.state is State.OK:
                await bank.dispose(filed.id, "cancelled", body["transfer"]["amount_fen"])

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
