"""By what a report was judged is forgotten on request; how it was judged is not."""

import json
from datetime import timedelta
from pathlib import Path

from services.rules import handlers
from shared.events import ReportFiled, VerdictReached
from shared.outbox import new_id
from shared.postgres import Pool
from tests.service.rules.analyst import a_published_court, folder_of, lanjie, published
from tests.service.rules.builders import SCAM, TRACE, a_filed_report


async def judge(pool: Pool, *reports: ReportFiled) -> None:
    court = await a_published_court(pool)
    await handlers.judge_reports(pool, court, [(report, TRACE) for report in reports])


async def test_notes_reasons_and_facts_go_and_level_and_score_stay(dsn: str, pool: Pool, tmp_path: Path) -> None:
    await published(dsn, folder_of(tmp_path))
    report, other = a_filed_report(SCAM), a_filed_report(SCAM)
    await judge(pool, report, other)
    before = await pool.fetchrow("select level, score, scam_type from verdict where report_id = $1", report.report_id)
    unknown = new_id()
    done = await lanjie(dsn, "forget", report.report_id, unknown)
    assert (done.exit_code, done.output) == (1, f"{report.report_id}  forgotten\n{unknown}  unknown\n")
    row = await pool.fetchrow("select * from verdict where report_id = $1", report.report_id)
    assert row is not None
    assert before is not None
    assert {name: row[name] for name in ("level", "score", "scam_type")} == dict(before)
    assert (row["facts"], row["lists"], row["shadow"]) == ("{}", None, None)
    said = VerdictReached.model_validate_json(row["event"])
    assert (said.report.identity, said.report.narrative, said.findings, said.advice.say) == ("", "", (), ())
    kept = await pool.fetchval("select event from verdict where report_id = $1", other.report_id)
    assert VerdictReached.model_validate_json(kept).report == other


async def test_a_backtest_passes_over_what_was_forgotten_and_explaining_it_says_so(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path)
    await published(dsn, folder)
    report, other = a_filed_report(SCAM), a_filed_report(SCAM)
    await judge(pool, report, other)
    assert (await lanjie(dsn, "forget", report.report_id)).exit_code == 0
    result = tmp_path / "result.json"
    since = (report.filed_at - timedelta(hours=1)).isoformat()
    words = ("backtest", "--pack", folder, "--since", since, "--json", result)
    done = await lanjie(dsn, *words)
    assert done.exit_code == 0, done.output
    assert json.loads(result.read_text(encoding="utf-8"))["reports"] == 1
    assert "is not kept here" in (await lanjie(dsn, "explain", report.report_id)).output
