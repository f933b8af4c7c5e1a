"""However much has been seen, a report is judged by a few rows found through an index."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from services.rules.store import PASTS
from shared.postgres import Connection, Pool
from tests.service.rules.builders import NOW, a_filed_report

SEEN = """
    insert into sighting (report_id, payee_token, payer_token, payer_person_token, bank, branch, amount_fen, filed_at)
    select gen_random_uuid(), case when n % 3 = 0 then 'hot' else 'payee-' || n % 7000 end,
           'payer-' || n % 9000, case when n % 4 > 0 then 'person-' || n % 8000 end,
           'ICBC', 'B' || n % 50, 100, $1::timestamptz - n * interval '15 seconds'
    from generate_series(1, 30000) n
"""


@pytest.fixture
async def full(pool: Pool) -> AsyncIterator[Connection]:
    """Yield a connection to a database with 30,000 sightings of five days, a third of them of one account."""
    async with pool.acquire() as connection:
        await connection.execute(SEEN, NOW)
        await connection.execute("analyze sighting")
        yield connection


async def plan(connection: Connection, *, size: int, how: str) -> dict[str, Any]:
    """Explain the question about the pasts of `size` reports, one of them on the hot account."""
    payees = ["hot", *(f"payee-{place}" for place in range(1, size))]
    reports = [
        a_filed_report(payee_token=payee, payer_token=f"payer-{place}", payer_person_token=f"person-{place}")
        for place, payee in enumerate(payees)
    ]
    text = await connection.fetchval(
        f"explain ({how}, format json) {PASTS}",
        [report.report_id for report in reports],
        [report.payee_token for report in reports],
        [report.payer_token for report in reports],
        [report.payer_person_token for report in reports],
        [report.branch for report in reports],
        [report.filed_at for report in reports],
    )
    top: dict[str, Any] = json.loads(text)[0]["Plan"]
    return top


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from nodes(child)


@pytest.mark.parametrize("size", [1, 200])
async def test_sightings_are_found_through_an_index_never_by_reading_the_table(full: Connection, size: int) -> None:
    scans = [
        node for node in nodes(await plan(full, size=size, how="verbose")) if node.get("Relation Name") == "sighting"
    ]
    assert len(scans) == 3
    assert {node["Node Type"] for node in scans} <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}


async def test_a_hot_account_costs_no_more_than_its_latest_hundred_sightings(full: Connection) -> None:
    seen = [node for node in nodes(await plan(full, size=1, how="analyze")) if node.get("Relation Name") == "sighting"]
    assert len(seen) == 3
    assert all(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) <= 101 for node in seen)
