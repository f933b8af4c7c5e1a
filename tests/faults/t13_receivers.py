"""Receivers that hang, drip, redirect, ask for patience, fail, and reset what they have taken: no alert is lost.

All are webhooks of one unit, beside two that work. Each fault lasts for some requests, then the receiver is well
again. A repetition has the id of the first try; nobody waits for somebody else's receiver.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import httpx2
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from services.notifier import reference
from shared.privacy import Seal
from shared.settings import read_keys
from tests.e2e.stack import Stack, running_stack
from tests.fakes.receiver import Answer, Fault, Receiver, Request, Said, receiving
from tests.faults.clients import Bank
from tests.faults.journal import Journal
from tests.faults.play import Outcome, Play
from tests.parts import DROP, a_report

SEEDS: Final = (1,)
UNIT: Final = "SZ-LH-CZ"
SECRET: Final = "whsec_dGhlIHNlY3JldCBvZiBhIHN0YXRpb24="
RETRY_AFTER: Final = 4
AT_ONCE: Final = 8
"""Calls in flight to one webhook: so many may come after the first 429."""
SOON_SECONDS: Final = 5.0
"""Within this time a receiver that works has an alert, also on a busy machine: a call that hangs takes as long."""
PATIENCE_SECONDS: Final = 240.0
REDIRECTS: Final = "redirects"
PATIENT: Final = Said(429, headers=(("retry-after", str(RETRY_AFTER)),))
FAULTS: Final[Mapping[str, Answer]] = {
    "hangs": Fault.HANG,
    "drips": Fault.DRIP,
    "asks for patience": PATIENT,
    "fails": 500,
    "is away": 503,
    "resets": Fault.RESET,
}
WELL: Final = ("works", "works too")


async def play(run: Play) -> Outcome:
    """File reports, wait until every receiver has every alert; with `long`, kill notifier again and again."""
    reports = 400 if run.long else 40
    dice = random.Random(run.seed)  # noqa: S311 - a test's dice
    with running_stack(run.folder) as stack:
        async with _receivers(stack, dice, 8 if run.long else 5) as receivers:
            kills = await _alerts(run, stack, dice, reports)
            ended = await _until_told(stack)
            outcome = await _check(stack, receivers, reports, killed=kills > 0)
    if not ended:
        outcome.broken.append(f"alerts are on their way still after {PATIENCE_SECONDS:g} s")
    outcome.figures |= {"kills": kills}
    return outcome


@asynccontextmanager
async def _receivers(stack: Stack, dice: random.Random, most: int) -> AsyncIterator[dict[str, Receiver]]:
    """Run a receiver for each fault, as webhooks of the unit; each has its fault for 4 requests, or up to `most`."""
    identity = Seal(read_keys(stack.environment("notifier")["IDENTITY_KEYS"]))
    receivers = {}
    async with AsyncExitStack() as running, stack.database("notifier") as connection:
        for name, fault in FAULTS.items():
            receivers[name] = await running.enter_async_context(receiving(*[fault] * dice.randint(4, most)))
        receivers[REDIRECTS] = await running.enter_async_context(receiving(last=301))
        for name in WELL:
            receivers[name] = await running.enter_async_context(receiving())
        for receiver in receivers.values():
            await reference.add_webhook(connection, identity, UNIT, receiver.url + "alerts", SECRET)
        yield receivers


async def _alerts(run: Play, stack: Stack, dice: random.Random, reports: int) -> int:
    """File reports that alert the unit, a few at a time, over some seconds. Return how often notifier was killed."""
    kills = 0
    async with httpx2.AsyncClient(timeout=10) as http:
        bank = Bank(http, [stack.info["intake"]], stack.bank(), Journal(run.folder / "journal.jsonl"))
        for number in range(reports):
            account = f"6217{dice.randrange(10**15):015d}"
            body = a_report(payee__account=account, payer__account=account[::-1], payer__id_number=DROP)
            await bank.report({**body, "bank_reference": f"F-{dice.getrandbits(64):x}"})
            await asyncio.sleep(0.1)
            if run.long and number % 100 == 50:
                kills += 1
                await asyncio.to_thread(stack.kill, "notifier")
    return kills


async def _until_told(stack: Stack) -> bool:
    """Wait until no report and no delivery is on its way; return whether that came in time."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), stack.database("notifier") as notifier:
            async with stack.database("intake") as intake:
                while await intake.fetchval("select count(*) from outbox"):  # noqa: ASYNC110 - other processes work
                    await asyncio.sleep(0.1)
            while await notifier.fetchval("select count(*) from delivery where state = 'pending'"):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    except TimeoutError:
        return False
    return True


async def _check(stack: Stack, receivers: Mapping[str, Receiver], reports: int, *, killed: bool) -> Outcome:
    async with stack.database("notifier") as database:
        rows = await database.fetch(
            """
            select id, extract(epoch from created_at)::float8 as at from alert
            where unit = $1 and facts ->> 'kind' in ('opened', 'joined')
            """,
            UNIT,
        )
        states = await database.fetch("select state, last_reason, count(*) as n from delivery group by 1, 2 order by 1")
    alerts = {str(row["id"]): row["at"] for row in rows}
    outcome = Outcome(sum(len(one.requests) for one in receivers.values()))
    if len(alerts) != reports:
        outcome.lose(f"{len(alerts)} alerts of {reports} reports")
    for name, receiver in receivers.items():
        _check_receiver(name, receiver, alerts, outcome, killed=killed)
    dead = {row["last_reason"]: row["n"] for row in states if row["state"] == "dead"}
    if dead != {"status 301": len(alerts)}:
        outcome.broken.append(f"given up are {dead}, and should be all that is redirected")
    late = sorted(one.at - alerts[_id(one)] for name in WELL for one in receivers[name].requests if _id(one) in alerts)
    slow = late[int(len(late) * 0.99)] if late else 0.0
    if slow > SOON_SECONDS and not killed:
        outcome.broken.append(f"a receiver that works was told after {slow:.1f} s (p99)")
    repeats = sum(len(one.requests) - len({_id(request) for request in one.requests}) for one in receivers.values())
    outcome.figures = {"alerts": len(alerts), "repeated calls": repeats, "working receivers p99 s": round(slow, 2)}
    return outcome


def _check_receiver(
    name: str, receiver: Receiver, alerts: Mapping[str, float], outcome: Outcome, *, killed: bool
) -> None:
    """Every alert came, none again that was taken, all tries of one alike but for the time they name."""
    taken: Counter[str] = Counter()
    told: dict[str, Any] = {}
    for request in receiver.requests:
        try:
            Webhook(SECRET).verify(request.body, request.headers)
        except WebhookVerificationError:
            outcome.broken.append(f"a request to the one that {name} was not signed by us")
        if told.setdefault(_id(request), request.json()["data"]) != request.json()["data"]:
            outcome.broken.append(f"two alerts had one id at the one that {name}")
        if taken[_id(request)] and not killed:
            outcome.double(f"alert {_id(request)} came again to the one that {name}, which had taken it")
        taken[_id(request)] += request.answer == 200
    for alert_id in alerts:
        if not (taken[alert_id] or (name == REDIRECTS and alert_id in told)):
            outcome.lose(f"alert {alert_id} did not reach the one that {name}")
    if name == REDIRECTS and (
        len(receiver.requests) > len(alerts) or {one.path for one in receiver.requests} != {"/alerts"}
    ):
        outcome.broken.append("a redirect was followed, or asked for again")
    _check_patience(receiver, outcome)


def _check_patience(receiver: Receiver, outcome: Outcome) -> None:
    """Who answers 429 is left alone for as long as it asks, but for what was on its way."""
    asked = [one.at for one in receiver.requests if one.answer is PATIENT]
    for since in asked[:1]:
        hasty = [one.at for one in receiver.requests if since < one.at < since + RETRY_AFTER * 0.9]
        if len(hasty) >= AT_ONCE:
            outcome.broken.append(f"{len(hasty)} calls came within {RETRY_AFTER} s of a 429")


def _id(request: Request) -> str:
    return request.headers["webhook-id"]
