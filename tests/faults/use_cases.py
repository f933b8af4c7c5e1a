"""The use cases of the three services, each with what it needs, for tests that break it off half-way."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from services.intake import handlers as intake
from services.intake import hearing
from services.intake.order import Feedback
from services.intake.store import Filing
from services.notifier import people_store
from services.notifier.cases.requests import Ordering
from services.notifier.orders import ordering
from services.rules import handlers as rules
from shared.access import fingerprint
from shared.events import OrderKind, VerdictReached
from shared.outbox import Outgoing, keep, new_id
from shared.postgres import Pool
from shared.relay import Relay
from tests.parts import IDENTITY, TOKENS, a_key, officer_token, officers
from tests.service.intake.counter import an_order
from tests.service.notifier.builders import a_verdict, an_account, office, take
from tests.service.rules.builders import NOW, SCAM, TRACE, a_court, a_filed_report

Work = Callable[[Pool, Any], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class UseCase:
    """One use case. `prepared` sets the scene and returns the subject of one run; `work_on` may be run on it twice."""

    name: str
    service: str
    prepared: Callable[[Pool], Awaitable[Any]]
    work_on: Work


def use_cases() -> Sequence[UseCase]:
    """Return those that write, one of each kind."""
    return (
        UseCase("file reports", "intake", _filings, intake.file_reports),
        UseCase("take feedback", "intake", _order_at_intake, _answer_order),
        UseCase("judge reports", "rules", _reports, _judge),
        UseCase("take verdicts", "notifier", _verdict, _take),
        UseCase("give an order", "notifier", _case, _order),
        UseCase("sweep the outbox", "rules", _overdue, _sweep),
    )


async def _filings(_pool: Pool) -> list[Filing]:
    return [Filing(a_key(), a_key(), b"fingerprint", a_filed_report(), TRACE) for _ in range(3)]


async def _order_at_intake(pool: Pool) -> UUID:
    order = an_order()
    await hearing.hear(pool, [order])
    return order.order_id


async def _answer_order(pool: Pool, order_id: UUID) -> object:
    now = datetime.now(UTC)
    told = {"result": "failure", "remark": "查无此户"}
    feedback = Feedback.model_validate(told, strict=False)
    return await intake.receive_feedback(pool, "CCB", order_id, feedback, (TOKENS, IDENTITY), now)


async def _reports(_pool: Pool) -> list[tuple[Any, str]]:
    return [(a_filed_report(note), TRACE) for note in (SCAM, "给女儿打生活费")]


async def _judge(pool: Pool, reports: list[tuple[Any, str]]) -> object:
    return await rules.judge_reports(pool, a_court(NOW), reports)


async def _verdict(_pool: Pool) -> VerdictReached:
    return a_verdict(account=an_account())


async def _take(pool: Pool, verdict: VerdictReached) -> object:
    return await take(pool, verdict)


async def _case(pool: Pool) -> UUID:
    taken = await take(pool, a_verdict(account=an_account()))
    return taken.placed[0].case_id


async def _order(pool: Pool, case_id: UUID) -> object:
    who = next(one for one in officers() if one["unit"] == "SZ-LH-CZ" and one["role"] == "officer")
    officer = await people_store.officer_of_token(pool, fingerprint(officer_token(who["name"])))
    assert officer is not None
    asked = Ordering(kind=OrderKind.STOP, reason="核实")
    return await ordering.give_order(office(pool), officer, case_id, asked, datetime.now(UTC))


HELD: Final = 3


async def _overdue(pool: Pool) -> None:
    """Leave rows that await their answers, and are to be sent again."""
    await pool.execute("delete from outbox")
    rows = [Outgoing(new_id(), "lanjie.reports.v1", "key", "type", b"{}", awaits_answer=True) for _ in range(HELD)]
    async with pool.acquire() as connection, connection.transaction():
        await keep(connection, rows)
    await pool.execute("update outbox set unsent = true, due_at = now() - interval '1 second'")


async def _sweep(pool: Pool, _subject: None) -> object:
    """Sweep once; what was swept before and is not due yet is left alone."""
    relay = Relay(pool, _sent)
    return await relay._sweep_unsent(1)  # noqa: SLF001 - one step of a loop that has no end


async def _sent(rows: Sequence[Outgoing]) -> list[UUID]:
    return [row.id for row in rows]
