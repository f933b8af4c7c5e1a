"""What follows when a deadline has come: whom to tell, what, and when to look again."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.notifier.cases.case import Case
from services.notifier.clock.clock import Deadline, Deadlines, Due, Stage, Urgency
from services.notifier.clock.overdue import Follows, Rung, Situation, follows, overtaken
from services.notifier.orders.order import EndedWhy, Order, Standing
from shared.events import CaseStatus, OrderKind
from tests.unit.notifier.facts import NOON, a_case, an_order, executed

STATION = Rung("SZ-LH-CZ", "翠竹派出所", "/SZ/SZ-LH/SZ-LH-CZ/", 3, frozenset({"officer"}))
COUNTY = Rung("SZ-LH", "罗湖分局", "/SZ/SZ-LH/", 2, frozenset({"approver", "supervisor"}))
CITY = Rung("SZ", "深圳市公安局", "/SZ/", 1, frozenset({"officer", "auditor"}))
WAY = (STATION, COUNTY, CITY)
CASE = a_case(in_charge="SZ-LH-CZ")
AT_WORK = replace(CASE, status=CaseStatus.ACKNOWLEDGED)
MINUTE = timedelta(minutes=1)


def held(**changes: Any) -> Order:  # noqa: ANN401
    return executed(CASE, **{"status": Standing.EXECUTED, **changes})


def due(stage: Stage, step: int = 0, order: Order | None = None) -> Due:
    return Due(uuid4(), Deadline(CASE.id, stage, NOON, order.id if order else None, step), NOON)


def after(
    stage: Stage,
    case: Case = CASE,
    step: int = 0,
    *orders: Order,
    way: tuple[Rung, ...] = WAY,
    now: datetime = NOON,
    to_be_stopped: bool = True,
) -> Follows | None:
    at = Situation(case, way, orders, to_be_stopped)
    return follows(due(stage, step, orders[-1] if orders else None), at, Deadlines(), now)


def climbed(stage: Stage, case: Case, *orders: Order, way: tuple[Rung, ...] = WAY) -> list[tuple[str, float]]:
    """Who is told at each of the first five steps, and after how many minutes comes the next one."""
    told = []
    for step in range(5):
        found = after(stage, case, step, *orders, way=way)
        assert found is not None
        assert found.again is not None
        assert (found.again.stage, found.again.step) == (stage, step + 1)
        told.append((found.told.unit, (found.again.due_at - NOON) / MINUTE))
    return told


def test_an_alert_nobody_acknowledges_climbs_the_tree_and_is_repeated_at_the_top() -> None:
    assert climbed(Stage.ACKNOWLEDGE, CASE) == [("SZ-LH", 1), ("SZ", 2), ("SZ", 4), ("SZ", 8), ("SZ", 16)]


def test_at_the_top_of_the_tree_the_unit_itself_is_told_again() -> None:
    assert [unit for unit, _ in climbed(Stage.ACKNOWLEDGE, replace(CASE, in_charge="SZ"), way=(CITY,))] == ["SZ"] * 5


def test_the_first_unit_stays_in_charge_and_the_line_says_so() -> None:
    found = after(Stage.ACKNOWLEDGE)
    assert found is not None
    assert found.why == "逾期未签收，已升级预警：罗湖分局；在有人接手前仍由翠竹派出所负责"
    assert found.roles == ()


@pytest.mark.parametrize("status", [CaseStatus.ACKNOWLEDGED, CaseStatus.CLOSED])
def test_nothing_follows_once_a_case_is_taken_on(status: CaseStatus) -> None:
    assert after(Stage.ACKNOWLEDGE, replace(CASE, status=status)) is None


def test_a_missing_order_is_told_to_the_nearest_supervisor_and_one_further_up_then_repeated() -> None:
    city = replace(CITY, roles=frozenset({"supervisor"}))
    way = (STATION, COUNTY, city)
    told = climbed(Stage.ORDER, AT_WORK, way=way)
    assert told == [("SZ-LH", 5), ("SZ", 10), ("SZ", 20), ("SZ", 40), ("SZ", 60)]
    found = after(Stage.ORDER, AT_WORK)
    assert found is not None
    assert found.roles == ("supervisor",)
    assert found.why == "签收后逾期未下达紧急止付指令，已提醒罗湖分局主管"


def test_where_nobody_is_a_supervisor_the_top_of_the_tree_is_told_whoever_is_there() -> None:
    found = after(Stage.ORDER, AT_WORK, way=(STATION, CITY))
    assert found is not None
    assert (found.told, found.roles) == (CITY, ())


def test_no_order_is_missing_where_nothing_is_left_to_stop_or_nobody_is_at_work() -> None:
    assert after(Stage.ORDER, AT_WORK, to_be_stopped=False) is None
    assert after(Stage.ORDER, CASE) is None
    assert after(Stage.ORDER, replace(CASE, status=CaseStatus.CLOSED)) is None


def test_a_missing_approval_is_told_to_the_next_approvers_up_the_tree() -> None:
    proposal = an_order(CASE, status=Standing.PROPOSED, approval_level=6, kind=OrderKind.STOP)
    found = after(Stage.APPROVE, AT_WORK, 0, proposal)
    assert found is not None
    assert (found.told, found.roles) == (COUNTY, ("approver", "supervisor"))
    freeze = replace(proposal, approval_level=2, kind=OrderKind.FREEZE)
    again = after(Stage.APPROVE, AT_WORK, 0, freeze)
    assert again is not None
    assert again.told == COUNTY  # the city has no approver, so those who were asked are asked again
    assert again.about == freeze
    assert after(Stage.APPROVE, AT_WORK, 0, replace(freeze, status=Standing.PENDING)) is None


@pytest.mark.parametrize("stage", [Stage.FEEDBACK, Stage.RELEASE])
def test_a_bank_that_does_not_answer_is_asked_again_and_the_supervisor_is_told(stage: Stage) -> None:
    pending = an_order(CASE, status=Standing.PENDING, kind=OrderKind.RELEASE_STOP)
    found = after(stage, AT_WORK, 0, pending)
    assert found is not None
    assert found.ask_bank
    assert (found.told, found.about) == (COUNTY, pending)
    assert after(stage, AT_WORK, 0, replace(pending, status=Standing.EXECUTED)) is None


def test_a_release_that_the_bank_could_not_execute_is_still_due_while_the_account_is_held() -> None:
    failed = an_order(CASE, status=Standing.FAILED, kind=OrderKind.RELEASE_STOP)
    found = after(Stage.RELEASE, AT_WORK, 0, held(), failed)
    assert found is not None
    assert not found.ask_bank
    assert found.why == "CCB 逾期未解除止付，银行未能执行，账户仍被控制，须重新下达解除指令，已提醒罗湖分局主管"
    assert after(Stage.RELEASE, AT_WORK, 0, held(ended_at=NOON), failed) is None
    assert after(Stage.FEEDBACK, AT_WORK, 0, held(), failed) is None


def test_how_long_a_bank_has_goes_by_the_urgency_of_the_order() -> None:
    pending = an_order(CASE, status=Standing.PENDING, emergency_level=Urgency.NORMAL.value)
    found = after(Stage.FEEDBACK, AT_WORK, 0, pending)
    assert found is not None
    assert found.again is not None
    assert found.again.due_at - NOON == timedelta(hours=1)


def test_an_objection_that_is_not_answered_is_told_to_the_supervisor() -> None:
    found = after(Stage.OBJECTION, replace(CASE, status=CaseStatus.CLOSED))
    assert found is not None
    assert (found.kind, found.told) == ("objection_overdue", COUNTY)


def test_a_warning_says_until_when_the_hold_lasts_and_what_can_be_done() -> None:
    stop = held()
    found = after(Stage.WARNING, AT_WORK, 6, stop, now=NOON + timedelta(hours=42))
    assert found is not None
    assert (
        found.why
        == "CCB 的止付将于 11-24 20:00 到期，剩余约 6 小时：可延长止付一次，或在到期前冻结；不处理则到期自动解除"
    )
    assert (found.kind, found.told, found.again) == ("expiring", STATION, None)


def test_a_warning_that_comes_late_counts_what_is_left_in_minutes() -> None:
    found = after(Stage.WARNING, AT_WORK, 1, held(), now=NOON + timedelta(hours=47, minutes=40))
    assert found is not None
    assert "剩余约 20 分钟：" in found.why


def test_a_warning_offers_no_third_stop() -> None:
    first, second = held(ended_at=NOON), held(kind=OrderKind.EXTEND_STOP)
    found = after(Stage.WARNING, AT_WORK, 6, first, second, now=NOON + timedelta(hours=42))
    assert found is not None
    assert "不得再延长" in found.why


def test_a_freeze_is_to_be_renewed_before_it_runs_out() -> None:
    freeze = held(kind=OrderKind.FREEZE)
    found = after(Stage.WARNING, AT_WORK, 24, freeze, now=NOON + timedelta(hours=24))
    assert found is not None
    assert "续冻" in found.why


def test_no_warning_comes_once_the_hold_has_ended() -> None:
    assert after(Stage.WARNING, AT_WORK, 6, held(ended_at=NOON, ended_why=EndedWhy.RELEASED)) is None
    assert after(Stage.WARNING, AT_WORK, 1, held(), now=NOON + timedelta(hours=48)) is None


def test_of_warnings_that_come_together_only_the_last_one_is_told() -> None:
    stop, other = held(), held()
    warnings = [due(Stage.WARNING, hours, stop) for hours in (24, 6, 1)]
    alone = due(Stage.WARNING, 24, other)
    assert overtaken([*warnings, alone, due(Stage.EXPIRY, 0, stop)]) == {one.id for one in warnings[:2]}


@pytest.mark.parametrize("status", list(CaseStatus))
def test_a_hold_ends_at_the_very_moment_it_runs_out_whatever_the_state_of_the_case(status: CaseStatus) -> None:
    stop = held()
    assert stop.expires_at is not None
    found = after(Stage.EXPIRY, replace(CASE, status=status), 0, stop, now=stop.expires_at + MINUTE)
    assert found is not None
    assert found.ended is not None
    assert (found.ended.ended_at, found.ended.ended_why) == (stop.expires_at, EndedWhy.EXPIRED)
    assert after(Stage.EXPIRY, CASE, 0, found.ended) is None
