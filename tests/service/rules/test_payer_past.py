"""What is known of the customer, by account and by identity number: exact numbers."""

from datetime import timedelta
from typing import Any

import pytest

from shared.events import DispositionOutcome, Finding, Level
from shared.postgres import Pool
from tests.service.rules.builders import (
    INSTANT,
    NOTHING_KNOWN,
    NOW,
    a_disposition,
    a_filed_report,
    ago,
    an_outcome,
    dispose,
    find,
    known,
    notable,
    see,
)

HERE, ELSEWHERE = "ICBC-SZ-LH-001", "ABC-SZ-LH-001"
WINDOWS = [(timedelta(hours=1), "1h"), (timedelta(days=1), "24h"), (timedelta(days=7), "7d"), (timedelta(30), "30d")]
CARD, PERSON = {"payer_token": "card"}, {"payer_person_token": "person"}
BY_EITHER = pytest.mark.parametrize("same", [CARD, PERSON], ids=["by account", "by person"])


async def test_nothing_is_known_of_a_customer_never_reported(pool: Pool) -> None:
    await see(pool, a_filed_report(payer_person_token=None, branch=ELSEWHERE), level=Level.ALERT)
    assert await known(pool, a_filed_report(payer_person_token=None)) == {
        **NOTHING_KNOWN,
        **{name: value for name, value in (await known(pool, a_filed_report())).items() if name.startswith("branch.")},
    }


async def test_counts_sums_and_distinct_payees_branches_and_banks_are_exact_in_every_window(pool: Pool) -> None:
    abc, same = {"bank": "ABC", "branch": ELSEWHERE}, {"payee_token": "same"}
    await see(
        pool,
        a_filed_report(**CARD, **abc, **same, amount_fen=1_00, filed_at=ago(minutes=10)),
        a_filed_report(**PERSON, **abc, **same, amount_fen=20_99, filed_at=ago(minutes=50)),
        a_filed_report(**CARD, **PERSON, **abc, amount_fen=300_01, filed_at=ago(hours=5)),
        a_filed_report(**PERSON, branch=HERE, amount_fen=4000_00, filed_at=ago(days=3)),
        a_filed_report(**CARD, branch="ICBC-3", **same, amount_fen=50000_00, filed_at=ago(days=20)),
        a_filed_report(**CARD, **PERSON, **abc, amount_fen=600000_00, filed_at=ago(days=30)),
        a_filed_report(**abc, amount_fen=7000000_00, filed_at=ago(minutes=1)),
    )
    assert await notable(pool, a_filed_report(**CARD, **PERSON, payee_token="new"), about="payer") == {
        "reports_1h": 2,
        "amount_yuan_1h": 21,
        "payees_1h": 1,
        "branches_1h": 1,
        "banks_1h": 1,
        "reports_24h": 3,
        "amount_yuan_24h": 322,
        "payees_24h": 2,
        "branches_24h": 1,
        "banks_24h": 1,
        "reports_7d": 4,
        "amount_yuan_7d": 4322,
        "payees_7d": 3,
        "branches_7d": 2,
        "banks_7d": 2,
        "reports_30d": 5,
        "amount_yuan_30d": 54322,
        "payees_30d": 3,
        "branches_30d": 3,
        "banks_30d": 2,
        "largest_yuan_30d": 50000,
        "median_yuan_30d": 300,
    }


async def test_an_organisation_without_a_person_is_known_by_its_account_only(pool: Pool) -> None:
    firm: dict[str, Any] = {"payer_person_token": None, "payer_age": None}
    await see(pool, *(a_filed_report(payer_token=f"firm-{place}", **firm) for place in range(3)))
    facts = await known(pool, a_filed_report(payer_token="firm-0", **firm, filed_at=NOW + INSTANT))
    assert facts["payer.reports_7d"] == 1


@pytest.mark.parametrize(("window", "suffix"), WINDOWS)
@BY_EITHER
async def test_a_window_is_open_at_its_far_end(
    pool: Pool, window: timedelta, suffix: str, same: dict[str, Any]
) -> None:
    report = a_filed_report(**same)
    names = [f"payer.{what}_{suffix}" for what in ("reports", "payees", "branches", "banks")]
    await see(pool, a_filed_report(**same, filed_at=NOW - window))
    assert [(await known(pool, report))[name] for name in names] == [0] * 4
    await see(pool, a_filed_report(**same, filed_at=NOW - window + INSTANT))
    assert [(await known(pool, report))[name] for name in names] == [1] * 4


async def test_reports_filed_later_are_not_looked_at(pool: Pool) -> None:
    await see(pool, a_filed_report(**CARD, branch=ELSEWHERE, filed_at=NOW + INSTANT), level=Level.ALERT)
    assert await notable(pool, a_filed_report(**CARD), about="payer") == {}


async def test_counts_stop_at_the_latest_hundred_by_account_and_person_together(pool: Pool) -> None:
    by_card = [a_filed_report(**CARD, amount_fen=100, filed_at=ago(seconds=2 * n + 1)) for n in range(80)]
    by_person = [a_filed_report(**PERSON, amount_fen=10_000, filed_at=ago(seconds=2 * n + 2)) for n in range(80)]
    by_both = [a_filed_report(**CARD, **PERSON, filed_at=ago(hours=1, seconds=n)) for n in range(80)]
    await see(pool, *by_card, *by_person, *by_both)
    facts = await known(pool, a_filed_report(**CARD, **PERSON))
    assert (facts["payer.reports_1h"], facts["payer.reports_7d"]) == (100, 100)
    assert facts["payer.amount_yuan_24h"] == 50 * 1 + 50 * 100


@pytest.mark.parametrize(("fens", "median"), [([50_00], 50), ([1_00, 9_99], 5), ([1_00, 2_00, 900_00], 2)])
async def test_the_median_of_earlier_amounts_is_cut_to_yuan(pool: Pool, fens: list[int], median: int) -> None:
    await see(pool, *(a_filed_report(**CARD, amount_fen=fen, filed_at=ago(days=1)) for fen in fens))
    assert (await known(pool, a_filed_report(**CARD)))["payer.median_yuan_30d"] == median


@BY_EITHER
@pytest.mark.parametrize("level", [Level.CAUTION, Level.ALERT])
async def test_a_customer_suspected_at_another_branch_is_recognised_for_a_day(
    pool: Pool, same: dict[str, Any], level: Level
) -> None:
    report = a_filed_report(**same, branch=HERE)
    await see(pool, a_filed_report(**same, branch=ELSEWHERE, filed_at=ago(days=1)), level=level)
    assert (await known(pool, report))["payer.suspected_elsewhere_24h"] == 0
    await see(pool, a_filed_report(**same, branch=ELSEWHERE, filed_at=ago(days=1) + INSTANT), level=level)
    assert (await known(pool, report))["payer.suspected_elsewhere_24h"] == 1


@pytest.mark.parametrize(
    ("level", "changes"),
    [(Level.ALERT, {"branch": HERE}), (Level.CLEAR, {}), (Level.ALERT, {"payer_token": "another"})],
    ids=["same branch", "judged clear", "another customer"],
)
async def test_a_customer_is_not_taken_for_one_who_was_suspected_elsewhere(
    pool: Pool, level: Level, changes: dict[str, Any]
) -> None:
    await see(pool, a_filed_report(**{**CARD, "branch": ELSEWHERE, **changes}, filed_at=ago(minutes=9)), level=level)
    assert (await known(pool, a_filed_report(**CARD, branch=HERE)))["payer.suspected_elsewhere_24h"] == 0


@BY_EITHER
async def test_visits_given_up_count_for_thirty_days_and_those_elsewhere_for_one(
    pool: Pool, same: dict[str, Any]
) -> None:
    given_up = [
        a_filed_report(**same, branch=branch, filed_at=at)
        for branch, at in (
            (ELSEWHERE, ago(days=1) + INSTANT),
            (ELSEWHERE, ago(days=1)),
            (HERE, ago(hours=1)),
            (HERE, ago(days=30) + INSTANT),
            (HERE, ago(days=30)),
        )
    ]
    gone_ahead = a_filed_report(**same, branch=ELSEWHERE, filed_at=ago(hours=1))
    await see(pool, *given_up, gone_ahead)
    await dispose(
        pool,
        *(a_disposition(report) for report in given_up),
        a_disposition(gone_ahead, DispositionOutcome.PROCEEDED),
    )
    facts = await known(pool, a_filed_report(**same, branch=HERE))
    assert (facts["payer.cancelled_elsewhere_24h"], facts["payer.cancelled_30d"]) == (1, 4)


@pytest.mark.parametrize("outcome_first", [True, False])
async def test_reports_in_confirmed_cases_count_for_the_customer_whichever_is_heard_of_first(
    pool: Pool, *, outcome_first: bool
) -> None:
    victim = [a_filed_report(**CARD, payee_token="hot", filed_at=ago(days=2)) for _ in range(2)]
    honest = a_filed_report(**CARD, payee_token="cold", filed_at=ago(days=2))
    outcomes = [
        an_outcome("hot", report_ids=tuple(report.report_id for report in victim)),
        an_outcome("cold", Finding.UNFOUNDED, report_ids=(honest.report_id,)),
    ]
    if outcome_first:
        await find(pool, *outcomes)
    await see(pool, *victim, honest)
    if not outcome_first:
        await find(pool, *outcomes)
    assert (await known(pool, a_filed_report(**CARD)))["payer.confirmed_30d"] == 2


async def test_earlier_payments_to_the_same_payee_are_counted(pool: Pool) -> None:
    await see(
        pool,
        *(a_filed_report(**CARD, payee_token="aunt", filed_at=ago(days=days)) for days in (1, 29, 30)),
        a_filed_report(**CARD, filed_at=ago(days=1)),
        a_filed_report(payee_token="aunt", filed_at=ago(days=1)),
    )
    assert (await known(pool, a_filed_report(**CARD, payee_token="aunt")))["payer.to_payee_30d"] == 2


async def test_an_account_that_others_pay_is_noticed_for_a_day_when_it_pays(pool: Pool) -> None:
    report = a_filed_report(payer_token="mule")
    await see(
        pool,
        a_filed_report(payee_token="mule", filed_at=ago(days=1)),
        a_filed_report(payee_token="mule", filed_at=NOW + INSTANT),
    )
    assert await notable(pool, report, about="payer") == {}
    await see(
        pool,
        a_filed_report(payee_token="mule", payer_token="a", filed_at=ago(days=1) + INSTANT),
        a_filed_report(payee_token="mule", payer_token="a", filed_at=ago(hours=1)),
        a_filed_report(payee_token="mule", payer_token="b", filed_at=ago(minutes=1)),
    )
    assert await notable(pool, report, about="payer") == {"received_24h": 3, "received_from_24h": 2}
