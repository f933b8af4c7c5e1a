"""What the other services say, built as they build it."""

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from services.notifier.cases.verdicts import Taken, take_verdicts
from services.notifier.clock.clock import Deadlines
from services.notifier.money import handlers
from services.notifier.office import Office
from services.notifier.orders import answering
from shared.events import (
    AccountType,
    Advice,
    Channel,
    Checked,
    DispositionOutcome,
    DispositionRecorded,
    Event,
    Failure,
    FeedbackContradicted,
    FeedbackReceived,
    FeedbackResult,
    Level,
    ReportFiled,
    RuleFinding,
    VerdictReached,
)
from shared.outbox import Outgoing, new_id
from shared.postgres import TRANSIENT, Pool, RawConnection
from tests.parts import IDENTITY, NARRATIVE, TOKENS

E = TypeVar("E", bound=Event)

PAYEE = "6217000000000002026"
PAYEE_NAME = "蒙世坤"
PAYER = "6222020000000001024"
PAYER_NAME = "梁惠珍"
ID_NUMBER = "44030119530314902X"
PHONE = "13900000002"
ONWARD_NAME = "戚海涛"
CLEAR_TEXTS = (PAYEE, PAYEE_NAME, PAYER, PAYER_NAME, ID_NUMBER, PHONE, ONWARD_NAME)
"""What no screen and no alert may show."""


def now() -> datetime:
    return datetime.now(UTC)


def an_account() -> str:
    """A payee account of nobody else."""
    return f"6217{secrets.randbelow(10**15):015}"


def a_verdict(
    account: str = PAYEE,
    branch: str = "ICBC-SZ-LH-001",
    amount_fen: int = 9_800_000,
    level: Level = Level.ALERT,
    filed_at: datetime | None = None,
) -> VerdictReached:
    """A report and what the rules said of it."""
    return VerdictReached(
        verdict_id=new_id(),
        version=1,
        level=level,
        score=92,
        scam_type="impersonated_authority",
        findings=(
            RuleFinding(rule="safe_account", weight=60, why="提到安全账户"),
            RuleFinding(rule="known_payee", weight=-5, why="曾向该收款人转账"),
        ),
        advice=Advice(ask=("问",), say=("说",), do=("做",)),
        pack="test",
        judged_at=now(),
        report=a_report_filed(account, branch, amount_fen, filed_at or now()),
    )


def judged_again(
    verdict: VerdictReached, level: Level = Level.ALERT, version: int = 2, score: int = 97
) -> VerdictReached:
    """What the rules say of the same report when a later fact has changed their mind."""
    return verdict.model_copy(
        update={
            "verdict_id": new_id(),
            "version": version,
            "level": level,
            "score": score,
            "findings": (
                RuleFinding(rule="confirmed_payee", weight=90, why="收款账户已被核实涉诈"),
                RuleFinding(rule="safe_account", weight=12, why="提到安全账户"),
                RuleFinding(rule="known_payee", weight=-5, why="曾向该收款人转账"),
            ),
            "judged_at": now(),
        }
    )


def a_report_filed(
    account: str, branch: str, amount_fen: int, filed_at: datetime, report_id: UUID | None = None
) -> ReportFiled:
    report_id = report_id or new_id()
    identity = {
        "payer": {"name": PAYER_NAME, "account": PAYER, "id_number": ID_NUMBER, "phone": PHONE},
        "payee": {"name": PAYEE_NAME, "account": account, "bank_code": "CCB", "account_type": "personal"},
        "teller_id": "T1009",
    }
    narrative = {"note": "客户一直戴着耳机通话", "purpose": "还款"}
    return ReportFiled(
        report_id=report_id,
        bank=branch.partition("-")[0],
        branch=branch,
        observed_at=filed_at,
        filed_at=filed_at,
        late=False,
        amount_fen=amount_fen,
        channel=Channel.COUNTER_TRANSFER,
        payee_token=TOKENS.of("account", account),
        payee_bank="CCB",
        payee_account_type=AccountType.PERSONAL,
        payer_token=TOKENS.of("account", PAYER),
        cues=("safe_account",),
        flags=(),
        identity=IDENTITY.seal(json.dumps(identity, ensure_ascii=False), str(report_id)),
        narrative=NARRATIVE.seal(json.dumps(narrative, ensure_ascii=False), str(report_id)),
    )


def a_disposition(
    verdict: VerdictReached,
    outcome: DispositionOutcome = DispositionOutcome.CANCELLED,
    amount_fen: int | None = None,
) -> DispositionRecorded:
    """How the visit ended: of all the reported money, unless an amount is given."""
    return DispositionRecorded(
        disposition_id=new_id(),
        report_id=verdict.report.report_id,
        payee_token=verdict.report.payee_token,
        outcome=outcome,
        amount_fen=verdict.report.amount_fen if amount_fen is None else amount_fen,
        recorded_at=now(),
    )


def a_success(
    order: dict[str, Any],
    stopped_fen: int | None = None,
    balance_before_fen: int | None = None,
    executed_at: datetime | None = None,
    onward: Sequence[dict[str, Any]] = (),
) -> FeedbackReceived:
    """The bank has done what the order says: all of it, unless an amount is given."""
    stops = order["kind"] in ("stop", "extend_stop")
    freezes = order["kind"] in ("freeze", "extend_freeze")
    feedback_id = new_id()
    return FeedbackReceived(
        feedback_id=feedback_id,
        order_id=UUID(order["id"]),
        case_id=UUID(order["case_id"]),
        bank=order["bank"],
        result=FeedbackResult.SUCCESS,
        balance_before_fen=balance_before_fen,
        stopped_fen=(order["amount_fen"] if stopped_fen is None else stopped_fen) if stops else None,
        frozen_fen=order["amount_fen"] if freezes else None,
        returned_fen=order["amount_fen"] if order["kind"] == "return_funds" else None,
        executed_at=executed_at or now(),
        received_at=now(),
        identity=_words(feedback_id, onward=list(onward)),
    )


def a_failure(
    order: dict[str, Any], onward: Sequence[dict[str, Any]] = (), mismatch: Sequence[Checked] = ()
) -> FeedbackReceived:
    """The bank could not do what the order says, or must not since facts do not match."""
    feedback_id = new_id()
    return FeedbackReceived(
        feedback_id=feedback_id,
        order_id=UUID(order["id"]),
        case_id=UUID(order["case_id"]),
        bank=order["bank"],
        result=FeedbackResult.FAILURE,
        failure=Failure.MISMATCH if mismatch else Failure.TECHNICAL,
        mismatch=tuple(mismatch),
        received_at=now(),
        identity=_words(feedback_id, failure_cause="核心系统暂停服务", onward=list(onward)),
    )


def _words(feedback_id: UUID, **said: Any) -> str:  # noqa: ANN401
    """Seal what a bank says with an answer, as intake does."""
    words = {"failure_cause": None, "remark": None, "operator": None, "onward": [], **said}
    return IDENTITY.seal(json.dumps(words, ensure_ascii=False), str(feedback_id))


def moved_to(account: str, amount_fen: int, bank: str = "ABC", at: datetime | None = None) -> dict[str, Any]:
    """Where money has moved on to, as a bank's answer names it."""
    told = {"bank_code": bank, "account": account, "name": ONWARD_NAME, "amount_fen": amount_fen}
    return {**told, "transferred_at": (at or now()).isoformat()}


def a_contradiction(order: dict[str, Any]) -> FeedbackContradicted:
    """The bank answered a second time, otherwise."""
    return FeedbackContradicted(
        contradiction_id=new_id(),
        order_id=UUID(order["id"]),
        case_id=UUID(order["case_id"]),
        bank=order["bank"],
        result=FeedbackResult.SUCCESS,
        stopped_fen=100,
        received_at=now(),
    )


Gained = Callable[[], Awaitable[dict[str, int]]]
"""Says what a ledger has gained in a test."""


async def money(pool: Pool) -> Counter[str]:
    """What the ledger's totals hold, in fen by kind."""
    rows = await pool.fetch("select kind, sum(fen)::bigint as fen from ledger_total group by kind")
    return Counter({row["kind"]: row["fen"] for row in rows})


def office(pool: Pool) -> Office:
    """The office of a test."""
    return Office(pool, IDENTITY, TOKENS)


async def take(pool: Pool, *verdicts: VerdictReached) -> Taken:
    """Let notifier hear verdicts in one batch."""
    return await take_verdicts(pool, IDENTITY, Deadlines(), verdicts, now())


async def patiently(pool: Pool, *verdicts: VerdictReached) -> tuple[Taken, list[Exception]]:
    """Take a batch of verdicts as the consumer does: again, where it failed for a passing reason."""
    failures: list[Exception] = []
    while True:
        try:
            return await take(pool, *verdicts), failures
        except TRANSIENT as error:
            failures.append(error)


async def count(pool: Pool, *dispositions: DispositionRecorded) -> list[Outgoing]:
    """Let notifier hear dispositions in one batch."""
    return await handlers.count_dispositions(pool, dispositions, now())


async def hear(pool: Pool, feedback: FeedbackReceived) -> list[Outgoing]:
    """Let notifier hear a bank's answer."""
    _, rows = await answering.take_feedback(office(pool), feedback, now())
    return rows


def said(rows: Sequence[Outgoing], event: type[E]) -> list[E]:
    """Return the events of one type among those promised."""
    return [event.model_validate_json(row.payload) for row in rows if row.type == event.type]


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[RawConnection]:
    """Connect as a command on a terminal does."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "notifier"})
    try:
        yield connection
    finally:
        await connection.close()


async def until(check: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so, at most five seconds."""
    for _ in range(250):
        if await check():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come to be so")
