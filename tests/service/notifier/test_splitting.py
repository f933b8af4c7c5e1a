"""Reports that turn out to be another matter: taken out into a case of their own."""

import asyncio
from uuid import UUID

import pytest

from shared.events import CaseChanged, VerdictReached
from tests.parts import Door, officer_of
from tests.service.notifier.builders import (
    Gained,
    a_disposition,
    a_verdict,
    an_account,
    count,
    judged_again,
    money,
    take,
    until,
)
from tests.service.notifier.police import (
    CITY,
    CUIZHU,
    DONGMEN,
    FUTIAN,
    LUOHU,
    a_case,
    case_of,
    clocks,
    close,
    does,
    done,
    inbox,
    timeline,
)

HUANGBEI = officer_of("SZ-LH-HB")

pytestmark = pytest.mark.asyncio(loop_scope="module")


def two_reports(account: str | None = None) -> list[VerdictReached]:
    """A report at 翠竹 and one at 东门 on the same account."""
    account = account or an_account()
    return [a_verdict(account, amount_fen=1_000), a_verdict(account, branch="ICBC-SZ-LH-002", amount_fen=200)]


def ids(*verdicts: VerdictReached) -> list[str]:
    return [str(verdict.report.report_id) for verdict in verdicts]


async def test_the_reports_split_off_are_a_case_of_their_own(shared_notifier: Door) -> None:
    verdicts = two_reports()
    case_id = await a_case(shared_notifier, *verdicts)
    new = await done(shared_notifier, case_id, "split", LUOHU, report_ids=ids(verdicts[1]), reason="两起案件")
    left = await case_of(shared_notifier, case_id)
    assert [report["id"] for report in left["reports"]] == ids(verdicts[0])
    assert [report["id"] for report in new["reports"]] == ids(verdicts[1])
    assert (left["amount_fen"], left["status"], left["version"]) == (1_000, "open", 3)
    assert (new["amount_fen"], new["status"], new["version"]) == (200, "acknowledged", 1)
    assert (new["responsible"], new["unit"], new["in_charge"]) == ("秦若楠", "SZ-LH-DM", "SZ-LH-CZ")
    assert (new["split_from"], left["splits"]) == (case_id, [new["id"]])
    assert (timeline(left), timeline(new)) == (["opened", "joined", "split"], ["opened"])
    assert left["timeline"][-1]["text"] == f"拆分：1 份报告另立案件 {new['id']}，理由：两起案件"
    assert await clocks(shared_notifier, new["id"]) == ["order"]


async def test_both_cases_say_how_they_stand_and_the_new_one_at_each_change_which_reports_it_has(
    shared_notifier: Door,
) -> None:
    verdicts = two_reports()
    case_id = await a_case(shared_notifier, *verdicts)
    new = await done(shared_notifier, case_id, "split", report_ids=ids(verdicts[1]), reason="x")
    assert await last_said(shared_notifier, case_id) == (3, ())
    assert await last_said(shared_notifier, new["id"]) == (1, (verdicts[1].report.report_id,))
    await done(shared_notifier, new["id"], "transfer", unit="SZ-FT", reason="x")
    assert await last_said(shared_notifier, new["id"]) == (2, (verdicts[1].report.report_id,))


async def last_said(door: Door, case_id: str) -> tuple[int, tuple[UUID, ...]]:
    """Return the version and the reports that a case's last event in the outbox names."""
    rows = await door.rows("select payload from outbox where key = $1 order by id", case_id)
    event = CaseChanged.model_validate_json(rows[-1]["payload"])
    return event.version, event.report_ids


async def test_whose_reports_they_are_and_who_works_on_them_sees_the_new_case(shared_notifier: Door) -> None:
    verdicts = two_reports()
    case_id = await a_case(shared_notifier, *verdicts)
    for unit in ("SZ-FT", "SZ-LH-HB"):
        await done(shared_notifier, case_id, "transfer", unit=unit, reason="x")
    new = await done(shared_notifier, case_id, "split", LUOHU, report_ids=ids(verdicts[1]), reason="x")
    # 黄贝 is in charge now, 福田 was given the whole case before, 翠竹 has no report in the new one
    for who, sees in ((DONGMEN, True), (HUANGBEI, True), (FUTIAN, True), (LUOHU, True), (CUIZHU, False)):
        assert (new["id"] in [line["id"] for line in await inbox(shared_notifier, who)]) is sees
        assert case_id in [line["id"] for line in await inbox(shared_notifier, who)], "nobody loses sight"


async def test_a_further_alert_joins_the_head_of_the_family(shared_notifier: Door) -> None:
    account = an_account()
    verdicts = [*two_reports(account), a_verdict(account)]
    case_id = await a_case(shared_notifier, *verdicts)
    one = await done(shared_notifier, case_id, "split", LUOHU, report_ids=ids(*verdicts[1:]), reason="x")
    two = await done(shared_notifier, one["id"], "split", LUOHU, report_ids=ids(verdicts[2]), reason="x")
    assert two["split_from"] == case_id
    taken = await take(shared_notifier.pool, a_verdict(account))
    assert [str(placed.case_id) for placed in taken.placed] == [case_id]
    assert (await case_of(shared_notifier, case_id))["splits"] == [one["id"], two["id"]]


async def test_a_visit_that_ends_after_the_split_is_told_in_the_new_case(shared_notifier: Door, gained: Gained) -> None:
    verdicts = two_reports()
    case_id = await a_case(shared_notifier, *verdicts)
    new = await done(shared_notifier, case_id, "split", LUOHU, report_ids=ids(verdicts[1]), reason="x")
    await count(shared_notifier.pool, a_disposition(verdicts[1]))
    assert timeline(await case_of(shared_notifier, new["id"])) == ["opened", "disposition"]
    assert (await gained())["averted"] == 200


async def test_splitting_moves_no_money(shared_notifier: Door) -> None:
    verdicts = two_reports()
    case_id = await a_case(shared_notifier, *verdicts)
    await count(shared_notifier.pool, a_disposition(verdicts[1]))
    before = await money(shared_notifier.pool)
    await done(shared_notifier, case_id, "split", LUOHU, report_ids=ids(verdicts[1]), reason="x")
    assert await money(shared_notifier.pool) == before


async def test_one_report_at_least_stays(shared_notifier: Door) -> None:
    verdicts = two_reports()
    case_id = await a_case(shared_notifier, *verdicts)
    answer = await does(shared_notifier, case_id, "split", LUOHU, report_ids=ids(*verdicts), reason="x")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "report_ids")
    assert len((await case_of(shared_notifier, case_id))["reports"]) == 2


async def test_the_reports_of_another_case_stay_where_they_are(shared_notifier: Door) -> None:
    mine, others = two_reports(), two_reports()
    case_id, other_id = await a_case(shared_notifier, *mine), await a_case(shared_notifier, *others)
    answer = await does(shared_notifier, case_id, "split", LUOHU, report_ids=ids(mine[0], others[0]), reason="x")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "report_ids")
    assert len((await case_of(shared_notifier, other_id))["reports"]) == 2


async def test_the_same_split_twice_is_refused_the_second_time(shared_notifier: Door) -> None:
    verdicts = two_reports()
    case_id = await a_case(shared_notifier, *verdicts)
    answers = await asyncio.gather(
        *(does(shared_notifier, case_id, "split", LUOHU, report_ids=ids(verdicts[1]), reason="x") for _ in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 422, 422, 422]
    assert len((await case_of(shared_notifier, case_id))["splits"]) == 1


async def test_a_report_judged_again_while_it_is_split_off_blocks_nobody(shared_notifier: Door) -> None:
    verdicts = two_reports()
    case_id = await a_case(shared_notifier, *verdicts)
    pool = shared_notifier.pool
    async with pool.acquire() as connection, connection.transaction():
        # another replica has the report, as it does when it judges it again, and wants the case next
        await connection.execute("select from report where id = $1 for update", verdicts[1].report.report_id)
        splitting = asyncio.create_task(
            does(shared_notifier, case_id, "split", LUOHU, report_ids=ids(verdicts[1]), reason="x")
        )
        waiting = (
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )

        async def waits() -> bool:
            return bool(await pool.fetchval(waiting))

        await until(waits)
        await connection.execute("select from fraud_case where id = $1 for update", UUID(case_id))
    assert (await splitting).status_code == 201
    await take(pool, judged_again(verdicts[1]))
    assert timeline(await case_of(shared_notifier, (await splitting).json()["id"])) == ["opened", "judged_again"]


async def test_a_split_case_is_closed_by_itself(shared_notifier: Door) -> None:
    verdicts = two_reports()
    case_id = await a_case(shared_notifier, *verdicts)
    new = await done(shared_notifier, case_id, "split", LUOHU, report_ids=ids(verdicts[1]), reason="x")
    assert (await close(shared_notifier, new["id"], "unfounded", LUOHU)).json()["finding"] == "unfounded"
    assert (await case_of(shared_notifier, case_id, CITY))["status"] == "open"
