"""How busy a branch is, by clock hour."""

from datetime import UTC, datetime, timedelta

from services.rules.features import Branch
from shared.postgres import Pool
from tests.service.rules.builders import a_filed_report, deliver, judge, rules_of, tempo_of

HOUR = datetime(2026, 11, 22, 9, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


async def busy(pool: Pool, branch: str, *moments: datetime) -> None:
    await deliver(pool, [a_filed_report(branch=branch, filed_at=moment) for moment in moments])


async def test_a_branch_never_heard_of_has_no_tempo(pool: Pool) -> None:
    await busy(pool, "another", HOUR)
    assert await tempo_of(pool, a_filed_report(branch="B", filed_at=HOUR)) == Branch()


async def test_hours_are_clock_hours_up_to_the_one_of_the_report(pool: Pool) -> None:
    await busy(
        pool,
        "B",
        HOUR + timedelta(minutes=5),
        HOUR - timedelta(hours=1),
        HOUR - timedelta(hours=1) - INSTANT,
        HOUR - timedelta(hours=22, minutes=30),
        HOUR - timedelta(hours=23) - INSTANT,
        HOUR - timedelta(days=6),
        HOUR - timedelta(days=7) + timedelta(hours=1),
        HOUR - timedelta(days=7) + timedelta(hours=1) - INSTANT,
        HOUR + timedelta(hours=1),
    )
    report = a_filed_report(branch="B", filed_at=HOUR + timedelta(minutes=59))
    assert await tempo_of(pool, report) == Branch(reports_1h=2, reports_1d=4, reports_7d=7)


async def test_the_tempo_is_that_of_the_filing_however_late_the_report_is_judged(pool: Pool) -> None:
    long_ago = HOUR - timedelta(days=400)
    await busy(pool, "B", *[long_ago] * 4)
    assert (await tempo_of(pool, a_filed_report(branch="B", filed_at=long_ago))).reports_1h == 4


async def test_each_report_of_a_batch_gets_the_tempo_of_its_own_branch_and_hour(pool: Pool) -> None:
    await busy(pool, "busy", *[HOUR] * 5)
    await busy(pool, "calm", HOUR)
    now, then, calm = (
        a_filed_report(branch="busy", filed_at=HOUR),
        a_filed_report(branch="busy", filed_at=HOUR - timedelta(days=1)),
        a_filed_report(branch="calm", filed_at=HOUR),
    )
    verdicts = await judge(pool, now, then, calm)
    assert ["branch-rush" in rules_of(verdict) for verdict in verdicts] == [True, False, False]


async def test_the_sums_of_a_branchs_hours_are_kept(pool: Pool) -> None:
    await deliver(pool, [a_filed_report(branch="B", amount_fen=fen, filed_at=HOUR) for fen in (1, 20)])
    await deliver(pool, [a_filed_report(branch="B", amount_fen=300, filed_at=HOUR + timedelta(minutes=59))])
    [row] = await pool.fetch("select hour, reports, amount_fen from branch_hour")
    assert tuple(row) == (HOUR, 3, 321)
