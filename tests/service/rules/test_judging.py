"""A batch of reports becomes verdicts, each once and for good."""

from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import UUID

import pytest

from services.rules import builtin, handlers
from shared.events import Level, VerdictReached
from shared.outbox import new_id
from shared.postgres import Pool
from shared.privacy import Seal, SealBrokenError
from tests.parts import NARRATIVE
from tests.service.rules.builders import HINT, NOW, SCAM, TRACE, a_filed_report, deliver, judge, payee_of, tempo_of

TABLES = ("sighting", "verdict", "branch_hour", "outbox")


async def counts(pool: Pool) -> dict[str, int]:
    return {table: await pool.fetchval(f"select count(*) from {table}") for table in TABLES}


async def test_a_batch_is_judged_in_one_transaction(pool: Pool) -> None:
    await judge(pool, *(a_filed_report(note) for note in ("", HINT, SCAM)))
    written = await pool.fetch(
        "select xmin::text from sighting union select xmin::text from verdict "
        "union select xmin::text from branch_hour union select xmin::text from outbox"
    )
    assert len(written) == 1
    assert await counts(pool) == {"sighting": 3, "verdict": 3, "branch_hour": 1, "outbox": 3}


async def test_each_report_of_a_batch_gets_its_own_verdict_kept_and_said(pool: Pool) -> None:
    reports = [a_filed_report(note) for note in ("", HINT, SCAM)]
    verdicts, said = await deliver(pool, reports)
    assert [verdict.level for verdict in verdicts] == [Level.CLEAR, Level.CAUTION, Level.ALERT]
    assert [verdict.report for verdict in verdicts] == reports
    assert {(verdict.pack, verdict.version, verdict.judged_at) for verdict in verdicts} == {(builtin.PACK, 1, NOW)}
    assert [VerdictReached.model_validate_json(row.payload) for row in said] == verdicts
    assert [(row.id, row.key, row.traceparent) for row in said] == [
        (verdict.verdict_id, verdict.report.payee_token, TRACE) for verdict in verdicts
    ]
    kept = {row["id"]: row["payload"] for row in await pool.fetch("select id, payload from outbox")}
    assert kept == {row.id: row.payload for row in said}


async def test_second_delivery_is_answered_with_the_very_same_verdicts(pool: Pool) -> None:
    reports = [a_filed_report(SCAM), a_filed_report()]
    _, said = await deliver(pool, reports)
    await pool.execute("delete from outbox")  # as the relay does once the broker has them
    fresh, again = await deliver(pool, reports)
    assert fresh == []
    assert sorted(again, key=lambda row: row.id) == sorted(said, key=lambda row: row.id)
    assert await counts(pool) == {"sighting": 2, "verdict": 2, "branch_hour": 1, "outbox": 2}


async def test_second_delivery_changes_no_counts(pool: Pool) -> None:
    report = a_filed_report(SCAM, payee_token="hot")
    later = a_filed_report(payee_token="hot", filed_at=NOW + timedelta(minutes=1))
    await deliver(pool, [report])
    before = (await payee_of(pool, later), await tempo_of(pool, later))
    await deliver(pool, [report])
    assert (await payee_of(pool, later), await tempo_of(pool, later)) == before
    assert before[0].reports_1h == before[1].reports_1h == 1


async def test_a_report_judged_long_ago_keeps_its_verdict_whatever_has_become_known(pool: Pool) -> None:
    first = a_filed_report(payee_token="hot")
    [verdict] = await judge(pool, first)
    await judge(pool, *(a_filed_report(SCAM, payee_token="hot") for _ in range(3)))
    _, [again] = await deliver(pool, [first])
    assert VerdictReached.model_validate_json(again.payload) == verdict


async def test_the_same_report_twice_in_a_batch_is_judged_once(pool: Pool) -> None:
    report = a_filed_report(SCAM)
    verdicts, said = await deliver(pool, [report, a_filed_report(), report])
    assert len(verdicts) == len(said) == 2
    assert (await counts(pool))["sighting"] == 2


async def test_a_batch_of_new_and_known_reports_answers_all_of_them(pool: Pool) -> None:
    known = a_filed_report()
    [earlier] = await judge(pool, known)
    verdicts, said = await deliver(pool, [a_filed_report(), known])
    assert len(verdicts) == 1
    assert {row.id for row in said} == {verdicts[0].verdict_id, earlier.verdict_id}


@pytest.mark.parametrize("about", ["key", "record"])
async def test_a_narrative_that_cannot_be_opened_is_refused_and_nothing_is_stored(pool: Pool, about: str) -> None:
    sealed_elsewhere = {
        "key": Seal({"n0": bytes(32)}).seal('{"note": "", "purpose": ""}', str(report_id := new_id())),
        "record": NARRATIVE.seal('{"note": "", "purpose": ""}', str(new_id())),
    }
    spoilt = a_filed_report(report_id=report_id, narrative=sealed_elsewhere[about])
    with pytest.raises(SealBrokenError):
        await deliver(pool, [a_filed_report(), spoilt])
    assert await counts(pool) == dict.fromkeys(TABLES, 0)


async def test_a_narrative_under_a_retired_key_is_opened(pool: Pool) -> None:
    old = Seal({"n0": bytes(32)})
    report_id = new_id()
    report = a_filed_report(report_id=report_id, narrative=old.seal('{"note": "刷单", "purpose": ""}', str(report_id)))
    both = Seal({"n1": bytes(range(32)), "n0": bytes(32)})
    [verdict], _ = await handlers.judge_reports(pool, both, [(report, TRACE)], NOW)
    assert verdict.scam_type == "brushing_rebates"


async def test_what_is_kept_and_said_holds_nothing_of_the_note_but_the_rules_own_words(pool: Pool) -> None:
    report = a_filed_report("阿姨住翠竹苑三栋，说要把钱转到安全账户，女儿叫小雯")
    _, [said] = await deliver(pool, [report])
    stored = await pool.fetchval(
        "select concat(v, convert_from(v.event, 'UTF8'), s) from verdict v join sighting s using (report_id)"
    )
    assert "安全账户" in said.payload.decode()
    for text in (said.payload.decode(), stored):
        assert "翠竹苑" not in text
        assert "小雯" not in text


async def test_two_hundred_reports_take_no_more_statements_than_two(pool: Pool) -> None:
    statements: list[str] = []

    async def taken(size: int) -> int:
        """Judge a batch of `size` new reports and a known one."""
        batch = [a_filed_report((SCAM, HINT, "")[place % 3], branch=f"B{place % 7}") for place in range(size)]
        statements.clear()
        await deliver(pool, [*batch, known])
        return len(statements)

    known = a_filed_report()
    await deliver(pool, [known])
    async with AsyncExitStack() as stack:
        for connection in [await stack.enter_async_context(pool.acquire()) for _ in range(pool.get_max_size())]:
            connection.add_query_logger(lambda logged: statements.append(logged.query))
    few, many = await taken(2), await taken(200)
    assert few == many
    assert 8 <= few <= 12


async def test_verdict_ids_differ_and_are_ordered_by_time(pool: Pool) -> None:
    verdicts = await judge(pool, *(a_filed_report() for _ in range(5)))
    ids: list[UUID] = [verdict.verdict_id for verdict in verdicts]
    assert len(set(ids)) == 5
    assert ids == sorted(ids)
