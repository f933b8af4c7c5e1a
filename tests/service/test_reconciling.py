"""The reconciler: what one service lacks, another one's keeper repeats; what cannot be mended stays told."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from services.intake import handlers as intake_handlers
from services.intake.disposition import Disposition
from shared.events import DispositionOutcome, ReportFiled
from shared.tally import GIVE_UP_AFTER, first_id
from tests.parts import DatabaseServer
from tests.service.notifier.builders import a_report_filed
from tests.service.town import Town, a_town, ids, reports_of


@pytest.fixture
async def town(server: DatabaseServer) -> AsyncIterator[Town]:
    async with a_town(server) as opened:
        yield opened


async def ended(town: Town, report: ReportFiled) -> None:
    """Have a visit broken off, the money kept."""
    disposition = Disposition(outcome=DispositionOutcome.CANCELLED, amount_fen=report.amount_fen)
    _, _, rows = await intake_handlers.record_disposition(
        town.pools["intake"], "ICBC", report.report_id, disposition, datetime.now(UTC)
    )
    await town.carry(rows)


async def forget_judging(town: Town, *reports: ReportFiled) -> None:
    for table in ("verdict", "sighting"):
        await town.pools["rules"].execute(f"delete from {table} where report_id = any($1::uuid[])", ids(reports))


async def test_where_nothing_is_missing_nothing_is_repeated(town: Town) -> None:
    reports = reports_of(5)
    await town.file(*reports)
    await ended(town, reports[0])
    town.carried.clear()
    await town.round()
    assert town.gaps() == {}
    assert town.carried == []
    assert await town.owed() == 0


async def test_a_verdict_that_rules_lost_is_reached_again(town: Town) -> None:
    reports = reports_of(3)
    await town.file(*reports)
    await forget_judging(town, reports[1])
    town.carried.clear()
    await town.round()
    assert town.carried.count("lanjie.report.filed.v1") == 3, "the window's reports"
    assert await town.pools["rules"].fetchval("select count(*) from verdict where version = 1") == 3
    assert await town.pools["notifier"].fetchval("select count(*) from ledger where kind = 'reported'") == 3
    await town.round()
    assert town.gaps() == {}
    assert await town.owed() == 0


async def test_a_gap_shows_in_the_metric_until_it_is_mended(town: Town) -> None:
    reports = reports_of(4)
    await town.file(*reports)
    await forget_judging(town, *reports[:2])
    carry, town.handles = town.handles, {}
    await town.round()
    assert town.gaps() == {"intake_rules reports": 2}
    town.handles = carry
    await town.carry(await town.promised("intake"))
    await town.round()
    assert town.gaps() == {}


async def test_a_disposition_that_rules_lost_is_known_again(town: Town) -> None:
    [report] = reports_of(1)
    await town.file(report)
    await ended(town, report)
    await town.pools["rules"].execute("delete from aftermath")
    await town.round()
    assert await town.pools["rules"].fetchval("select disposition from aftermath") == "cancelled"
    await town.round()
    assert town.gaps() == {}
    assert await town.owed() == 0


async def test_a_disposition_that_notifier_never_heard_of_is_counted(town: Town) -> None:
    [report] = reports_of(1)
    await town.file(report)
    handle = town.handles.pop("notifier")
    await ended(town, report)
    await town.pools["intake"].execute("delete from outbox")
    town.handles["notifier"] = handle
    await town.round()
    assert await town.pools["notifier"].fetchval("select sum(fen) from ledger where kind = 'averted'") == 1000
    await town.round()
    assert town.gaps() == {}


async def test_a_case_that_intake_lost_is_announced_again(town: Town) -> None:
    await town.file(*reports_of(2))
    for table in ("case_view", "case_report"):
        await town.pools["intake"].execute(f"delete from {table}")
    await town.round()
    [case] = await town.pools["notifier"].fetch("select id, version from fraud_case")
    shown = await town.pools["intake"].fetch("select case_id as id, version from case_view")
    assert [dict(row) for row in shown] == [dict(case)]
    assert await town.pools["intake"].fetchval("select count(*) from case_report") == 2
    await town.round()
    assert town.gaps() == {}
    assert await town.owed() == 0


async def test_a_verdict_that_intake_lost_is_asked_for(town: Town) -> None:
    await town.file(*reports_of(2))
    await town.pools["intake"].execute("delete from verdict")
    await town.round()
    assert await town.pools["intake"].fetchval("select count(*) from verdict") == 2
    await town.round()
    assert town.gaps() == {}
    assert await town.owed() == 0


async def test_reports_of_which_notifier_knows_too_much_stay_in_the_metric_and_are_given_up(town: Town) -> None:
    reports = reports_of(3)
    await town.file(*reports)
    await town.pools["intake"].execute("delete from report where id = $1", reports[0].report_id)
    town.carried.clear()
    for _ in range(GIVE_UP_AFTER):
        await town.round()
    assert town.gaps() == {"intake_rules reports": 1, "intake_notifier reports": 1}
    assert town.carried.count("lanjie.report.filed.v1") == 2 * 2 * GIVE_UP_AFTER
    town.carried.clear()
    await town.round()
    assert town.gaps() == {"intake_rules reports": 1, "intake_notifier reports": 1}
    assert town.carried == [], "repeating does not help"


async def test_what_waits_for_its_answer_is_not_given_up_and_keeps_nothing_else_from_being_repeated(
    server: DatabaseServer,
) -> None:
    [later] = reports_of(1)
    now = datetime.now(UTC)
    earlier = a_report_filed("6217000000000002027", "ICBC-SZ-LH-001", 1, now, first_id(now - timedelta(minutes=1)))
    async with a_town(server, most=1) as town:
        await town.file(earlier, later)
        await forget_judging(town, earlier)
        town.handles = {}
        await town.round()
        await forget_judging(town, later)
        with capture_logs() as logs:
            await town.round()
            assert {row.id for row in await town.promised("intake")} == {earlier.report_id, later.report_id}
            for _ in range(2 * GIVE_UP_AFTER):
                await town.round()
        assert [one["event"] for one in logs if one["event"] == "gaps_stay"] == []
        assert town.gaps() == {"intake_rules reports": 2}


async def test_money_that_differs_is_a_gap_though_every_report_is_known(town: Town) -> None:
    [report] = reports_of(1)
    await town.file(report)
    await town.pools["intake"].execute("update report set amount_fen = 999")
    await town.round()
    assert town.gaps() == {"intake_notifier reports": 1}


async def test_an_alert_level_report_in_no_case_is_a_gap(town: Town) -> None:
    await town.file(*reports_of(2))
    await town.pools["notifier"].execute("update report set case_id = null")
    await town.round()
    assert town.gaps() == {"notifier_notifier alerts": 2}
