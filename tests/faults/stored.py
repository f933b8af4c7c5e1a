"""What the three databases hold, and whether everything promised has been said and answered."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg


@dataclass(frozen=True, slots=True)
class Stored:
    """What the three databases hold.

    `judged` has a row for each first verdict, `alerts` for each alert of a report, by report; `delivered` are reports
    of which a target took an alert. `audited` are the subjects of audit rows, by service.
    """

    reports: list[dict[str, Any]]
    dispositions: list[dict[str, Any]]
    shown: dict[str, str]
    judged: list[str]
    counted: dict[str, dict[str, Any]]
    alerts: list[str]
    delivered: set[str]
    cases: list[dict[str, Any]]
    ledger: list[dict[str, Any]]
    totals: dict[str, int]
    orders: dict[str, dict[str, Any]]
    answers: set[str]
    audited: dict[str, set[str]]
    unanswered: int


async def settled(databases: Mapping[str, str], seconds: float, *, deliveries: bool = False) -> float:
    """Return how long it took until no obligation was left open; raise `TimeoutError` after `seconds`.

    With `deliveries`, until nothing is on its way to a target either.
    """
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(seconds):
        while await _open(databases, deliveries=deliveries):  # noqa: ASYNC110 - other processes answer
            await asyncio.sleep(0.1)
    return asyncio.get_running_loop().time() - began


async def _open(databases: Mapping[str, str], *, deliveries: bool) -> bool:
    return bool(await unanswered(databases) or (deliveries and await undelivered(databases)))


async def unanswered(databases: Mapping[str, str]) -> int:
    """Count what the outboxes of all services still hold: what is to be said, and what awaits an answer."""
    left = 0
    for service in databases:
        rows = await _rows(databases, service, "select count(*) as n from outbox")
        left += rows[0]["n"]
    return left


async def undelivered(databases: Mapping[str, str]) -> int:
    """Count what is on its way to targets."""
    sql = "select count(*) as n from delivery where state = 'pending'"
    rows = await _rows(databases, "notifier", sql)
    return int(rows[0]["n"])


async def read(databases: Mapping[str, str]) -> Stored:
    """Read what the databases hold."""
    intake, rules, notifier = "intake", "rules", "notifier"
    shown = await _rows(databases, intake, "select report_id, level from verdict")
    judged = await _rows(databases, rules, "select report_id from verdict where version = 1")
    counted = await _rows(databases, notifier, "select id, level, case_id from report")
    alerts = await _rows(
        databases,
        notifier,
        "select id, report_id from alert where report_id is not null and facts ->> 'kind' in ('opened', 'joined')",
    )
    delivered = await _rows(databases, notifier, "select message_id from delivery where state = 'delivered'")
    totals = await _rows(databases, notifier, "select kind, sum(fen)::bigint as fen from ledger_total group by kind")
    orders = await _rows(databases, notifier, "select id, case_id, payee_token, kind, status, covers from bank_order")
    reached = {row["message_id"] for row in delivered}
    return Stored(
        reports=await _rows(databases, intake, "select id, bank, bank_reference, idempotency_key from report"),
        dispositions=await _rows(databases, intake, "select report_id, amount_fen from disposition"),
        shown={str(row["report_id"]): row["level"] for row in shown},
        judged=[str(row["report_id"]) for row in judged],
        counted={str(row["id"]): row for row in counted},
        alerts=[str(row["report_id"]) for row in alerts],
        delivered={str(row["report_id"]) for row in alerts if row["id"] in reached},
        cases=await _rows(databases, notifier, "select id, payee_token, status, acknowledged_at from fraud_case"),
        ledger=await _rows(databases, notifier, "select kind, report_id, case_id, fen, booked_at from ledger"),
        totals={row["kind"]: row["fen"] for row in totals},
        orders={str(row["id"]): row for row in orders},
        answers={str(row["order_id"]) for row in await _rows(databases, intake, "select order_id from feedback")},
        audited={service: await _subjects(databases, service) for service in (intake, notifier)},
        unanswered=await unanswered(databases),
    )


async def _subjects(databases: Mapping[str, str], service: str) -> set[str]:
    return {str(row["subject"]) for row in await _rows(databases, service, "select distinct subject from audit")}


async def _rows(databases: Mapping[str, str], service: str, sql: str) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(databases[service], server_settings={"search_path": service})
    try:
        return [dict(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()
