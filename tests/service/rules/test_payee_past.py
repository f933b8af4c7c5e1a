"""What is known of the receiving account: exact numbers, for the report that is judged."""

from datetime import timedelta
from uuid import UUID

import pytest

from services.rules.features import FEATURES
from services.rules.past_store import PAST
from shared.events import DispositionOutcome, Finding, Level
from shared.postgres import Pool
from tests.service.rules.builders import (
    INSTANT,
    NOTHING_KNOWN,
    NOW,
    a_disposition,
    a_filed_report,
    ago,
    all_known,
    an_outcome,
    dispose,
    find,
    known,
    notable,
    rejudge,
    see,
)

HERE, NEAR, FAR = "ICBC-SZ-LH-001", "ICBC-SZ-LH-002", "ABC-SZ-LH-001"
FROM_THE_REPORT = {"payee.personal", "payer.age", "payer.organisation"}
WINDOWS = [(timedelta(hours=1), "1h"), (timedelta(days=1), "24h"), (timedelta(days=7), "7d"), (timedelta(30), "30d")]


def test_the_past_gives_every_feature_of_the_catalogue_that_the_report_does_not_give_itself() -> None:
    of_the_past = {name for name in FEATURES if name.startswith(("payee.", "payer.", "branch."))}
    assert set(PAST) == of_the_past - FROM_THE_REPORT


async def test_nothing_is_known_of_an_account_never_reported(pool: Pool) -> None:
    await see(pool, a_filed_report(payee_token="another", branch=FAR), level=Level.ALERT)
    assert await known(pool, a_filed_report(payee_token="hot")) == NOTHING_KNOWN


async def test_counts_sums_and_distinct_payers_branches_and_banks_are_exact_in_every_window(pool: Pool) -> None:
    one, two, three = {"payee_token": "hot"}, {"payee_token": "hot", "bank": "ABC"}, {"payee_token": "hot", "bank": "B"}
    await see(
        pool,
        a_filed_report(**one, payer_token="a", branch=NEAR, amount_fen=1_00, filed_at=ago(minutes=10)),
        a_filed_report(**one, payer_token="a", branch=HERE, amount_fen=20_99, filed_at=ago(minutes=59)),
        a_filed_report(**two, payer_token="b", branch=FAR, amount_fen=300_01, filed_at=ago(hours=2)),
        a_filed_report(**two, payer_token="c", branch=FAR, amount_fen=4000_00, filed_at=ago(days=2)),
        a_filed_report(**three, payer_token="d", branch="B-1", amount_fen=50000_00, filed_at=ago(days=20)),
        a_filed_report(**three, payer_token="e", branch="B-2", amount_fen=600000_00, filed_at=ago(days=31)),
    )
    assert await notable(pool, a_filed_report(payee_token="hot", branch=HERE), about="payee") == {
        "reports_1h": 2,
        "amount_yuan_1h": 21,
        "payers_1h": 1,
        "branches_1h": 2,
        "banks_1h": 1,
        "reports_24h": 3,
        "amount_yuan_24h": 322,
        "payers_24h": 2,
        "branches_24h": 3,
        "banks_24h": 2,
        "reports_7d": 4,
        "amount_yuan_7d": 4322,
        "payers_7d": 3,
        "branches_7d": 3,
        "banks_7d": 2,
        "reports_30d": 5,
        "amount_yuan_30d": 54322,
        "payers_30d": 4,
        "branches_30d": 4,
        "banks_30d": 3,
        "other_branches_7d": 2,
        "first_seen_minutes": 20 * 24 * 60,
    }


@pytest.mark.parametrize(("window", "suffix"), WINDOWS)
async def test_a_window_is_open_at_its_far_end(pool: Pool, window: timedelta, suffix: str) -> None:
    report = a_filed_report(payee_token="hot")
    names = [f"payee.{what}_{suffix}" for what in ("reports", "payers", "branches", "banks")]
    await see(pool, a_filed_report(payee_token="hot", filed_at=NOW - window))
    assert [(await known(pool, report))[name] for name in names] == [0] * 4
    await see(pool, a_filed_report(payee_token="hot", filed_at=NOW - window + INSTANT))
    assert [(await known(pool, report))[name] for name in names] == [1] * 4


@pytest.mark.parametrize("name", ["other_branches_7d", "alerts_7d", "cautions_7d"])
async def test_a_window_of_seven_days_is_open_at_its_far_end(pool: Pool, name: str) -> None:
    report = a_filed_report(payee_token="hot", branch=HERE)
    level = Level.CAUTION if name == "cautions_7d" else Level.ALERT
    await see(pool, a_filed_report(payee_token="hot", branch=FAR, filed_at=ago(days=7)), level=level)
    assert (await known(pool, report))[f"payee.{name}"] == 0
    await see(pool, a_filed_report(payee_token="hot", branch=FAR, filed_at=ago(days=7) + INSTANT), level=level)
    assert (await known(pool, report))[f"payee.{name}"] == 1


async def test_reports_filed_later_are_not_looked_at(pool: Pool) -> None:
    await see(pool, a_filed_report(payee_token="hot", filed_at=NOW + INSTANT), level=Level.ALERT)
    assert await notable(pool, a_filed_report(payee_token="hot"), about="payee") == {}


async def test_of_reports_filed_in_the_same_instant_the_smaller_id_is_the_earlier(pool: Pool) -> None:
    small, large = (a_filed_report(payee_token="hot", report_id=UUID(int=number)) for number in (1, 2))
    await see(pool, large, small)
    pasts = await all_known(pool, [small, large])
    assert [pasts[report.report_id]["payee.reports_7d"] for report in (small, large)] == [0, 1]


async def test_judged_again_a_report_looks_at_all_others_up_to_that_moment_but_not_at_itself(pool: Pool) -> None:
    report = a_filed_report(payee_token="hot", payer_token="c", filed_at=ago(minutes=50))
    same_instant = a_filed_report(payee_token="hot", filed_at=NOW)
    later = a_filed_report(payee_token="hot", filed_at=NOW + INSTANT)
    before = a_filed_report(payee_token="hot", filed_at=ago(minutes=70))
    await see(pool, report, same_instant, later, before)
    facts = await known(pool, report, NOW)
    assert (facts["payee.reports_1h"], facts["payee.reports_24h"], facts["payer.reports_1h"]) == (1, 2, 0)


async def test_counts_stop_at_the_latest_hundred(pool: Pool) -> None:
    filed = [ago(seconds=place + 1) for place in range(130)]
    await see(
        pool, *(a_filed_report(payee_token="hot", amount_fen=100 * n + 100, filed_at=at) for n, at in enumerate(filed))
    )
    facts = await known(pool, a_filed_report(payee_token="hot"))
    assert [facts[f"payee.{name}"] for name in ("reports_1h", "reports_7d", "payers_7d")] == [100] * 3
    assert facts["payee.amount_yuan_30d"] == sum(range(1, 101))


async def test_the_first_report_is_found_even_behind_the_latest_hundred(pool: Pool) -> None:
    await see(pool, *(a_filed_report(payee_token="hot", filed_at=ago(seconds=place + 1)) for place in range(110)))
    await see(
        pool,
        a_filed_report(payee_token="hot", filed_at=ago(days=30)),
        a_filed_report(payee_token="hot", filed_at=ago(days=29, seconds=59)),
    )
    assert (await known(pool, a_filed_report(payee_token="hot")))["payee.first_seen_minutes"] == 29 * 24 * 60


async def test_alerts_and_cautions_are_counted_apart_and_clear_reports_not_at_all(pool: Pool) -> None:
    for level, number in ((Level.CLEAR, 4), (Level.CAUTION, 3), (Level.ALERT, 2)):
        await see(pool, *(a_filed_report(payee_token="hot", filed_at=ago(hours=1)) for _ in range(number)), level=level)
    facts = await known(pool, a_filed_report(payee_token="hot"))
    assert (facts["payee.cautions_7d"], facts["payee.alerts_7d"]) == (3, 2)


async def test_the_newest_version_of_a_verdict_counts(pool: Pool) -> None:
    earlier = a_filed_report(payee_token="hot", filed_at=ago(hours=1))
    await see(pool, earlier, level=Level.CAUTION)
    await rejudge(pool, earlier, Level.ALERT)
    facts = await known(pool, a_filed_report(payee_token="hot"))
    assert (facts["payee.cautions_7d"], facts["payee.alerts_7d"]) == (0, 1)
    await rejudge(pool, earlier, Level.CLEAR, version=3)
    assert (await known(pool, a_filed_report(payee_token="hot")))["payee.alerts_7d"] == 0


@pytest.mark.parametrize(("level", "name"), [(Level.ALERT, "payee.alerts_7d"), (Level.CAUTION, "payee.cautions_7d")])
async def test_verdicts_no_longer_count_once_the_police_found_the_case_unfounded(
    pool: Pool, level: Level, name: str
) -> None:
    report = a_filed_report(payee_token="builder")
    await see(pool, a_filed_report(payee_token="builder", filed_at=ago(hours=2)), level=level)
    await find(pool, an_outcome("builder", Finding.UNFOUNDED, decided_at=ago(hours=2)))
    assert (await known(pool, report))[name] == 0
    await see(pool, a_filed_report(payee_token="builder", filed_at=ago(hours=2) + INSTANT), level=level)
    assert (await known(pool, report))[name] == 1


async def test_alerts_go_on_counting_when_the_police_confirm_the_case(pool: Pool) -> None:
    await see(pool, a_filed_report(payee_token="hot", filed_at=ago(hours=3)), level=Level.ALERT)
    await find(pool, an_outcome("hot", decided_at=ago(hours=2)))
    assert (await known(pool, a_filed_report(payee_token="hot")))["payee.alerts_7d"] == 1


@pytest.mark.parametrize("disposition_first", [True, False])
async def test_visits_count_by_how_they_ended_whichever_is_heard_of_first(
    pool: Pool, *, disposition_first: bool
) -> None:
    ended = [*[DispositionOutcome.CANCELLED] * 3, *[DispositionOutcome.PROCEEDED] * 2, DispositionOutcome.ALREADY_SENT]
    reports = [a_filed_report(payee_token="hot", filed_at=ago(days=29)) for _ in ended]
    too_old = a_filed_report(payee_token="hot", filed_at=ago(days=30))
    events = [a_disposition(report, how) for report, how in zip(reports, ended, strict=True)]
    if disposition_first:
        await dispose(pool, *events)
    await see(pool, *reports, too_old)
    await dispose(pool, *events, a_disposition(too_old))
    facts = await known(pool, a_filed_report(payee_token="hot"))
    names = ("cancelled_30d", "proceeded_30d", "already_sent_30d")
    assert [facts[f"payee.{name}"] for name in names] == [3, 2, 1]


async def test_an_account_that_pays_others_is_noticed_for_a_day(pool: Pool) -> None:
    report = a_filed_report(payee_token="mule")
    await see(
        pool,
        a_filed_report(payer_token="mule", filed_at=ago(days=1)),
        a_filed_report(payer_token="mule", filed_at=NOW + INSTANT),
    )
    assert (await known(pool, report))["payee.pays_out_24h"] == 0
    await see(pool, a_filed_report(payer_token="mule", filed_at=ago(days=1) + INSTANT))
    assert await notable(pool, report, about="payee") == {"pays_out_24h": 1}


async def test_each_report_of_a_batch_gets_the_past_of_its_own_accounts(pool: Pool) -> None:
    batch = [
        a_filed_report(
            payee_token=f"p{n % 3}", payer_token=f"c{n % 4}", branch=f"B{n % 5}", filed_at=ago(minutes=60 - n)
        )
        for n in range(30)
    ]
    await see(pool, *batch)
    together = await all_known(pool, batch)
    one_by_one = {report.report_id: await known(pool, report) for report in batch}
    assert together == one_by_one
    assert [together[report.report_id]["payee.reports_7d"] for report in batch] == [n // 3 for n in range(30)]
