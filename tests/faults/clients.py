"""Banks' branch systems as the fault tests play them: they insist until they are answered, and write it all down."""

import asyncio
import json
import random
import uuid
from collections import Counter
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
        self.answers: Counter[int] = Counter()
        """How often each status was answered."""
        self.silences: Counter[str] = Counter()
        """How often no answer came, by what came instead."""
        self.hasty: list[str] = []
        """Answers that asked for patience without saying how much."""

    async def report(self, body: dict[str, Any], *, insist: bool = True) -> Operation:
        """File a report; with `insist`, until it is answered for good, else once."""
        key = uuid.uuid4().hex
        operation = self._journal.begin("report", key, _facts(body, key))
        return await self._ask(operation, "/v1/reports", body, {"Idempotency-Key": key}, insist=insist)

    async def dispose(self, report_id: str, outcome: str, amount_fen: int, *, insist: bool = True) -> Operation:
        """Say how a visit ended."""
        facts = {"report_id": report_id, "outcome": outcome, "amount_fen": amount_fen}
        operation = self._journal.begin("disposition", f"d-{report_id}", facts)
        told = {"outcome": outcome, "amount_fen": amount_fen}
        return await self._ask(operation, f"/v1/reports/{report_id}/disposition", told, {}, insist=insist)

    async def batch(self, bodies: Sequence[dict[str, Any]]) -> None:
        """File reports as one batch, and again what of it was not taken, until all of it is."""
        left = {uuid.uuid4().hex: body for body in bodies}
        begun = {key: self._journal.begin("report", key, _facts(body, key)) for key, body in left.items()}
        while left:
            lines = "".join(json.dumps({"idempotency_key": key, **body}) + "\n" for key, body in left.items())
            told = {**self._headers, "Content-Type": "application/x-ndjson"}
            with suppress(*NO_ANSWER):
                answer = await self._http.post(self._urls[0] + "/v1/reports/batch", content=lines, headers=told)
                self._note(answer)
                if answer.is_success:
                    for line in answer.text.splitlines():
                        said = json.loads(line)
                        if said["code"] == 202:
                            self._journal.end(begun[said["idempotency_key"]], State.OK, said["id"])
                            del left[said["idempotency_key"]]
            if left:
                self.repeats += 1
                await asyncio.sleep(self.pause_seconds)

    async def _ask(
        self, operation: Operation, path: str, body: dict[str, Any], more: dict[str, str], *, insist: bool
    ) -> Operation:
        for attempt in range(1_000_000):
            url = self._urls[attempt % len(self._urls)]
            try:
                answer = await self._http.post(url + path, json=body, headers={**self._headers, **more})
                self._note(answer)
                if answer.is_success:
                    return self._journal.end(operation, State.OK, str(answer.json().get("id", "")))
                if answer.status_code not in PASSING:
                    return self._journal.end(operation, State.FAILED)
            except NO_ANSWER as error:
                self.silences[type(error).__name__] += 1
            if not insist:
                return self._journal.end(operation, State.UNKNOWN)
            self.repeats += 1
            await asyncio.sleep(self.pause_seconds)
        raise AssertionError("unreachable")

    def _note(self, answer: httpx2.Response) -> None:
        self.answers[answer.status_code] += 1
        if answer.status_code in (429, 503) and not answer.headers.get("Retry-After", "").isdigit():
            self.hasty.append(f"{answer.status_code} without Retry-After")


def _facts(body: dict[str, Any], key: str) -> dict[str, Any]:
    return {
        "bank_reference": body["bank_reference"],
        "amount_fen": body["transfer"]["amount_fen"],
        "account": body["payee"]["account"],
        "key": key,
    }


async def steadily(bank: Bank, bodies: Iterator[dict[str, Any]], per_second: float, until: asyncio.Event) -> None:
    """File a report every so often, whether those before are answered or not; each ends answered."""
    loop = asyncio.get_running_loop()
    next_at = loop.time()
    async with asyncio.TaskGroup() as group:
        for body in bodies:
            if until.is_set():
                return
            group.create_task(bank.report(body))
            next_at += 1 / per_second
            await asyncio.sleep(max(0.0, next_at - loop.time()))


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
