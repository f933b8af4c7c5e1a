"""What a branch system does at the banks' door, and what the other services would answer."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from httpx2 import Response
from prometheus_client.parser import text_string_to_metric_families

from services.intake import hearing
from shared.events import (
    AccountType,
    Advice,
    CaseChanged,
    CaseStatus,
    Level,
    OrderChanged,
    OrderKind,
    OrderStatus,
    ReportFiled,
    RuleFinding,
    VerdictReached,
)
from shared.outbox import new_id
from tests.parts import IDENTITY, Door, a_key, a_report, bank

COUNTS = """
    select (select count(*) from report) as reports, (select count(*) from outbox) as promises,
           (select count(*) from disposition) as dispositions, (select count(*) from feedback) as feedback,
           (select count(*) from contradiction) as contradictions
"""
INTERNALS = re.compile(r"traceback|asyncpg|postgres|pydantic|site-packages|\.py\b|select |insert ", re.IGNORECASE)


async def post(
    door: Door,
    body: object,
    *,
    key: str | None = None,
    code: str = "ICBC",
    **headers: str,
) -> Response:
    """Post a report as a bank: a body of bytes as it is, anything else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    told = bank(code, **{"Idempotency-Key": a_key() if key is None else key, **headers})
    return await door.client.post("/v1/reports", content=content, headers=told)


async def filed(door: Door, **changes: Any) -> UUID:  # noqa: ANN401
    """File a report and return its id."""
    answer = await post(door, a_report(**changes))
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["id"])


async def event_of(door: Door, report_id: UUID) -> ReportFiled:
    """Return the event that was promised for a report."""
    [row] = await door.rows("select payload from outbox where id = $1", report_id)
    return ReportFiled.model_validate_json(row["payload"])


async def shown(door: Door, report_id: UUID) -> dict[str, Any]:
    """Return what the bank is shown of its report."""
    answer = await door.client.get(f"/v1/reports/{report_id}", headers=bank())
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    return told


async def owed(door: Door, event_id: UUID) -> bool:
    """Return whether an event still waits for its answer."""
    return bool(await door.rows("select 1 from outbox where id = $1 and awaits_answer", event_id))


async def waiting_for_locks(door: Door, number: int = 1) -> None:
    """Wait until so many connections of the door's database wait for a lock."""
    sql = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    async with asyncio.timeout(5):
        while await door.pool.fetchval(sql) < number:  # noqa: ASYNC110 - PostgreSQL tells nobody who begins to wait
            await asyncio.sleep(0.01)


def problem_of(answer: Response, status: int) -> dict[str, Any]:
    """Return the problem document of a refusal, after a look at its form."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["type"] == "about:blank"
    assert document["title"]
    assert document["detail"]
    assert not INTERNALS.search(answer.text), answer.text
    return document


def fields_of(document: dict[str, Any]) -> set[str]:
    """Return the fields that a problem document names."""
    return {error["field"] for error in document.get("errors", ())}


@asynccontextmanager
async def no_trace(door: Door) -> AsyncIterator[None]:
    """Hold that the business tables have no row more at the end."""
    before = await door.rows(COUNTS)
    yield
    assert await door.rows(COUNTS) == before


async def metric(door: Door, name: str, **labels: str) -> float:
    """Read one sample of the door's metrics; what was never counted is 0."""
    text = (await door.client.get("/metrics")).text
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    return 0.0


def a_verdict(report: ReportFiled, level: Level = Level.ALERT, *, version: int = 1) -> VerdictReached:
    """Return what the rules would say of a report."""
    return VerdictReached(
        verdict_id=new_id(),
        version=version,
        level=level,
        score=86,
        scam_type="impersonating_authority",
        findings=(RuleFinding(rule="safe_account", weight=60, why="对方要求转入“安全账户”"),),
        advice=Advice(ask=("谁让您转的？",), say=("公检法没有安全账户。",), do=("暂缓办理",)),
        pack="test",
        judged_at=datetime.now(UTC),
        report=report,
    )


async def judge(door: Door, report_id: UUID, level: Level = Level.ALERT, *, version: int = 1) -> None:
    """Store a verdict as another replica of the door does, so that nobody here is told."""
    await hearing.hear(door.pool, [a_verdict(await event_of(door, report_id), level, version=version)])


def a_case(*report_ids: UUID, case_id: UUID | None = None, version: int = 1, **changes: Any) -> CaseChanged:  # noqa: ANN401
    """Return what the notifier says of a case."""
    told = {"status": CaseStatus.OPEN, "unit": "SZ-LH-CZ", "opened_at": datetime.now(UTC), **changes}
    return CaseChanged(case_id=case_id or new_id(), version=version, report_ids=report_ids, **told)


def an_order(**changes: Any) -> OrderChanged:  # noqa: ANN401
    """Return a pending stop to CCB, with what its bank needs sealed in it."""
    order_id = changes.setdefault("order_id", new_id())
    now = datetime.now(UTC)
    told: dict[str, Any] = {
        "version": 1,
        "case_id": new_id(),
        "kind": OrderKind.STOP,
        "status": OrderStatus.PENDING,
        "bank": "CCB",
        "amount_fen": 9_800_000,
        "application_type": "02",
        "original_application_id": new_id(),
        "emergency_level": "02",
        "payee_account_type": AccountType.PERSONAL,
        "transfer_at": now,
        "ordered_at": now,
        "starts_at": now,
        "unit": "SZ-LH-CZ",
        "identity": IDENTITY.seal(json.dumps(PEOPLE, ensure_ascii=False), str(order_id)),
        **changes,
    }
    return OrderChanged(**told)


PEOPLE = {
    "payer": {"name": "梁惠珍", "account": "6222020000000001024", "bank_code": "ICBC"},
    "payee": {
        "name": "蒙世坤",
        "account": "6217000000000002026",
        "bank_code": "CCB",
        "account_type": "personal",
    },
    "officer": "陈志强",
    "reason": "冒充公检法",
    "remark": "",
}


async def ordered(door: Door, **changes: Any) -> OrderChanged:  # noqa: ANN401
    """Give an order as the notifier does."""
    order = an_order(**changes)
    await hearing.hear(door.pool, [order])
    return order
