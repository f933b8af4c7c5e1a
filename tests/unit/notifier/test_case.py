"""A case: placing alerts, acknowledging, closing."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from services.notifier.cases import case
from services.notifier.cases.case import Alerting, Placement
from services.notifier.clock.clock import Deadlines, Urgency
from shared.errors import Refusal
from shared.events import CaseStatus, Finding
from tests.parts import TOKENS
from tests.service.notifier.builders import a_verdict
from tests.unit.notifier.facts import NOON, OFFICER, a_case

LATER = NOON + timedelta(minutes=1)


def alerting(account: str = "1", amount_fen: int = 100, unit: str = "SZ-LH-CZ") -> Alerting:
    return Alerting(a_verdict(account, amount_fen=amount_fen), unit, {"name": "蒙**"}, uuid4())


def place(*alerts: Alerting, stored: tuple[case.Case, ...] = ()) -> Placement:
    return case.place(alerts, stored, Deadlines(), NOON)


def test_an_alert_on_an_account_without_a_case_opens_one() -> None:
    alert = alerting(amount_fen=700)
    placement = place(alert)
    [opened] = placement.opened.values()
    assert (opened.id, opened.version, opened.status, opened.amount_fen) == (alert.case_id, 1, CaseStatus.OPEN, 700)
    assert (opened.unit, opened.bank, opened.scam_type) == ("SZ-LH-CZ", "ICBC", "impersonated_authority")
    assert (opened.opened_at, opened.acknowledge_by) == (NOON, NOON + timedelta(seconds=60))
    assert placement.joined == {}
    assert [(placed.case_id, placed.opened) for placed in placement.reports] == [(opened.id, True)]
    [line] = placement.entries
    assert (line.kind, line.actor) == ("opened", "lanjie")
    assert line.text == "立案预警：ICBC-SZ-LH-001 报告，金额 7.00 元，评分 92"


def test_an_alert_on_an_account_with_a_case_joins_it_and_keeps_its_owner() -> None:
    stored = a_case(payee_token=TOKENS.of("account", "1"), version=4, amount_fen=1_000, status=CaseStatus.ACKNOWLEDGED)
    placement = place(alerting(amount_fen=50, unit="SZ-LH-DM"), stored=(stored,))
    assert placement.joined == {stored.id: replace(stored, version=5, amount_fen=1_050)}
    assert placement.opened == {}
    assert [(placed.case_id, placed.opened, placed.unit) for placed in placement.reports] == [
        (stored.id, False, "SZ-LH-DM")
    ]
    assert [entry.kind for entry in placement.entries] == ["joined"]


@pytest.mark.parametrize(
    ("urgency", "sooner"), [(Urgency.NORMAL, True), (Urgency.URGENT, False)], ids=["not urgent", "urgent already"]
)
def test_only_a_case_that_a_customer_at_the_counter_makes_urgent_has_less_time(urgency: Urgency, sooner: bool) -> None:  # noqa: FBT001 - a table
    by = NOON + timedelta(minutes=5)
    stored = a_case(payee_token=TOKENS.of("account", "1"), urgency=urgency, acknowledge_by=by)
    placement = place(alerting(), alerting(), stored=(stored,))
    [joined] = placement.joined.values()
    assert (joined.acknowledge_by < by, list(placement.hastened)) == (sooner, [joined] if sooner else [])


def test_alerts_of_one_batch_are_placed_in_order_each_account_apart() -> None:
    placement = place(alerting("1", 1), alerting("2", 2), alerting("1", 4), alerting("2", 8), alerting("1", 16))
    first, second = placement.opened.values()
    assert (first.amount_fen, first.version) == (21, 3)
    assert (second.amount_fen, second.version) == (10, 2)
    assert [placed.opened for placed in placement.reports] == [True, True, False, False, False]
    assert [entry.case_id for entry in placement.entries] == [first.id, second.id, first.id, second.id, first.id]


def test_a_case_nobody_joins_is_not_written_again() -> None:
    placement = place(alerting("1"), stored=(a_case(payee_token="another"),))
    assert placement.joined == {}
    assert len(placement.cases()) == 1


def test_no_alerts_place_nothing() -> None:
    placement = place()
    assert (placement.cases(), placement.reports, placement.entries) == ([], [], [])


def test_acknowledging_names_who_and_when() -> None:
    before = a_case(version=2)
    after = case.acknowledge(before, OFFICER, LATER)
    assert after == replace(
        before,
        version=3,
        status=CaseStatus.ACKNOWLEDGED,
        acknowledged_at=LATER,
        acknowledged_by=OFFICER,
        responsible=OFFICER,
    )


@pytest.mark.parametrize("status", [CaseStatus.ACKNOWLEDGED, CaseStatus.CLOSED])
def test_acknowledging_again_or_too_late_is_nothing(status: CaseStatus) -> None:
    assert case.acknowledge(a_case(status=status), OFFICER, LATER) is None


@pytest.mark.parametrize("status", [CaseStatus.OPEN, CaseStatus.ACKNOWLEDGED])
def test_closing_says_what_it_was(status: CaseStatus) -> None:
    before, outcome = a_case(status=status), uuid4()
    after = case.close(before, Finding.CONFIRMED, "fake_loan", "核实", outcome, LATER)
    assert after == replace(
        before,
        version=2,
        status=CaseStatus.CLOSED,
        closed_at=LATER,
        finding=Finding.CONFIRMED,
        scam_type="fake_loan",
        sealed_reason="核实",
        outcome_id=outcome,
    )


def test_closing_without_a_scam_type_keeps_the_one_there_is() -> None:
    after = case.close(a_case(scam_type="romance"), Finding.CONFIRMED, None, "核实", uuid4(), LATER)
    assert after is not None
    assert after.scam_type == "romance"


def test_closing_again_with_the_same_finding_is_nothing_and_with_another_is_refused() -> None:
    closed = a_case(status=CaseStatus.CLOSED, finding=Finding.UNFOUNDED)
    assert case.close(closed, Finding.UNFOUNDED, None, "x", uuid4(), LATER) is None
    with pytest.raises(Refusal) as refused:
        case.close(closed, Finding.CONFIRMED, None, "x", uuid4(), LATER)
    assert refused.value.status == 409


def test_how_a_case_stands_is_said_with_its_reports_in_a_fixed_order() -> None:
    ids = [UUID(int=number) for number in (3, 1, 2)]
    event = case.changed(a_case(version=7), ids)
    assert (event.version, event.report_ids) == (7, tuple(sorted(ids)))
