"""A case per payee account: what opens one, what joins it, what a repetition does."""

from collections import Counter

from services.notifier.cases.verdicts import take_verdicts
from services.notifier.clock.clock import Deadlines
from shared.events import CaseChanged, CaseStatus, DispositionCounted, Level, ReportsCounted
from shared.postgres import Pool
from tests.parts import IDENTITY, Door
from tests.service.notifier.builders import a_disposition, a_verdict, count, now, said, take
from tests.service.notifier.police import a_case, case_of, close, inbox, timeline


async def test_the_first_alert_on_an_account_opens_a_case(notifier: Door) -> None:
    verdict = a_verdict(amount_fen=9_800_000)
    taken = await take(notifier.pool, verdict)
    [line] = await inbox(notifier)
    assert (line["status"], line["version"], line["amount_fen"], line["reports"]) == ("open", 1, 9_800_000, 1)
    case = await case_of(notifier, line["id"])
    assert timeline(case) == ["opened"]
    assert [report["id"] for report in case["reports"]] == [str(verdict.report.report_id)]
    [event] = said(taken.rows, CaseChanged)
    assert (str(event.case_id), event.version, event.status) == (line["id"], 1, CaseStatus.OPEN)
    assert event.report_ids == (verdict.report.report_id,)


async def test_the_deadline_to_acknowledge_runs_from_the_opening(pool: Pool) -> None:
    opened_at = now()
    await take_verdicts(pool, IDENTITY, Deadlines(), [a_verdict()], opened_at)
    row = await pool.fetchrow("select opened_at, acknowledge_by from fraud_case")
    assert row is not None
    assert row["opened_at"] == opened_at
    assert (row["acknowledge_by"] - row["opened_at"]).total_seconds() == 60


async def test_a_second_alert_on_an_account_joins_its_open_case(notifier: Door) -> None:
    case_id = await a_case(notifier, a_verdict(amount_fen=9_800_000))
    taken = await take(notifier.pool, a_verdict(amount_fen=200_001))
    assert not taken.placed[0].opened
    case = await case_of(notifier, case_id)
    assert (case["version"], case["amount_fen"], len(case["reports"])) == (2, 10_000_001, 2)
    assert timeline(case) == ["opened", "joined"]
    kinds = await notifier.rows("select facts ->> 'kind' as kind from alert order by position")
    assert [row["kind"] for row in kinds] == ["opened", "joined"]
    [event] = said(taken.rows, CaseChanged)
    assert (event.version, event.report_ids) == (2, (taken.new[0].report.report_id,)), "the one that joined"


async def test_an_alert_joins_an_acknowledged_case_and_leaves_it_acknowledged(notifier: Door) -> None:
    case_id = await a_case(notifier)
    await notifier.pool.execute("update fraud_case set status = 'acknowledged', acknowledged_at = now()")
    await take(notifier.pool, a_verdict())
    case = await case_of(notifier, case_id)
    assert (case["status"], len(case["reports"])) == ("acknowledged", 2)


async def test_an_alert_on_another_account_opens_a_case_of_its_own(notifier: Door) -> None:
    await take(notifier.pool, a_verdict())
    await take(notifier.pool, a_verdict(account="6217000000000009999"))
    assert [line["reports"] for line in await inbox(notifier)] == [1, 1]


async def test_an_alert_after_the_case_was_closed_opens_a_new_case(notifier: Door) -> None:
    first = await a_case(notifier)
    assert (await close(notifier, first)).status_code == 200
    second = await a_case(notifier, a_verdict())
    assert second != first
    assert {line["id"]: line["status"] for line in await inbox(notifier)} == {first: "closed", second: "open"}


async def test_two_alerts_on_one_account_in_one_batch_share_a_case(notifier: Door) -> None:
    taken = await take(notifier.pool, a_verdict(amount_fen=100), a_verdict(amount_fen=200))
    assert [placed.opened for placed in taken.placed] == [True, False]
    [line] = await inbox(notifier)
    assert (line["amount_fen"], line["version"], line["reports"]) == (300, 2, 2)
    [event] = said(taken.rows, CaseChanged)
    assert (event.version, len(event.report_ids)) == (2, 2)


async def test_a_batch_joins_open_cases_and_opens_others(pool: Pool) -> None:
    await take(pool, a_verdict(account="6217000000000000001"))
    taken = await take(pool, *(a_verdict(account=f"621700000000000000{n}") for n in (1, 2, 1, 3)))
    assert [placed.opened for placed in taken.placed] == [False, True, False, True]
    assert await pool.fetchval("select count(*) from fraud_case") == 3
    assert len(said(taken.rows, CaseChanged)) == 3


async def test_a_verdict_below_alert_level_opens_nothing_and_tells_nobody(notifier: Door) -> None:
    taken = await take(notifier.pool, a_verdict(level=Level.CLEAR), a_verdict(level=Level.CAUTION))
    assert (len(taken.new), taken.placed) == (2, ())
    for table in ("fraud_case", "alert", "timeline"):
        assert await notifier.count(table) == 0, table
    assert await notifier.rows("select level, verdict from report order by level") == [
        {"level": "caution", "verdict": None},
        {"level": "clear", "verdict": None},
    ]


async def test_reports_that_no_case_answers_for_are_answered_as_counted_every_time(pool: Pool) -> None:
    verdicts = a_verdict(level=Level.CLEAR), a_verdict(level=Level.ALERT), a_verdict(level=Level.CAUTION)
    quiet = {verdicts[0].report.report_id, verdicts[2].report.report_id}
    for _ in range(2):
        taken = await take(pool, *verdicts)
        [event] = said(taken.rows, ReportsCounted)
        assert set(event.report_ids) == quiet
        assert len(said(taken.rows, CaseChanged)) == 1
    assert await pool.fetchval("select count(*) from ledger where kind = 'reported'") == 3


async def test_second_delivery_of_a_verdict_opens_no_second_case_and_books_no_second_money(notifier: Door) -> None:
    verdict = a_verdict()
    await take(notifier.pool, verdict)
    before = await notifier.rows("select * from ledger")
    again = await take(notifier.pool, verdict)
    assert (again.new, again.placed) == ([], ())
    for table in ("fraud_case", "report", "alert", "timeline"):
        assert await notifier.count(table) == 1, table
    assert await notifier.rows("select * from ledger") == before


async def test_second_delivery_of_a_verdict_is_answered_with_the_case_as_it_stands(notifier: Door) -> None:
    verdict = a_verdict()
    case_id = await a_case(notifier, verdict)
    await take(notifier.pool, a_verdict())
    assert (await close(notifier, case_id)).status_code == 200
    again = await take(notifier.pool, verdict)
    [event] = said(again.rows, CaseChanged)
    assert (str(event.case_id), event.version, event.status) == (case_id, 3, CaseStatus.CLOSED)
    assert event.report_ids == (verdict.report.report_id,), "of the case's two reports, the one that was asked about"


async def test_a_verdict_that_stands_twice_in_a_batch_counts_once(pool: Pool) -> None:
    verdict = a_verdict()
    taken = await take(pool, verdict, verdict)
    assert len(taken.placed) == 1
    assert await pool.fetchval("select amount_fen from fraud_case") == verdict.report.amount_fen


async def test_answers_are_given_again_when_they_are_asked_for_again_and_so_not_kept(pool: Pool) -> None:
    verdicts = a_verdict(), a_verdict(level=Level.CLEAR)
    events = [a_disposition(verdict) for verdict in verdicts]
    answers = []
    for _ in range(2):
        rows = [*(await take(pool, *verdicts)).rows, *await count(pool, *events)]
        assert not any(row.kept for row in rows)
        answers.append(Counter(row.type for row in rows))
    assert answers[0] == answers[1] == {CaseChanged.type: 1, ReportsCounted.type: 1, DispositionCounted.type: 2}
    assert await pool.fetchval("select count(*) from outbox") == 0
