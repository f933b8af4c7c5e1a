"""What is known of the customer, by account and by identity number: exact numbers."""

from datetime import timedelta
from typing import Any

import pytest

from services.rules.features import Payer
from shared.postgres import Pool
from tests.service.rules.builders import HINT, NOW, SCAM, a_filed_report, ago, judge, payer_of, rules_of

HERE, ELSEWHERE = "ICBC-SZ-LH-001", "ABC-SZ-LH-001"
INSTANT = timedelta(microseconds=1)


async def test_nothing_is_known_of_a_customer_never_reported(pool: Pool) -> None:
    await judge(pool, a_filed_report(SCAM, payer_person_token=None))
    assert await payer_of(pool, a_filed_report(payer_person_token=None)) == Payer()


async def test_counts_and_sums_by_account_and_by_person_are_exact(pool: Pool) -> None:
    card, person = {"payer_token": "card"}, {"payer_person_token": "person"}
    await judge(
        pool,
        a_filed_report(HINT, **card, branch=ELSEWHERE, amount_fen=1, filed_at=ago(minutes=10)),
        a_filed_report(SCAM, **person, branch=ELSEWHERE, amount_fen=20, filed_at=ago(minutes=50)),
        a_filed_report(SCAM, **card, **person, branch=ELSEWHERE, amount_fen=300, filed_at=ago(hours=5)),
        a_filed_report(SCAM, **person, branch=HERE, amount_fen=4000, filed_at=ago(hours=20)),
        a_filed_report(**card, branch=ELSEWHERE, amount_fen=50000, filed_at=ago(hours=23)),
        a_filed_report(SCAM, **person, branch=ELSEWHERE, amount_fen=600000, filed_at=ago(days=3)),
        a_filed_report(SCAM, **card, **person, branch=ELSEWHERE, amount_fen=7000000, filed_at=ago(days=8)),
        a_filed_report(SCAM, branch=ELSEWHERE, amount_fen=80000000),
    )
    assert await payer_of(pool, a_filed_report(**card, **person, branch=HERE)) == Payer(
        reports_1h=2, reports_1d=5, reports_7d=6, amount_1d_fen=54_321, suspected_elsewhere_1d=3
    )


async def test_an_organisation_without_a_person_is_known_by_its_account_only(pool: Pool) -> None:
    firm: dict[str, Any] = {"payer_person_token": None, "payer_age": None}
    await judge(pool, *(a_filed_report(payer_token=f"firm-{place}", **firm) for place in range(3)))
    assert (await payer_of(pool, a_filed_report(payer_token="firm-0", **firm, filed_at=NOW + INSTANT))).reports_7d == 1


@pytest.mark.parametrize(
    ("window", "name"),
    [
        (timedelta(hours=1), "reports_1h"),
        (timedelta(days=1), "reports_1d"),
        (timedelta(days=7), "reports_7d"),
        (timedelta(days=1), "suspected_elsewhere_1d"),
    ],
)
@pytest.mark.parametrize("known_by", ["payer_token", "payer_person_token"])
async def test_a_window_is_open_at_its_far_end(pool: Pool, window: timedelta, name: str, known_by: str) -> None:
    same: dict[str, Any] = {known_by: "same"}
    report = a_filed_report(**same)
    await judge(pool, a_filed_report(SCAM, **same, branch=ELSEWHERE, filed_at=NOW - window))
    assert getattr(await payer_of(pool, report), name) == 0
    await judge(pool, a_filed_report(SCAM, **same, branch=ELSEWHERE, filed_at=NOW - window + INSTANT))
    assert getattr(await payer_of(pool, report), name) == 1


async def test_reports_filed_later_are_not_looked_at(pool: Pool) -> None:
    await judge(pool, a_filed_report(SCAM, payer_token="c", branch=ELSEWHERE, filed_at=NOW + INSTANT))
    assert await payer_of(pool, a_filed_report(payer_token="c")) == Payer()


async def test_counts_stop_at_the_latest_hundred_by_account_and_person_together(pool: Pool) -> None:
    by_card = [a_filed_report(payer_token="c", amount_fen=1, filed_at=ago(seconds=2 * n + 1)) for n in range(80)]
    by_person = [
        a_filed_report(payer_person_token="p", amount_fen=100, filed_at=ago(seconds=2 * n + 2)) for n in range(80)
    ]
    await judge(pool, *by_card, *by_person)
    known = await payer_of(pool, a_filed_report(payer_token="c", payer_person_token="p"))
    assert (known.reports_1h, known.reports_7d) == (100, 100)
    assert known.amount_1d_fen == 50 * 1 + 50 * 100


@pytest.mark.parametrize("known_by", ["payer_token", "payer_person_token"])
@pytest.mark.parametrize("together", [True, False])
async def test_a_customer_who_tries_another_branch_is_recognised(pool: Pool, known_by: str, *, together: bool) -> None:
    same: dict[str, Any] = {known_by: "same"}
    first = a_filed_report(SCAM, **same, branch=ELSEWHERE, filed_at=ago(minutes=20))
    second = a_filed_report(**same, branch=HERE)
    if together:
        _, verdict = await judge(pool, first, second)
    else:
        await judge(pool, first)
        [verdict] = await judge(pool, second)
    assert "在其他网点被判为可疑 1 次" in rules_of(verdict)["payer-tries-again"]


@pytest.mark.parametrize(
    ("note", "changes"),
    [
        (SCAM, {"branch": HERE}),
        ("给女儿打生活费", {}),
        (SCAM, {"filed_at": ago(days=1)}),
        (SCAM, {"payer_token": "another"}),
    ],
    ids=["same branch", "judged clear", "a day ago", "another customer"],
)
@pytest.mark.parametrize("together", [True, False])
async def test_a_customer_is_not_taken_for_one_who_tries_again(
    pool: Pool, note: str, changes: dict[str, Any], *, together: bool
) -> None:
    earlier = {"payer_token": "same", "branch": ELSEWHERE, "filed_at": ago(minutes=20), **changes}
    first, second = a_filed_report(note, **earlier), a_filed_report(payer_token="same", branch=HERE)
    if together:
        _, verdict = await judge(pool, first, second)
    else:
        await judge(pool, first)
        [verdict] = await judge(pool, second)
    assert "payer-tries-again" not in rules_of(verdict)


async def test_the_third_report_of_a_customer_within_the_hour_looks_like_splitting(pool: Pool) -> None:
    batch = [a_filed_report(payer_token="same", filed_at=ago(minutes=minutes)) for minutes in (40, 20, 0)]
    verdicts = await judge(pool, *batch)
    assert ["splits-sum" in rules_of(verdict) for verdict in verdicts] == [False, False, True]
