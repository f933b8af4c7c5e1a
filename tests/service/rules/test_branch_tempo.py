"""How busy a branch is, by clock hour, and where an amount lies among its own."""

from datetime import UTC, datetime, timedelta

import pytest

from services.rules.branch_store import bucket
from shared.postgres import Pool
from tests.service.rules.builders import INSTANT, a_filed_report, all_known, known, notable, see

HOUR = datetime(2026, 11, 22, 9, tzinfo=UTC)


async def busy(pool: Pool, branch: str, *moments: datetime) -> None:
    await see(pool, *(a_filed_report(branch=branch, filed_at=moment) for moment in moments))


async def percentile(pool: Pool, amount_fen: int, filed_at: datetime = HOUR) -> object:
    report = a_filed_report(branch="B", amount_fen=amount_fen, filed_at=filed_at)
    return (await known(pool, report))["branch.amount_percentile"]


async def test_a_branch_never_heard_of_has_no_tempo_and_no_usual_amount(pool: Pool) -> None:
    await busy(pool, "another", HOUR)
    assert await notable(pool, a_filed_report(branch="B", filed_at=HOUR), about="branch") == {}


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
    assert await notable(pool, report, about="branch") == {"reports_2h": 2, "reports_24h": 4, "reports_7d": 7}


async def test_the_tempo_is_that_of_the_filing_however_late_the_report_is_judged(pool: Pool) -> None:
    long_ago = HOUR - timedelta(days=400)
    await busy(pool, "B", *[long_ago] * 4)
    assert (await known(pool, a_filed_report(branch="B", filed_at=long_ago)))["branch.reports_2h"] == 4


async def test_each_report_of_a_batch_gets_the_tempo_of_its_own_branch_and_hour(pool: Pool) -> None:
    await busy(pool, "busy", *[HOUR] * 5)
    await busy(pool, "calm", HOUR)
    batch = [
        a_filed_report(branch="busy", filed_at=HOUR),
        a_filed_report(branch="busy", filed_at=HOUR - timedelta(days=1)),
        a_filed_report(branch="calm", filed_at=HOUR),
    ]
    pasts = await all_known(pool, batch)
    assert [pasts[report.report_id]["branch.reports_24h"] for report in batch] == [5, 0, 1]


@pytest.mark.parametrize(
    ("fen", "place"), [(1, 0), (100, 20), (125, 20), (126, 21), (999, 29), (1000, 30), (10**9, 90), (10**12, 119)]
)
def test_a_bucket_is_a_tenth_of_a_power_of_ten(fen: int, place: int) -> None:
    assert bucket(fen) == place


async def test_an_amount_has_its_place_among_the_branchs_own_halfway_in_its_bucket(pool: Pool) -> None:
    fens = [100] * 10 + [1_000] * 20 + [100_000] * 10
    await see(pool, *(a_filed_report(branch="B", amount_fen=fen, filed_at=HOUR) for fen in fens))
    await see(pool, a_filed_report(branch="C", amount_fen=1, filed_at=HOUR))
    asked = {50: 0, 100: 12, 500: 25, 1_001: 50, 50_000: 75, 100_000: 87, 10**12: 100, 1: 0}
    assert {fen: await percentile(pool, fen) for fen in asked} == asked


async def test_hours_and_amounts_of_many_batches_and_days_add_up(pool: Pool) -> None:
    for place in range(30):
        filed_at = HOUR - timedelta(days=place % 3)
        await see(pool, *(a_filed_report(branch="B", amount_fen=fen, filed_at=filed_at) for fen in (100, 10_000)))
    assert await pool.fetchval("select count(*) from branch_day") == 3
    facts = await known(pool, a_filed_report(branch="B", amount_fen=1_000, filed_at=HOUR))
    assert (facts["branch.amount_percentile"], facts["branch.reports_2h"], facts["branch.reports_7d"]) == (50, 20, 60)


async def test_fewer_than_twenty_reports_say_nothing_of_what_is_usual(pool: Pool) -> None:
    await see(pool, *(a_filed_report(branch="B", amount_fen=100, filed_at=HOUR) for _ in range(19)))
    assert await percentile(pool, 1_000) == -1
    await see(pool, a_filed_report(branch="B", amount_fen=100, filed_at=HOUR))
    assert await percentile(pool, 1_000) == 100


async def test_what_is_usual_is_what_was_in_the_last_thirty_days(pool: Pool) -> None:
    midnight = datetime(2026, 10, 24, tzinfo=UTC)
    await see(pool, *(a_filed_report(branch="B", filed_at=midnight - INSTANT) for _ in range(50)))
    assert await percentile(pool, 1_000, midnight + timedelta(days=29, hours=23)) == -1
    await see(pool, *(a_filed_report(branch="B", filed_at=midnight) for _ in range(20)))
    assert await percentile(pool, 1_000, midnight + timedelta(days=29, hours=23)) == 0
    assert await percentile(pool, 1_000, midnight + timedelta(days=30)) == -1
    assert await percentile(pool, 1_000, midnight - timedelta(days=2)) == -1


async def test_judged_again_a_report_does_not_look_at_itself(pool: Pool) -> None:
    report = a_filed_report(branch="B", amount_fen=10_000, filed_at=HOUR)
    await see(pool, report, *(a_filed_report(branch="B", amount_fen=100, filed_at=HOUR) for _ in range(20)))
    facts = await known(pool, report, HOUR + timedelta(minutes=50))
    names = ("reports_2h", "reports_24h", "reports_7d", "amount_percentile")
    assert [facts[f"branch.{name}"] for name in names] == [20, 20, 20, 100]
    much_later = await known(pool, report, HOUR + timedelta(days=8))
    assert [much_later[f"branch.{name}"] for name in names] == [0, 0, 0, 100]
