"""What is known of the receiving account: exact numbers, for the report that is judged."""

from datetime import timedelta
from uuid import UUID

import pytest

from services.rules.features import Payee
from shared.events import Finding
from shared.postgres import Pool
from tests.service.rules.builders import (
    HINT,
    NOW,
    SCAM,
    a_filed_report,
    ago,
    an_outcome,
    apply,
    deliver,
    judge,
    payee_of,
    rules_of,
)

HERE, NEAR, FAR = "ICBC-SZ-LH-001", "ICBC-SZ-LH-002", "ABC-SZ-LH-001"
INSTANT = timedelta(microseconds=1)


async def test_nothing_is_known_of_an_account_never_reported(pool: Pool) -> None:
    await judge(pool, a_filed_report(SCAM, payee_token="another"))
    assert await payee_of(pool, a_filed_report(payee_token="hot")) == Payee()


async def test_counts_payers_branches_sums_and_alerts_are_exact(pool: Pool) -> None:
    await judge(
        pool,
        a_filed_report(SCAM, payee_token="hot", payer_token="a", branch=FAR, amount_fen=1, filed_at=ago(minutes=10)),
        a_filed_report(payee_token="hot", payer_token="a", branch=NEAR, amount_fen=20, filed_at=ago(minutes=59)),
        a_filed_report(payee_token="hot", payer_token="b", branch=HERE, amount_fen=300, filed_at=ago(hours=2)),
        a_filed_report(SCAM, payee_token="hot", payer_token="c", branch=FAR, amount_fen=4000, filed_at=ago(days=2)),
        a_filed_report(payee_token="hot", payer_token="d", branch=HERE, amount_fen=50000, filed_at=ago(days=6)),
        a_filed_report(SCAM, payee_token="hot", payer_token="e", branch="E", amount_fen=600000, filed_at=ago(days=8)),
    )
    assert await payee_of(pool, a_filed_report(payee_token="hot", branch=HERE)) == Payee(
        reports_1h=2,
        reports_1d=3,
        reports_7d=5,
        payers_1d=2,
        payers_7d=4,
        other_branches_7d=2,
        amount_7d_fen=54_321,
        alerts_7d=2,
    )


@pytest.mark.parametrize(
    ("window", "name"),
    [(timedelta(hours=1), "reports_1h"), (timedelta(days=1), "reports_1d"), (timedelta(days=7), "reports_7d")],
)
async def test_a_window_is_open_at_its_far_end(pool: Pool, window: timedelta, name: str) -> None:
    report = a_filed_report(payee_token="hot")
    await judge(pool, a_filed_report(payee_token="hot", filed_at=NOW - window))
    assert getattr(await payee_of(pool, report), name) == 0
    await judge(pool, a_filed_report(payee_token="hot", filed_at=NOW - window + INSTANT))
    assert getattr(await payee_of(pool, report), name) == 1


async def test_reports_filed_later_are_not_looked_at(pool: Pool) -> None:
    await judge(pool, a_filed_report(SCAM, payee_token="hot", filed_at=NOW + INSTANT))
    assert await payee_of(pool, a_filed_report(payee_token="hot")) == Payee()


async def test_of_reports_filed_in_the_same_instant_the_smaller_id_is_the_earlier(pool: Pool) -> None:
    small, large = (a_filed_report(payee_token="hot", report_id=UUID(int=number)) for number in (1, 2))
    await judge(pool, large, small)
    assert (await payee_of(pool, small)).reports_7d == 0
    assert (await payee_of(pool, large)).reports_7d == 1


async def test_counts_stop_at_the_latest_hundred(pool: Pool) -> None:
    filed = [ago(seconds=place + 1) for place in range(130)]
    await judge(pool, *(a_filed_report(payee_token="hot", amount_fen=n + 1, filed_at=at) for n, at in enumerate(filed)))
    known = await payee_of(pool, a_filed_report(payee_token="hot"))
    assert (known.reports_1h, known.reports_7d, known.payers_7d) == (100, 100, 100)
    assert known.amount_7d_fen == sum(range(1, 101))


async def test_the_third_payer_of_a_batch_is_judged_by_the_two_before(pool: Pool) -> None:
    batch = [a_filed_report(payee_token="hot", filed_at=ago(minutes=minutes)) for minutes in (1, 3, 2)]
    last, first, second = await judge(pool, *batch)
    assert "payee-gathers" not in rules_of(first) | rules_of(second)
    assert "2 名不同客户" in rules_of(last)["payee-gathers"]


async def test_an_account_alerted_at_another_branch_speaks_against_the_next_report(pool: Pool) -> None:
    await judge(pool, a_filed_report(SCAM, payee_token="hot", branch=FAR, filed_at=ago(days=3)))
    [verdict] = await judge(pool, a_filed_report(payee_token="hot", branch=HERE))
    assert rules_of(verdict)["payee-alerted-before"] == "该收款账户 7 天内已预警 1 次，另有 1 个网点报告"


async def test_an_alert_speaks_against_a_later_report_of_the_same_batch_only(pool: Pool) -> None:
    alert = a_filed_report(SCAM, payee_token="hot", filed_at=ago(minutes=5))
    later = a_filed_report(payee_token="hot")
    earlier = a_filed_report(payee_token="hot", filed_at=ago(minutes=9))
    elsewhere = a_filed_report()
    _, about_later, about_earlier, about_elsewhere = await judge(pool, alert, later, earlier, elsewhere)
    assert "已预警 1 次" in rules_of(about_later)["payee-alerted-before"]
    assert "payee-alerted-before" not in rules_of(about_earlier) | rules_of(about_elsewhere)


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
    for table in ("sighting", "verdict", "branch_hour", "outbox"):
        await pool.execute(f"delete from {table}")
    one_by_one = [(await judge(pool, report))[0] for report in batch]
    assert [rules_of(verdict) for verdict in together] == [rules_of(verdict) for verdict in one_by_one]
    assert [verdict.score for verdict in together] == [verdict.score for verdict in one_by_one]


async def test_alerts_no_longer_count_once_the_police_found_the_case_unfounded(pool: Pool) -> None:
    await deliver(pool, [a_filed_report(SCAM, payee_token="builder", filed_at=ago(hours=3))])
    await apply(pool, an_outcome("builder", Finding.UNFOUNDED, decided_at=ago(hours=2)))
    assert (await payee_of(pool, a_filed_report(payee_token="builder"))).alerts_7d == 0
    await deliver(pool, [a_filed_report(SCAM, payee_token="builder", filed_at=ago(hours=1))])
    assert (await payee_of(pool, a_filed_report(payee_token="builder"))).alerts_7d == 1


async def test_alerts_go_on_counting_when_the_police_confirm_the_case(pool: Pool) -> None:
    await deliver(pool, [a_filed_report(SCAM, payee_token="hot", filed_at=ago(hours=3))])
    await apply(pool, an_outcome("hot", decided_at=ago(hours=2)))
    assert (await payee_of(pool, a_filed_report(payee_token="hot"))).alerts_7d == 1
