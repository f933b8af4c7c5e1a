"""Rules and packs in the shadow: kept with the verdict, never acted on, and shown beside what became of it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.rules import handlers, list_store
from services.rules.conditions import ConditionKind
from services.rules.handlers import Taken
from shared.events import DispositionOutcome, Finding, Level, ReportFiled
from shared.postgres import Pool
from tests.service.rules.analyst import a_published_court, cells, folder_of, lanjie, published
from tests.service.rules.builders import (
    HINT,
    PACK,
    SCAM,
    TRACE,
    a_disposition,
    a_filed_report,
    an_entry,
    an_outcome,
    dispose,
    find,
)

SHADOW_RULE = (
    "rules:\n",
    """rules:
  - {id: cheap, title: 小额, when: transfer.amount_yuan <= 3000, weight: 30, alone: true, why: 小额, status: shadow}
""",
)
STRICT = ('weight: 12, why: "提到{says.task}"', 'weight: 30, alone: true, why: "提到{says.task}"')
BLIND = ("weight: 20, alone: true", "weight: 1")


async def judge(pool: Pool, *reports: ReportFiled) -> Taken:
    """Judge by the packs that are released."""
    court = await a_published_court(pool)
    return await handlers.judge_reports(pool, court, [(report, TRACE) for report in reports])


async def kept(pool: Pool) -> list[Any]:
    rows = await pool.fetch("select shadow from verdict order by report_id, version")
    return [json.loads(row["shadow"]) if row["shadow"] else None for row in rows]


async def table(dsn: str, since: str = "2026-11-01T00:00:00+08:00") -> list[list[str]]:
    done = await lanjie(dsn, "shadow", "--since", since)
    assert done.exit_code == 0, done.output
    return cells(done.stdout)


async def test_a_shadow_rule_is_kept_with_the_verdict_and_changes_nothing_of_it(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    await published(dsn, folder_of(tmp_path))
    report = a_filed_report(HINT)
    [without] = (await judge(pool, report)).fresh
    assert await kept(pool) == [None]
    await pool.execute("delete from verdict")
    await pool.execute("delete from sighting")
    await published(dsn, folder_of(tmp_path, PACK, SHADOW_RULE, name="shadowed"))
    taken = await judge(pool, report)
    [beside] = taken.fresh
    same = {"verdict_id": without.event.verdict_id, "pack": "test@2", "pack_hash": without.event.pack_hash}
    assert beside.event.model_copy(update=same) == without.event
    assert "小额" not in taken.rows[0].payload.decode()
    assert await kept(pool) == [{"rules": ["cheap"], "level": "alert", "score": 100}]


async def test_a_shadow_pack_is_kept_with_the_verdict_and_changes_nothing_of_it(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    await published(dsn, folder_of(tmp_path))
    await published(dsn, folder_of(tmp_path, PACK, STRICT, name="strict"), "--shadow")
    [one] = (await judge(pool, a_filed_report(HINT))).fresh
    assert (one.event.level, one.event.score, one.event.pack, one.pack_version) == (Level.CAUTION, 39, "test@2", 2)
    assert await kept(pool) == [{"pack": {"version": 3, "level": "alert", "score": 98, "rules": ["task"]}}]


async def test_an_alert_of_the_shadow_is_no_alert_to_the_next_report_on_the_payee(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    await published(dsn, folder_of(tmp_path))
    await published(dsn, folder_of(tmp_path, PACK, STRICT, name="strict"), "--shadow")
    await judge(pool, a_filed_report(HINT, payee_token="hot", payer_token="same", payer_person_token=None))
    taken = await judge(pool, a_filed_report(payee_token="hot", payer_token="same", payer_person_token=None))
    assert taken.again == []
    assert taken.fresh[0].event.findings == ()
    assert await pool.fetchval("select count(*) from outbox where awaits_answer") == 0


async def test_a_shadow_pack_that_says_the_same_is_kept_too(dsn: str, pool: Pool, tmp_path: Path) -> None:
    await published(dsn, folder_of(tmp_path))
    await published(dsn, folder_of(tmp_path, PACK, STRICT, name="strict"), "--shadow")
    await judge(pool, a_filed_report())
    assert await kept(pool) == [{"pack": {"version": 3, "level": "clear", "score": 4, "rules": []}}]


async def test_a_list_entry_has_the_last_word_over_the_shadow_too(dsn: str, pool: Pool, tmp_path: Path) -> None:
    await published(dsn, folder_of(tmp_path, PACK, SHADOW_RULE))
    await published(dsn, folder_of(tmp_path, PACK, STRICT, name="strict"), "--shadow")
    async with pool.acquire() as connection, connection.transaction():
        await list_store.add_entries(connection, [an_entry("p", ConditionKind.OVERRIDE)])
    await judge(pool, a_filed_report(HINT, payee_token="p"))
    [shadow] = await kept(pool)
    assert (shadow["level"], shadow["score"]) == ("caution", 59)
    assert (shadow["pack"]["level"], shadow["pack"]["rules"]) == ("caution", ["list-override", "task"])


async def test_the_table_counts_what_would_have_been_said_beside_what_it_was_in_truth(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    await published(dsn, folder_of(tmp_path, PACK, SHADOW_RULE))
    await published(dsn, folder_of(tmp_path, PACK, STRICT, BLIND, name="strict"), "--shadow")
    large = {"amount_fen": 9_000_000}
    hints = [a_filed_report(HINT, **large) for _ in range(6)]
    scams, cheap = [a_filed_report(SCAM, **large) for _ in range(2)], a_filed_report()
    await judge(pool, *hints, *scams, cheap)
    assert await table(dsn) == [
        ["pack @3", "alert", "clear", "2", "0", "0"],
        ["pack @3", "caution", "alert", "6", "0", "0"],
        ["pack @3", "clear", "clear", "1", "0", "0"],
        ["rule cheap", "clear", "alert", "1", "0", "0"],
    ]
    ends: Sequence[tuple[ReportFiled, DispositionOutcome]] = [
        (hints[0], DispositionOutcome.CANCELLED),
        (hints[1], DispositionOutcome.ALREADY_SENT),
        (hints[2], DispositionOutcome.PROCEEDED),
        (hints[3], DispositionOutcome.PROCEEDED),
        (scams[0], DispositionOutcome.CANCELLED),
        (cheap, DispositionOutcome.PROCEEDED),
    ]
    await dispose(pool, *(a_disposition(report, outcome) for report, outcome in ends))
    confirmed = an_outcome(hints[3].payee_token, report_ids=(hints[3].report_id,))  # though it went ahead
    unfounded = an_outcome("x", Finding.UNFOUNDED, report_ids=(scams[0].report_id,))  # though it was given up
    await find(pool, confirmed, unfounded)
    assert await table(dsn) == [
        ["pack @3", "alert", "clear", "2", "0", "1"],
        ["pack @3", "caution", "alert", "6", "3", "1"],
        ["pack @3", "clear", "clear", "1", "0", "1"],
        ["rule cheap", "clear", "alert", "1", "0", "1"],
    ]


async def test_the_table_counts_a_report_once_though_it_was_judged_again(dsn: str, pool: Pool, tmp_path: Path) -> None:
    await published(dsn, folder_of(tmp_path, PACK, SHADOW_RULE))
    report = a_filed_report(payee_token="hot")
    await judge(pool, report)
    court = await a_published_court(pool)
    assert len((await handlers.apply_outcomes(pool, court, [an_outcome("hot")])).again) == 1
    assert await table(dsn) == [["rule cheap", "clear", "alert", "1", "0", "0"]]


async def test_the_table_looks_at_a_span_and_without_one_at_the_last_week(dsn: str, pool: Pool, tmp_path: Path) -> None:
    await published(dsn, folder_of(tmp_path, PACK, SHADOW_RULE))
    now = datetime.now(UTC)
    spans = [timedelta(minutes=5), timedelta(hours=3), timedelta(days=6), timedelta(days=8)]
    await judge(pool, *(a_filed_report(filed_at=now - span) for span in spans))
    counted = {since: (await table(dsn, since))[0][3] for since in ("1h", "12h", "7d", "30d")}
    assert counted == {"1h": "1", "12h": "2", "7d": "3", "30d": "4"}
    assert cells((await lanjie(dsn, "shadow")).stdout)[0][3] == "3"


@pytest.mark.parametrize("since", ["yesterday", "2026-11-01", "-3d"])
async def test_a_moment_that_cannot_be_read_is_a_sentence(dsn: str, since: str) -> None:
    done = await lanjie(dsn, "shadow", f"--since={since}")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("ValueError: ")
    assert len(done.stderr.splitlines()) == 1
