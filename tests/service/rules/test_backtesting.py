"""What a pack would have said of reports that were judged before: by the facts as they were then."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.rules import handlers, list_store
from services.rules.conditions import ConditionKind
from shared.events import DispositionOutcome, Finding, Level, ReportFiled, VerdictReached
from shared.postgres import Pool
from tests.service.rules.analyst import a_published_court, everything, folder_of, lanjie, published
from tests.service.rules.builders import (
    HINT,
    INSTANT,
    NOW,
    PACK,
    SCAM,
    TRACE,
    a_disposition,
    a_filed_report,
    ago,
    an_entry,
    an_outcome,
    dispose,
    find,
)

STRICT = ('weight: 12, why: "提到{says.task}"', 'weight: 30, alone: true, why: "提到{says.task}"')
ALWAYS = ("--since", "2026-01-01T00:00:00+08:00", "--until", "2027-01-01T00:00:00+08:00")
CANCELLED, PROCEEDED, SENT = (
    DispositionOutcome.CANCELLED,
    DispositionOutcome.PROCEEDED,
    DispositionOutcome.ALREADY_SENT,
)


async def judge(pool: Pool, *reports: ReportFiled) -> list[VerdictReached]:
    """Judge by the packs that are released."""
    court = await a_published_court(pool)
    taken = await handlers.judge_reports(pool, court, [(report, TRACE) for report in reports])
    return [one.event for one in taken.fresh]


async def replayed(dsn: str, pack: object, folder: Path, *words: str) -> dict[str, Any]:
    """Backtest a pack; return the result as it is in its file."""
    out = folder / "result.json"
    done = await lanjie(dsn, "backtest", "--pack", pack, *(words or ALWAYS), "--json", out)
    assert done.exit_code == 0, done.output
    result: dict[str, Any] = json.loads(out.read_text())
    return result


async def found(pool: Pool, *reports: ReportFiled, scam_type: str = "brushing_rebates") -> None:
    """Let the police confirm reports, in a case that is about no payee of theirs."""
    ids = tuple(report.report_id for report in reports)
    await find(pool, an_outcome("another", scam_type=scam_type, report_ids=ids))


async def test_what_became_known_after_a_report_does_not_count(dsn: str, pool: Pool, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    await published(dsn, folder)
    account: dict[str, Any] = {"payee_token": "hot", "payer_token": "customer", "payer_person_token": "person"}
    early = a_filed_report(HINT, **account, filed_at=ago(hours=2))
    [then] = await judge(pool, early)
    await judge(pool, *(a_filed_report(SCAM, payee_token="hot", filed_at=ago(minutes=90)) for _ in range(3)))
    await find(pool, an_outcome("hot", report_ids=(early.report_id,)))
    await dispose(pool, a_disposition(early))
    async with pool.acquire() as connection, connection.transaction():
        await list_store.add_entries(connection, [an_entry("hot", ConditionKind.NON_OVERRIDABLE_BLOCK)])
    [now] = await judge(pool, a_filed_report(HINT, **account))
    assert {"confirmed", "alerted", "gathers", "list-non-overridable-block"} <= {one.rule for one in now.findings}

    result = await replayed(
        dsn, folder, tmp_path, "--since", ago(hours=3).isoformat(), "--until", ago(hours=1, minutes=45).isoformat()
    )
    assert result["reports"] == 1
    assert result["levels"] == [{"then": "caution", "now": "caution", "reports": 1}]
    assert [rule["rule"] for rule in result["rules"]] == ["task"] == [one.rule for one in then.findings]
    assert result["changed"] == []


async def test_what_was_known_then_counts_though_it_is_forgotten(dsn: str, pool: Pool, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    await published(dsn, folder)
    entry = an_entry("trusted", ConditionKind.OVERRIDE)
    await find(pool, an_outcome("hot"))
    async with pool.acquire() as connection, connection.transaction():
        await list_store.add_entries(connection, [entry])
    await judge(pool, a_filed_report(payee_token="hot"), a_filed_report(SCAM, payee_token="trusted"))
    for table in ("sighting", "outcome", "list_entry", "branch_day"):
        await pool.execute(f"delete from {table}")
    result = await replayed(dsn, folder, tmp_path)
    assert result["changed"] == []
    assert {rule["rule"] for rule in result["rules"]} == {
        "confirmed",
        "list-overridable-block",
        "list-override",
        "safe",
    }


async def test_a_finding_labels_a_report_before_its_disposition_and_that_before_nothing(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path)
    await published(dsn, folder)
    reports = [a_filed_report(SCAM) for _ in range(7)]
    await judge(pool, *reports)
    confirmed_though_it_went_ahead, unfounded_though_given_up, given_up, sent, went_ahead, confirmed, _ = reports
    ends: Sequence[tuple[ReportFiled, DispositionOutcome]] = [
        (confirmed_though_it_went_ahead, PROCEEDED),
        (unfounded_though_given_up, CANCELLED),
        (given_up, CANCELLED),
        (sent, SENT),
        (went_ahead, PROCEEDED),
    ]
    await dispose(pool, *(a_disposition(report, outcome) for report, outcome in ends))
    await found(pool, confirmed_though_it_went_ahead, confirmed)
    await find(pool, an_outcome("x", Finding.UNFOUNDED, report_ids=(unfounded_though_given_up.report_id,)))
    result = await replayed(dsn, folder, tmp_path)
    assert result["reports"] == 7
    assert result["labelled"] == {"scams": 4, "honest": 2}
    assert [(one["scam_type"], one["scams"]) for one in result["types"]] == [
        ("(type unknown)", 2),
        ("brushing_rebates", 2),
    ]


async def test_recall_precision_and_weights_are_those_that_one_computes_by_hand(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    await published(dsn, folder_of(tmp_path))
    brushing = [a_filed_report(HINT) for _ in range(3)] + [a_filed_report("")]
    authority = [a_filed_report(SCAM) for _ in range(2)] + [a_filed_report("")]
    honest = [a_filed_report(HINT), a_filed_report(SCAM), *(a_filed_report("") for _ in range(8))]
    unknown = [a_filed_report(HINT)]
    await judge(pool, *brushing, *authority, *honest, *unknown)
    await found(pool, *brushing)
    await found(pool, *authority, scam_type="impersonated_authority")
    await dispose(pool, *(a_disposition(report, PROCEEDED) for report in honest))
    result = await replayed(dsn, folder_of(tmp_path, PACK, STRICT, name="strict"), tmp_path)
    assert (result["reports"], result["labelled"]) == (18, {"scams": 7, "honest": 10})
    assert result["levels"] == [
        {"then": "alert", "now": "alert", "reports": 3},
        {"then": "caution", "now": "alert", "reports": 5},
        {"then": "clear", "now": "clear", "reports": 10},
    ]
    # then: 2 of 7 scams, 1 false alert. Now: 5 of 7 scams, 2 false alerts.
    assert result["then"] == {"recall": 0.2857, "precision": 0.6667, "false_alerts": 1}
    assert result["now"] == {"recall": 0.7143, "precision": 0.7143, "false_alerts": 2}
    brushing_now = {"recall_now": 0.75, "precision_now": 0.75}  # 3 of 4 that were named so
    brushing_then = {"recall_then": 0, "precision_then": None}
    authority_then = {"recall_then": 0.6667, "precision_then": 0.6667}
    authority_now = {"recall_now": 0.6667, "precision_now": 0.6667}
    assert result["types"] == [
        {"scam_type": "brushing_rebates", "scams": 4, **brushing_then, **brushing_now},
        {"scam_type": "impersonated_authority", "scams": 3, **authority_then, **authority_now},
    ]
    # task: 3 of 7 scams, 1 of 10 honest: 10 log10(3.5/8 / (1.5/11)) = 5.1. safe: 10 log10(2.5/8 / (1.5/11)) = 3.6
    assert result["rules"] == [
        {"rule": "safe", "weight": 20, "spoke": 3, "in_scams": 2, "in_honest": 1, "observed_weight": 3.6},
        {"rule": "task", "weight": 30, "spoke": 5, "in_scams": 3, "in_honest": 1, "observed_weight": 5.1},
    ]
    changed = {str(report.report_id) for report in (*brushing[:3], honest[0], *unknown)}
    assert {one.pop("report") for one in result["changed"]} == changed
    assert result["changed"] == [{"then": "caution", "now": "alert", "score_then": 39, "score_now": 98}] * 5


async def test_two_runs_give_the_same_bytes(dsn: str, pool: Pool, tmp_path: Path) -> None:
    strict = folder_of(tmp_path, PACK, STRICT)
    await published(dsn, folder_of(tmp_path, name="live"))
    reports = [a_filed_report((SCAM, HINT, "")[place % 3], filed_at=ago(minutes=place // 2)) for place in range(40)]
    await judge(pool, *reports)
    await found(pool, *reports[::5])
    await dispose(pool, *(a_disposition(report, PROCEEDED) for report in reports[1::5]))
    runs = []
    for name in ("one.json", "two.json"):
        await lanjie(dsn, "backtest", "--pack", strict, *ALWAYS, "--json", tmp_path / name)
        runs.append((tmp_path / name).read_bytes())
        for table in ("verdict", "aftermath"):  # some rows move, and say what they said
            await pool.execute(f"update {table} set scam_type = scam_type where hashtext(report_id::text) % 2 = 0")
    assert runs[0] == runs[1]
    assert len(json.loads(runs[0])["changed"]) == 13


async def test_a_published_version_is_replayed_by_its_number(dsn: str, pool: Pool, tmp_path: Path) -> None:
    strict = folder_of(tmp_path, PACK, STRICT)
    await published(dsn, folder_of(tmp_path, name="live"))
    await judge(pool, a_filed_report(HINT), a_filed_report(SCAM))
    by_folder = await replayed(dsn, strict, tmp_path)
    await published(dsn, strict)
    by_number = await replayed(dsn, 3, tmp_path)
    assert by_number == {**by_folder, "pack": "3"}
    assert by_number["hash"] == await pool.fetchval("select hash from pack_version where version = 3")
    assert (await replayed(dsn, 2, tmp_path))["changed"] == []


async def test_a_span_holds_what_was_filed_from_its_beginning_until_before_its_end(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path)
    await published(dsn, folder)
    begin, end = ago(hours=2), ago(hours=1)
    await judge(pool, *(a_filed_report(filed_at=at) for at in (begin - INSTANT, begin, end - INSTANT, end)))

    async def number(since: datetime, until: datetime) -> int:
        span = ("--since", since.isoformat(), "--until", until.isoformat())
        result = await replayed(dsn, folder, tmp_path, *span)
        return int(result["reports"])

    assert await number(begin, end) == 2
    assert await number(begin - INSTANT, end + INSTANT) == 4
    assert await number(end, begin) == 0


async def test_a_span_may_be_days_or_hours_and_ends_now(dsn: str, pool: Pool, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    await published(dsn, folder)
    now = datetime.now(UTC)
    spans = (timedelta(hours=-1), timedelta(minutes=30), timedelta(hours=5), timedelta(days=3), timedelta(days=40))
    await judge(pool, *(a_filed_report(filed_at=now - span) for span in spans))
    numbers = [
        (await replayed(dsn, folder, tmp_path, *words))["reports"]
        for words in (
            ("--since", "1h"),
            ("--since", "12h"),
            ("--since", "30d"),
            ("--since", "60d"),
            ("--since", "60d", "--until", "1d"),
        )
    ]
    assert numbers == [1, 2, 3, 4, 2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--since", "2026-11-01"), "2026-11-01 has no time zone: write 2026-11-01+08:00"),
        (("--since", "30 days"), "ValueError"),
        (("--since", "1d", "--json", "/no/such/folder/x.json"), "FileNotFoundError"),
    ],
)
async def test_what_cannot_be_done_is_a_sentence(dsn: str, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = await lanjie(dsn, "backtest", "--pack", folder_of(tmp_path), *words)
    assert done.exit_code == 1
    assert said in done.stderr
    assert done.stdout == ""


async def test_a_key_that_does_not_fit_is_a_sentence(dsn: str, pool: Pool, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    await published(dsn, folder)
    await judge(pool, a_filed_report())
    wrong = "n1:" + "A" * 43 + "="
    done = await lanjie(dsn, "backtest", "--pack", folder, *ALWAYS, NARRATIVE_KEYS=wrong)
    assert done.exit_code == 1
    assert "see NARRATIVE_KEYS" in done.stderr


async def test_progress_goes_to_one_stream_and_the_result_to_the_other(dsn: str, pool: Pool, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    await published(dsn, folder)
    await judge(pool, a_filed_report(SCAM), a_filed_report())
    done = await lanjie(dsn, "backtest", "--pack", folder, *ALWAYS)
    assert "replaying" in done.stderr
    assert "2/2" in done.stderr
    assert "replaying" not in done.stdout
    assert done.stdout.startswith("2 reports; known to be scams 0, honest 0\n")
    for text in ("recall", "precision", "false_alerts", "safe"):
        assert text in done.stdout


async def test_the_result_has_the_same_keys_whether_or_not_there_is_anything_in_it(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path)
    await published(dsn, folder)
    empty = await replayed(dsn, folder, tmp_path)
    assert empty == {
        "pack": str(folder),
        "hash": await pool.fetchval("select hash from pack_version where version = 2"),
        "since": ALWAYS[1],
        "until": ALWAYS[3],
        "reports": 0,
        "labelled": {"scams": 0, "honest": 0},
        "levels": [],
        "then": {"recall": None, "precision": None, "false_alerts": 0},
        "now": {"recall": None, "precision": None, "false_alerts": 0},
        "types": [],
        "rules": [],
        "changed": [],
    }
    await judge(pool, a_filed_report(SCAM))
    assert (await replayed(dsn, folder, tmp_path)).keys() == empty.keys()


async def test_a_backtest_writes_nothing(dsn: str, pool: Pool, tmp_path: Path) -> None:
    strict = folder_of(tmp_path, PACK, STRICT)
    await published(dsn, folder_of(tmp_path, name="live"))
    await judge(pool, a_filed_report(HINT), a_filed_report(SCAM))
    before = await everything(pool)
    result = await replayed(f"{dsn}?default_transaction_read_only=on", strict, tmp_path)
    assert result["reports"] == 2
    assert await everything(pool) == before


async def test_a_report_that_was_judged_again_is_replayed_once_by_what_was_known_first(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path)
    await published(dsn, folder)
    await judge(pool, a_filed_report(payee_token="hot"))
    court = await a_published_court(pool)
    [again] = (await handlers.apply_outcomes(pool, court, [an_outcome("hot", decided_at=NOW)])).again
    assert again.event.level is Level.ALERT
    result = await replayed(dsn, folder, tmp_path)
    assert result["levels"] == [{"then": "clear", "now": "clear", "reports": 1}]


async def test_verdicts_from_before_there_were_packs_are_left_out(dsn: str, pool: Pool, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    await published(dsn, folder)
    old, new = a_filed_report(SCAM), a_filed_report(SCAM)
    await judge(pool, old, new)
    await pool.execute("update verdict set pack_version = null, facts = '{}' where report_id = $1", old.report_id)
    done = await lanjie(dsn, "backtest", "--pack", folder, *ALWAYS)
    assert done.stdout.startswith("1 reports;")
    assert "1/1" in done.stderr
