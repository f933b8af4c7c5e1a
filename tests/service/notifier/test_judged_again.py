"""A report that is judged again: it goes into a case late, once, with its money; and every version is answered."""

from datetime import UTC, datetime
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from services.notifier.money.handlers import count_dispositions
from shared.events import (
    CaseChanged,
    CaseStatus,
    DispositionCounted,
    DispositionOutcome,
    DispositionRecorded,
    Level,
    ReportsCounted,
    VerdictReached,
    VerdictTaken,
)
from shared.postgres import Pool
from tests.parts import Door
from tests.service.notifier.builders import (
    Gained,
    a_disposition,
    a_success,
    a_verdict,
    an_account,
    count,
    hear,
    judged_again,
    now,
    said,
    take,
)
from tests.service.notifier.police import a_case, case_of, close, inbox, ordered, timeline

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUIET = (Level.CLEAR, Level.CAUTION)


def quiet(account: str, level: Level = Level.CAUTION, **facts: Any) -> VerdictReached:  # noqa: ANN401
    """A verdict that alerts nobody."""
    return a_verdict(account, level=level, **facts).model_copy(update={"score": 40})


async def row_of(pool: Pool, verdict: VerdictReached) -> dict[str, Any]:
    row = await pool.fetchrow("select * from report where id = $1", verdict.report.report_id)
    assert row is not None
    return dict(row)


async def alerts_of(pool: Pool, verdict: VerdictReached) -> int:
    found: int = await pool.fetchval("select count(*) from alert where report_id = $1", verdict.report.report_id)
    return found


async def cases_on(pool: Pool, verdict: VerdictReached) -> int:
    found: int = await pool.fetchval(
        "select count(*) from fraud_case where payee_token = $1", verdict.report.payee_token
    )
    return found


@pytest.mark.parametrize("level", QUIET)
async def test_a_report_that_is_an_alert_now_opens_its_case_and_alerts_its_unit_once(
    shared_notifier: Door, gained: Gained, level: Level
) -> None:
    first = quiet(an_account(), level, amount_fen=1_000)
    await take(shared_notifier.pool, first)
    again = judged_again(first)
    taken = await take(shared_notifier.pool, again)
    [placed] = taken.placed
    assert (placed.opened, taken.new) == (True, [])
    case = await case_of(shared_notifier, str(placed.case_id))
    assert (case["status"], case["amount_fen"], [one["id"] for one in case["reports"]]) == (
        "open",
        1_000,
        [str(first.report.report_id)],
    )
    for _ in range(2):
        assert (await take(shared_notifier.pool, again)).placed == ()
    assert await alerts_of(shared_notifier.pool, first) == 1
    assert await cases_on(shared_notifier.pool, first) == 1
    assert await gained() == {"reported": 1_000}, "it was counted at version 1"


async def test_a_report_that_is_an_alert_now_joins_the_open_case_of_its_account(shared_notifier: Door) -> None:
    account = an_account()
    first = quiet(account, amount_fen=50)
    await take(shared_notifier.pool, first)
    case_id = await a_case(shared_notifier, a_verdict(account, amount_fen=1_000))
    taken = await take(shared_notifier.pool, judged_again(first))
    assert [(str(one.case_id), one.opened) for one in taken.placed] == [(case_id, False)]
    case = await case_of(shared_notifier, case_id)
    assert (case["version"], case["amount_fen"], len(case["reports"])) == (2, 1_050, 2)
    assert timeline(case) == ["opened", "joined", "judged_again"]


async def test_the_case_is_told_when_the_report_was_filed_and_judged_again_and_why(shared_notifier: Door) -> None:
    first = quiet(an_account(), filed_at=datetime(2026, 11, 22, 1, 31, 5, tzinfo=UTC))
    await take(shared_notifier.pool, first)
    again = judged_again(first).model_copy(update={"judged_at": datetime(2026, 11, 22, 2, 10, 9, tzinfo=UTC)})
    case = await case_of(shared_notifier, str((await take(shared_notifier.pool, again)).placed[0].case_id))
    assert timeline(case) == ["opened", "judged_again"]
    last = case["timeline"][-1]
    assert last["actor"] == "lanjie"
    assert last["text"] == (
        "再次研判：ICBC-SZ-LH-001 2026-11-22 09:31:05 提交的报告，2026-11-22 10:10:09 再次研判为预警，"
        "评分 97，依据：收款账户已被核实涉诈；提到安全账户"
    )


async def test_a_case_that_comes_of_the_first_verdict_says_nothing_of_a_second(shared_notifier: Door) -> None:
    case_id = await a_case(shared_notifier, a_verdict(an_account()))
    assert timeline(await case_of(shared_notifier, case_id)) == ["opened"]


async def test_officers_and_orders_go_by_the_newest_verdict(shared_notifier: Door) -> None:
    first = quiet(an_account())
    await take(shared_notifier.pool, first)
    again = judged_again(first)
    case_id = await a_case(shared_notifier, again)
    row = await row_of(shared_notifier.pool, first)
    assert (row["version"], row["level"], row["score"]) == (2, "alert", 97)
    assert VerdictReached.model_validate_json(row["verdict"]) == again
    [shown] = (await case_of(shared_notifier, case_id))["reports"]
    assert (shown["version"], shown["score"], shown["findings"][0]["rule"]) == (2, 97, "confirmed_payee")
    assert datetime.fromisoformat(shown["judged_at"]) == again.judged_at
    order = await ordered(shared_notifier, case_id)
    assert order["amount_fen"] == first.report.amount_fen


async def test_an_alert_says_which_version_it_comes_of_and_when_it_was_judged(shared_notifier: Door) -> None:
    first = quiet(an_account())
    await take(shared_notifier.pool, first)
    again = judged_again(first, version=3)
    await take(shared_notifier.pool, again)
    [row] = await shared_notifier.rows(
        "select facts ->> 'version' as version, facts ->> 'judged_at' as judged_at from alert where report_id = $1",
        first.report.report_id,
    )
    assert (row["version"], datetime.fromisoformat(row["judged_at"])) == ("3", again.judged_at)


async def test_a_graver_verdict_below_alert_is_written_down_and_alerts_nobody(shared_notifier: Door) -> None:
    first = quiet(an_account(), Level.CLEAR)
    await take(shared_notifier.pool, first)
    taken = await take(shared_notifier.pool, judged_again(first, Level.CAUTION, score=45))
    assert (taken.placed, taken.new) == ((), [])
    row = await row_of(shared_notifier.pool, first)
    assert (row["version"], row["level"], row["score"], row["verdict"]) == (2, "caution", 45, None)


async def test_an_alert_that_is_judged_again_alerts_nobody_again_and_keeps_its_newest_verdict(
    shared_notifier: Door, gained: Gained
) -> None:
    first = a_verdict(an_account(), amount_fen=1_000)
    case_id = await a_case(shared_notifier, first)
    again = judged_again(first)
    for verdict in (again, again, first):
        taken = await take(shared_notifier.pool, verdict)
        assert (taken.new, list(taken.placed)) == ([], [])
    assert await alerts_of(shared_notifier.pool, first) == await cases_on(shared_notifier.pool, first) == 1
    row = await row_of(shared_notifier.pool, first)
    assert (row["version"], row["score"]) == (2, 97)
    assert VerdictReached.model_validate_json(row["verdict"]) == again
    case = await case_of(shared_notifier, case_id)
    assert (case["version"], case["amount_fen"]) == (1, 1_000)
    assert timeline(case) == ["opened", "judged_again"]
    assert await gained() == {"reported": 1_000}


async def test_a_case_that_is_told_of_a_graver_verdict_comes_up_in_the_inbox(shared_notifier: Door) -> None:
    first = a_verdict(an_account())
    case_id = await a_case(shared_notifier, first)
    await a_case(shared_notifier, a_verdict(an_account()))
    await take(shared_notifier.pool, judged_again(first))
    assert (await inbox(shared_notifier))[0]["id"] == case_id


async def test_a_report_in_a_case_stays_at_alert_level_whatever_is_said_later(shared_notifier: Door) -> None:
    first = a_verdict(an_account())
    case_id = await a_case(shared_notifier, first)
    taken = await take(shared_notifier.pool, judged_again(first, Level.CAUTION, score=40))
    [event] = said(taken.rows, CaseChanged)
    assert event.report_ids == (first.report.report_id,)
    assert (await row_of(shared_notifier.pool, first))["level"] == "alert"
    assert timeline(await case_of(shared_notifier, case_id)) == ["opened"]


@pytest.mark.parametrize("finding", ["confirmed", "unfounded"])
async def test_after_the_accounts_case_was_closed_a_new_one_opens_as_for_any_alert(
    shared_notifier: Door, finding: str
) -> None:
    account = an_account()
    first = quiet(account)
    closed = await a_case(shared_notifier, a_verdict(account))
    await take(shared_notifier.pool, first)
    assert (await close(shared_notifier, closed, finding)).status_code == 200
    opened = await a_case(shared_notifier, judged_again(first))
    assert opened != closed
    assert (await case_of(shared_notifier, opened))["status"] == "open"


async def test_an_alert_in_a_closed_case_that_is_judged_again_stays_there(shared_notifier: Door) -> None:
    first = a_verdict(an_account())
    case_id = await a_case(shared_notifier, first)
    assert (await close(shared_notifier, case_id)).status_code == 200
    taken = await take(shared_notifier.pool, judged_again(first))
    [event] = said(taken.rows, CaseChanged)
    assert (list(taken.placed), str(event.case_id), event.status) == ([], case_id, CaseStatus.CLOSED)
    assert timeline(await case_of(shared_notifier, case_id)) == ["opened", "closed", "judged_again"]


async def test_a_new_alert_beside_one_that_is_judged_again_in_a_closed_case_opens_a_new_case(
    shared_notifier: Door,
) -> None:
    account = an_account()
    first = a_verdict(account)
    closed = await a_case(shared_notifier, first)
    assert (await close(shared_notifier, closed)).status_code == 200
    taken = await take(shared_notifier.pool, judged_again(first), a_verdict(account))
    [placed] = taken.placed
    assert (placed.opened, str(placed.case_id) != closed) == (True, True)


# what it answers


async def test_each_delivery_of_a_second_version_is_answered_by_the_case_that_names_the_report(
    shared_notifier: Door,
) -> None:
    first = quiet(an_account())
    await take(shared_notifier.pool, first)
    again = judged_again(first)
    for verdict in (again, again, first):
        taken = await take(shared_notifier.pool, verdict)
        [event] = said(taken.rows, CaseChanged)
        assert first.report.report_id in event.report_ids
        assert said(taken.rows, ReportsCounted) == []


async def test_what_names_the_case_of_a_report_judged_again_is_kept_since_its_bank_asks_no_more(
    shared_notifier: Door,
) -> None:
    first = quiet(an_account())
    await take(shared_notifier.pool, first)
    rows = (await take(shared_notifier.pool, judged_again(first), a_verdict(an_account()))).rows
    kept = {event.report_ids for event in said([row for row in rows if row.kept], CaseChanged)}
    assert kept == {(first.report.report_id,)}
    assert not any(row.kept for row in rows if row.type == VerdictTaken.type), "rules asks again by itself"
    stored = await shared_notifier.rows("select id from outbox where id = any($1::uuid[])", [row.id for row in rows])
    assert [one["id"] for one in stored] == [row.id for row in rows if row.kept]


async def test_each_delivery_of_a_second_version_below_alert_is_answered_as_counted(shared_notifier: Door) -> None:
    first = quiet(an_account(), Level.CLEAR)
    await take(shared_notifier.pool, first)
    again = judged_again(first, Level.CAUTION)
    for verdict in (again, again, first):
        taken = await take(shared_notifier.pool, verdict)
        [event] = said(taken.rows, ReportsCounted)
        assert event.report_ids == (first.report.report_id,)


async def test_a_batch_of_all_kinds_answers_each_report_once(shared_notifier: Door) -> None:
    account = an_account()
    known, quietly, raised = a_verdict(account), quiet(an_account(), Level.CLEAR), quiet(account)
    await take(shared_notifier.pool, known, quietly, raised)
    batch = judged_again(known), judged_again(quietly, Level.CAUTION), judged_again(raised), a_verdict(an_account())
    taken = await take(shared_notifier.pool, *batch)
    [counted] = said(taken.rows, ReportsCounted)
    assert counted.report_ids == (quietly.report.report_id,)
    named = [report_id for event in said(taken.rows, CaseChanged) for report_id in event.report_ids]
    assert sorted(named) == sorted(one.report.report_id for one in (known, raised, batch[3]))


# the visits


@pytest.mark.parametrize("outcome", DispositionOutcome)
async def test_a_visit_that_ended_before_is_told_to_the_case_and_counted_once(
    shared_notifier: Door, gained: Gained, outcome: DispositionOutcome
) -> None:
    first = quiet(an_account(), amount_fen=1_000)
    await take(shared_notifier.pool, first)
    disposition = a_disposition(first, outcome, 600)
    await count(shared_notifier.pool, disposition)
    counted = await gained()
    taken = await take(shared_notifier.pool, judged_again(first))
    assert await gained() == counted
    [event] = said(taken.rows, DispositionCounted)
    assert (event.disposition_id, event.case_id) == (disposition.disposition_id, taken.placed[0].case_id)
    case = await case_of(shared_notifier, str(event.case_id))
    assert sorted(timeline(case)) == ["disposition", "judged_again", "opened"]
    await count(shared_notifier.pool, disposition)
    assert await gained() == counted
    assert await case_of(shared_notifier, str(event.case_id)) == case


async def test_a_loss_that_was_counted_alone_is_the_cases_once_it_is_in_it(shared_notifier: Door) -> None:
    """Or a stop would take it back under the labels of another bank, and leave both wrong."""
    account = an_account()
    gone = quiet(account, branch="CMB-SZ-LH-002", amount_fen=1_000)
    await take(shared_notifier.pool, gone)
    await count(shared_notifier.pool, a_disposition(gone, DispositionOutcome.ALREADY_SENT))
    case_id = await a_case(shared_notifier, a_verdict(account, amount_fen=500))
    again = judged_again(gone)
    await take(shared_notifier.pool, again)
    stop = a_success(await ordered(shared_notifier, case_id), stopped_fen=400)
    await hear(shared_notifier.pool, stop)
    rows = await shared_notifier.rows(
        """
        select kind, bank, report_id is null as of_case, cause, fen from ledger
        where (case_id = $1 or report_id = $2) and kind = 'lost' order by id
        """,
        UUID(case_id),
        gone.report.report_id,
    )
    assert [(row["bank"], row["of_case"], row["fen"]) for row in rows[:1]] == [("CMB", False, 1_000)]
    assert {(row["bank"], row["of_case"], row["cause"], row["fen"]) for row in rows[1:]} == {
        ("CMB", False, again.verdict_id, -1_000),
        ("ICBC", True, again.verdict_id, 1_000),
        ("ICBC", True, stop.feedback_id, -400),
    }


# in any order


def orders() -> list[tuple[str, ...]]:
    """Every order of both versions and the disposition; each comes a second time, later or at once."""
    heard = ("first", "again", "visit")
    once = list(permutations(heard))
    return [(*order, *repeated) for order in once for repeated in (order, order[::-1])]


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("order", orders(), ids="-".join)
async def test_versions_and_visits_in_any_order_and_twice_end_up_the_same(
    shared_notifier: Door,
    gained: Gained,
    order: tuple[str, ...],
    together: bool,  # noqa: FBT001
) -> None:
    pool = shared_notifier.pool
    first = quiet(an_account(), amount_fen=1_000)
    again, visit = judged_again(first), a_disposition(first, DispositionOutcome.ALREADY_SENT, 300)
    events: dict[str, VerdictReached | DispositionRecorded] = {"first": first, "again": again, "visit": visit}
    heard = [events[name] for name in order]
    if together:
        await take(pool, *(event for event in heard if isinstance(event, VerdictReached)))
        await count_dispositions(pool, [visit, visit], now())
    else:
        for event in heard:
            await (take(pool, event) if isinstance(event, VerdictReached) else count(pool, event))
    row = await row_of(pool, first)
    assert (row["version"], row["level"], row["score"]) == (2, "alert", 97)
    assert await alerts_of(pool, first) == await cases_on(pool, first) == 1
    case = await case_of(shared_notifier, str(row["case_id"]))
    assert (case["amount_fen"], sorted(timeline(case))) == (1_000, ["disposition", "judged_again", "opened"])
    assert await gained() == {"reported": 1_000, "lost": 300}


@pytest.mark.parametrize("newest_first", [False, True])
async def test_of_three_versions_in_a_batch_the_newest_counts(shared_notifier: Door, newest_first: bool) -> None:  # noqa: FBT001
    first = quiet(an_account(), Level.CLEAR)
    versions = [first, judged_again(first, Level.CAUTION), judged_again(first, version=3, score=88)]
    taken = await take(shared_notifier.pool, *(versions[::-1] if newest_first else versions))
    assert (len(taken.new), len(taken.placed), taken.placed[0].verdict.version) == (1, 1, 3)
    assert (await row_of(shared_notifier.pool, first))["score"] == 88
