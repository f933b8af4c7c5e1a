"""A batch of reports becomes verdicts, each once and for good."""

from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import UUID

import pytest

from services.rules import handlers, store
from shared.events import Level, ReportFiled, VerdictReached
from shared.outbox import new_id
from shared.postgres import Pool, Row
from shared.privacy import Seal, SealBrokenError
from tests.parts import NARRATIVE
from tests.service.rules.builders import (
    HINT,
    INSTANT,
    NOW,
    SCAM,
    TRACE,
    a_court,
    a_filed_report,
    ago,
    an_outcome,
    apply,
    deliver,
    judge,
    known,
    rejudge,
    rules_of,
    see,
    take,
)

TABLES = ("sighting", "verdict", "branch_day", "outbox")


async def counts(pool: Pool) -> dict[str, int]:
    return {table: await pool.fetchval(f"select count(*) from {table}") for table in TABLES}


async def test_a_batch_is_judged_in_one_transaction(pool: Pool) -> None:
    await judge(pool, *(a_filed_report(note) for note in ("", HINT, SCAM)))
    written = await pool.fetch(
        "select xmin::text from sighting union select xmin::text from verdict union select xmin::text from branch_day"
    )
    assert len(written) == 1
    assert await counts(pool) == {"sighting": 3, "verdict": 3, "branch_day": 1, "outbox": 0}


async def test_each_report_of_a_batch_gets_its_own_verdict_kept_and_said(pool: Pool) -> None:
    reports = [a_filed_report(note) for note in ("", HINT, SCAM)]
    verdicts, said = await deliver(pool, reports)
    assert [verdict.level for verdict in verdicts] == [Level.CLEAR, Level.CAUTION, Level.ALERT]
    assert [verdict.report for verdict in verdicts] == reports
    assert {(verdict.pack, verdict.version, verdict.judged_at) for verdict in verdicts} == {("test@1", 1, NOW)}
    assert [VerdictReached.model_validate_json(row.payload) for row in said] == verdicts
    assert [(row.id, row.key, row.traceparent) for row in said] == [
        (verdict.verdict_id, verdict.report.payee_token, TRACE) for verdict in verdicts
    ]
    kept = {row["id"]: row["event"] for row in await pool.fetch("select id, event from verdict")}
    assert kept == {row.id: row.payload for row in said}


async def test_a_first_verdict_is_owed_to_nobody_and_a_second_one_until_it_is_taken(pool: Pool) -> None:
    _, [first] = await deliver(pool, [a_filed_report(HINT, payee_token="hot", filed_at=ago(minutes=20))])
    assert (first.kept, first.awaits_answer) == (False, False)
    taken = await take(pool, [a_filed_report(SCAM, payee_token="hot")])
    second = taken.again[0].row
    assert [(row.id, row.kept, row.awaits_answer) for row in taken.rows if row.kept] == [(second.id, True, True)]
    assert [row["id"] for row in await pool.fetch("select id from outbox")] == [second.id]


async def test_second_delivery_is_answered_with_the_very_same_verdicts(pool: Pool) -> None:
    reports = [a_filed_report(SCAM), a_filed_report()]
    _, said = await deliver(pool, reports)
    fresh, again = await deliver(pool, reports)
    assert fresh == []
    assert sorted(again, key=lambda row: row.id) == sorted(said, key=lambda row: row.id)
    assert await counts(pool) == {"sighting": 2, "verdict": 2, "branch_day": 1, "outbox": 0}


async def test_second_delivery_changes_no_counts(pool: Pool) -> None:
    report = a_filed_report(SCAM, payee_token="hot")
    later = a_filed_report(payee_token="hot", filed_at=NOW + timedelta(minutes=1))
    await deliver(pool, [report])
    before = await known(pool, later)
    await deliver(pool, [report])
    assert await known(pool, later) == before
    assert before["payee.reports_1h"] == before["branch.reports_2h"] == 1


async def test_a_report_judged_long_ago_keeps_its_verdict_whatever_has_become_known(pool: Pool) -> None:
    first = a_filed_report(payee_token="hot")
    [verdict] = await judge(pool, first)
    await judge(pool, *(a_filed_report(payee_token="hot") for _ in range(3)))
    _, [again] = await deliver(pool, [first])
    assert VerdictReached.model_validate_json(again.payload) == verdict


async def test_the_same_report_twice_in_a_batch_is_judged_once(pool: Pool) -> None:
    report = a_filed_report(SCAM)
    verdicts, said = await deliver(pool, [report, a_filed_report(), report])
    assert len(verdicts) == len(said) == 2
    assert (await counts(pool))["sighting"] == 2


async def test_a_batch_of_new_and_known_reports_answers_all_of_them(pool: Pool) -> None:
    familiar = a_filed_report()
    [earlier] = await judge(pool, familiar)
    verdicts, said = await deliver(pool, [a_filed_report(), familiar])
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
    report = a_filed_report(
        report_id=report_id, narrative=old.seal('{"note": "做任务", "purpose": ""}', str(report_id))
    )
    both = Seal({"n1": bytes(range(32)), "n0": bytes(32)})
    taken = await handlers.judge_reports(pool, a_court(narrative=both), [(report, TRACE)])
    assert taken.fresh[0].event.scam_type == "brushing_rebates"


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
        await deliver(pool, [*batch, familiar])
        return len(statements)

    familiar = a_filed_report()
    await deliver(pool, [familiar])
    async with AsyncExitStack() as stack:
        for connection in [await stack.enter_async_context(pool.acquire()) for _ in range(pool.get_max_size())]:
            connection.add_query_logger(lambda logged: statements.append(logged.query))
    await taken(2)  # a new connection asks for types first
    few, many = await taken(2), await taken(200)
    assert few == many
    assert 10 <= few <= 14


async def test_verdict_ids_differ_and_are_ordered_by_time(pool: Pool) -> None:
    verdicts = await judge(pool, *(a_filed_report() for _ in range(5)))
    ids: list[UUID] = [verdict.verdict_id for verdict in verdicts]
    assert len(set(ids)) == 5
    assert ids == sorted(ids)


async def test_what_a_verdict_was_made_of_is_kept_with_it(pool: Pool) -> None:
    report = a_filed_report(SCAM, amount_fen=1_234_00)
    await judge(pool, report)
    row = await pool.fetchrow(
        "select version, filed_at, level, scam_type, pack_version, pack_hash, facts ->> 'transfer.amount_yuan', "
        "lists, shadow from verdict"
    )
    assert row
    pack_hash = a_court().packs.live.pack.hash
    assert tuple(row) == (1, NOW, "alert", "impersonated_authority", 1, pack_hash, "1234", None, None)


async def test_a_batch_is_judged_as_if_its_reports_had_come_one_by_one(pool: Pool) -> None:
    notes = (SCAM, "", HINT, "", SCAM, "", "")
    batch = [
        a_filed_report(
            note,
            payee_token=f"p{place % 2}",
            payer_token=f"c{place % 3}",
            branch=f"B{place % 4}",
            filed_at=ago(minutes=60 - place),
        )
        for place, note in enumerate(notes)
    ]
    together = await judge(pool, *batch)
    for table in TABLES:
        await pool.execute(f"delete from {table}")
    one_by_one = [(await judge(pool, report))[0] for report in batch]
    assert [rules_of(verdict) for verdict in together] == [rules_of(verdict) for verdict in one_by_one]
    assert [verdict.score for verdict in together] == [verdict.score for verdict in one_by_one]


async def latest(pool: Pool, *reports: ReportFiled) -> list[Row]:
    async with pool.acquire() as connection:
        return await store.latest_verdicts(connection, reports)


async def rejudgeable(pool: Pool, *payees: str) -> list[Row]:
    async with pool.acquire() as connection:
        return await store.rejudgeable(connection, payees, ago(hours=1))


async def test_a_finding_gives_the_reports_of_the_last_hour_a_second_verdict(pool: Pool) -> None:
    early, recent, other = (
        a_filed_report(payee_token="hot", filed_at=ago(minutes=60)),
        a_filed_report(payee_token="hot", filed_at=ago(minutes=59)),
        a_filed_report(payee_token="cold", filed_at=ago(minutes=59)),
    )
    await judge(pool, early, recent, other)
    taken = await apply(pool, an_outcome("hot"))
    [again] = [judged.event for judged in taken.again]
    assert (again.report, again.version, again.level) == (recent, 2, Level.ALERT)
    assert "confirmed" in rules_of(again)
    assert {row["version"] for row in await latest(pool, early, other)} == {1}
    assert [row["id"] for row in await latest(pool, recent)] == [again.verdict_id]
    assert (await known(pool, a_filed_report(payee_token="hot")))["payee.alerts_7d"] == 1


async def test_a_second_verdict_is_what_a_second_delivery_is_answered_with(pool: Pool) -> None:
    report = a_filed_report(payee_token="hot", filed_at=ago(minutes=1))
    await judge(pool, report)
    taken = await apply(pool, an_outcome("hot"))
    repeated = await take(pool, [report])
    assert [row.id for row in repeated.rows] == [taken.again[0].event.verdict_id]


async def test_a_finding_that_comes_again_gives_no_third_verdict(pool: Pool) -> None:
    await judge(pool, a_filed_report(payee_token="hot", filed_at=ago(minutes=1)))
    outcome = an_outcome("hot")
    assert len((await apply(pool, outcome)).again) == 1
    assert (await apply(pool, outcome)).again == []
    assert await pool.fetchval("select count(*) from verdict") == 2


async def test_reports_that_may_be_judged_again_are_the_latest_below_alert_with_their_newest_verdict(
    pool: Pool,
) -> None:
    caution, clear, alert, old = (
        a_filed_report(payee_token="hot", filed_at=ago(minutes=minutes)) for minutes in (10, 20, 30, 60)
    )
    await see(pool, caution, level=Level.CAUTION)
    await see(pool, clear, old, a_filed_report(payee_token="cold"))
    await see(pool, alert, level=Level.CAUTION)
    await rejudge(pool, alert, Level.ALERT)
    await rejudge(pool, clear, Level.CLEAR)
    rows = await rejudgeable(pool, "hot")
    assert [(row["report_id"], row["version"], row["level"], row["score"]) for row in rows] == [
        (caution.report_id, 1, "caution", 40),
        (clear.report_id, 2, "clear", 0),
    ]
    assert VerdictReached.model_validate_json(rows[1]["event"]).report == clear
    assert rows[0]["traceparent"] == TRACE
    await see(pool, a_filed_report(payee_token="hot", filed_at=ago(hours=1) + INSTANT))
    assert len(await rejudgeable(pool, "hot")) == 3


async def test_at_most_two_hundred_reports_are_judged_again_the_newest(pool: Pool) -> None:
    payees = ("hot", "warm", "mild")
    reports = [a_filed_report(payee_token=payees[place % 3], filed_at=ago(seconds=place + 1)) for place in range(210)]
    await see(pool, *reports)
    assert [row["report_id"] for row in await rejudgeable(pool, *payees)] == [one.report_id for one in reports[:200]]


async def test_of_one_payee_the_latest_hundred_are_looked_at_whatever_they_were_judged(pool: Pool) -> None:
    reports = [a_filed_report(payee_token="hot", filed_at=ago(seconds=place + 1)) for place in range(110)]
    await see(pool, *reports[:30], level=Level.ALERT)
    await see(pool, *reports[30:])
    assert [row["report_id"] for row in await rejudgeable(pool, "hot")] == [one.report_id for one in reports[30:100]]


async def test_a_second_verdict_that_is_repeated_is_still_owed_an_answer(pool: Pool) -> None:
    report = a_filed_report(payee_token="hot", filed_at=ago(minutes=30))
    await judge(pool, report)
    taken = await apply(pool, an_outcome("hot"))
    [second] = [judged.event for judged in taken.again]
    _, rows = await deliver(pool, [report])
    assert [(row.id, row.awaits_answer) for row in rows] == [(second.verdict_id, True)]
    assert await pool.fetchval("select awaits_answer from outbox where id = $1", second.verdict_id)


async def test_an_alert_stamped_by_a_clock_ahead_of_ours_counts_for_the_earlier_report(pool: Pool) -> None:
    early = a_filed_report(HINT, payee_token="hot", filed_at=ago(minutes=20))
    await judge(pool, early)
    ahead = a_filed_report(SCAM, payee_token="hot", filed_at=NOW + timedelta(seconds=2))
    taken = await take(pool, [ahead])
    assert [judged.event.report for judged in taken.again] == [early]
