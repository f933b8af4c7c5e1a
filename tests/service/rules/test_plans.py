"""However much has been seen, a report is judged by a few rows found through an index."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from services.rules import branch_store, store
from services.rules.branch_store import BRANCHES
from services.rules.past_store import PASTS
from services.rules.upkeep import keep_up
from shared.events import ReportFiled
from shared.postgres import Connection, Pool
from tests.service.rules.builders import NOW, a_filed_report

SEEN = """
    insert into sighting (report_id, payee_token, payer_token, payer_person_token, bank, branch, amount_fen, filed_at)
    select gen_random_uuid(), case when n % 3 = 0 then 'hot' else 'payee-' || n % 7000 end,
           'payer-' || n % 9000, case when n % 4 > 0 then 'person-' || n % 8000 end,
           'ICBC', 'B' || n % 50, 100, $1::timestamptz - n * interval '80 seconds'
    from generate_series(1, 30000) n
"""

JUDGED = """
    insert into verdict (report_id, version, filed_at, id, level, score, judged_at, facts, event, traceparent)
    select report_id, 1, filed_at, report_id, 'clear', 0, filed_at, '{}', '', '' from sighting
"""

COUNTED = """
    insert into branch_day select 'B' || n % 500, '2026-11-22'::date - n / 500, array_fill(1, array[25]),
                                  array_fill(1, array[121])
    from generate_series(0, 15000) n
"""

FOUND = """
    insert into outcome (id, case_id, finding, payee_token, decided_at, applied_at)
    select gen_random_uuid(), gen_random_uuid(), 'confirmed', 'payee-' || n, now(), now()
    from generate_series(1, 3000) n
"""

LISTED = """
    insert into list_entry (id, subject, token, condition, reason, author, source, case_id, starts_at)
    select id, 'payee', payee_token, 'overridable_block', '', '', 'outcome', case_id, decided_at from outcome
"""

MONTHS = ("verdict_202610", "verdict_202611", "verdict_202612")


@pytest.fixture
async def full(pool: Pool) -> AsyncIterator[Connection]:
    """Yield a connection to a database with 30,000 sightings of a month, a third of them of one account."""
    for days in (40, 0):
        await keep_up(pool, NOW - timedelta(days=days))
    async with pool.acquire() as connection:
        await connection.execute(SEEN, NOW)
        for statement in (JUDGED, COUNTED, FOUND, LISTED, "analyze"):
            await connection.execute(statement)
        yield connection


def reports(size: int) -> list[ReportFiled]:
    """Return reports, one of them on the hot account."""
    payees = ["hot", *(f"payee-{place}" for place in range(1, size))]
    return [
        a_filed_report(
            payee_token=payee,
            payer_token=f"payer-{place}",
            payer_person_token=f"person-{place}",
            branch=f"B{place % 50}",
        )
        for place, payee in enumerate(payees)
    ]


async def explained(connection: Connection, how: str, statement: str, *values: object) -> dict[str, Any]:
    text = await connection.fetchval(f"explain ({how}, format json) {statement}", *values)
    top: dict[str, Any] = json.loads(text)[0]["Plan"]
    return top


async def pasts(connection: Connection, batch: Sequence[ReportFiled], how: str) -> dict[str, Any]:
    """Explain the question about the pasts of a batch."""
    ids = [report.report_id for report in batch]
    return await explained(
        connection,
        how,
        PASTS,
        ids,
        [report.payee_token for report in batch],
        [report.payer_token for report in batch],
        [report.payer_person_token for report in batch],
        [report.branch for report in batch],
        [report.filed_at for report in batch],
        ids,
        NOW,
    )


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from nodes(child)


def scans(plan: dict[str, Any], *tables: str) -> list[dict[str, Any]]:
    return [node for node in nodes(plan) if node.get("Relation Name") in tables]


def assert_by_index(found: Sequence[dict[str, Any]]) -> None:
    assert found
    assert {node["Node Type"] for node in found} <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}


@pytest.mark.parametrize("size", [1, 200])
async def test_all_that_is_known_is_found_through_an_index_never_by_reading_a_table(
    full: Connection, size: int
) -> None:
    plan = await pasts(full, reports(size), "verbose")
    assert len(scans(plan, "sighting")) == 6
    assert_by_index(scans(plan, "sighting", "outcome", "list_entry"))


async def test_a_plan_made_before_anything_was_seen_finds_accounts_through_their_own_indexes(pool: Pool) -> None:
    async with pool.acquire() as connection:
        found = scans(await pasts(connection, reports(1), "verbose"), "sighting")
    assert len(found) == 6
    assert {node["Index Name"] for node in found} == {f"sighting_by_{one}" for one in ("payee", "payer", "person")}


async def test_a_hot_account_costs_no_more_than_its_latest_hundred_sightings(full: Connection) -> None:
    seen = scans(await pasts(full, reports(1), "analyze"), "sighting")
    assert len(seen) == 6
    assert all(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) <= 101 for node in seen)


@pytest.mark.parametrize("size", [1, 200])
async def test_a_branchs_days_are_found_through_an_index(full: Connection, size: int) -> None:
    batch = reports(size)
    hours = [int(report.filed_at.timestamp() // 3600) for report in batch]
    ids, branches = [report.report_id for report in batch], [report.branch for report in batch]
    plan = await explained(full, "analyze", BRANCHES, ids, branches, [25] * size, hours, hours, 0)
    found = scans(plan, "branch_day")
    assert_by_index(found)
    assert all(node["Actual Rows"] <= 30 for node in found)


@pytest.fixture
async def explaining(full: Connection) -> AsyncIterator[list[str]]:
    """Have the server explain the statements of the connection as they ran, whoever put them."""
    notices: list[str] = []

    def listen(_: object, message: object) -> None:
        notices.append(str(message))

    full.add_log_listener(listen)
    await full.execute(
        "load 'auto_explain'; set auto_explain.log_min_duration = 0; set auto_explain.log_analyze = on;"
        "set auto_explain.log_format = json; set auto_explain.log_level = notice"
    )
    notices.clear()
    yield notices
    full.remove_log_listener(listen)


def plans_of(notices: Sequence[str], words: str) -> list[dict[str, Any]]:
    """Return the plans of the statements that have these words in them."""
    told = [json.loads(text[text.index("{") :]) for text in notices]
    return [one["Plan"] for one in told if words in one["Query Text"]]


async def test_verdicts_are_found_in_the_partition_of_their_month_only(full: Connection, explaining: list[str]) -> None:
    stored = await full.fetch("select report_id, filed_at from sighting where filed_at > $1", NOW - timedelta(days=1))
    batch = [a_filed_report(report_id=row["report_id"], filed_at=row["filed_at"]) for row in stored[:50]]
    assert len(await store.latest_verdicts(full, batch)) == 50
    assert await store.insert_sightings(full, batch) == set()
    plans = [*plans_of(explaining, "order by version desc limit 1"), *plans_of(explaining, "insert into sighting")]
    assert len(plans) == 2
    for plan in plans:
        looked_at = [node for node in scans(plan, *MONTHS) if node["Actual Loops"]]
        assert {node["Relation Name"] for node in looked_at} == {"verdict_202611"}
        assert_by_index(looked_at)


async def test_writing_verdicts_and_levels_reads_no_table(full: Connection, explaining: list[str]) -> None:
    await store.rejudgeable(full, ["hot"], NOW - timedelta(hours=1))
    await branch_store.count_branches(full, reports(20))
    plans = [*plans_of(explaining, "level < 2"), *plans_of(explaining, "insert into branch_day")]
    assert len(plans) == 2
    for plan in plans:
        assert not [node for node in nodes(plan) if node["Node Type"] == "Seq Scan"]
