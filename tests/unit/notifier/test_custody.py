"""In whose hands a case is: taken over, transferred, split, reopened."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from services.notifier.cases import custody
from services.notifier.cases.case import Case
from services.notifier.cases.custody import Part
from services.notifier.orders.law import Rule
from shared.errors import Refusal
from shared.events import CaseStatus, Finding
from tests.unit.notifier.facts import NOON, OFFICER, a_case

LATER = NOON + timedelta(minutes=1)
OTHER = UUID("01999999-0000-7000-8000-00000000000e")
PARTS = [Part(uuid4(), "ICBC", "SZ-LH-CZ", 100), Part(uuid4(), "CCB", "SZ-LH-DM", 20), Part(uuid4(), "CMB", "SZ-FT", 3)]


def a_family_of(parts: list[Part] = PARTS, **changes: object) -> Case:
    return a_case(amount_fen=sum(part.amount_fen for part in parts), in_charge="SZ-LH-CZ", **changes)


def divided(before: Case, *places: int) -> tuple[Case, Case]:
    taken = [PARTS[place].report_id for place in places]
    return custody.split(before, PARTS, taken, OFFICER, uuid4(), LATER)


def test_taking_an_open_case_over_acknowledges_it() -> None:
    after = custody.taken_over(a_case(responsible=OTHER), OFFICER, LATER)
    assert after is not None
    assert (after.status, after.responsible, after.acknowledged_by) == (CaseStatus.ACKNOWLEDGED, OFFICER, OFFICER)


def test_taking_an_acknowledged_case_over_changes_the_officer_and_leaves_who_acknowledged() -> None:
    before = a_case(status=CaseStatus.ACKNOWLEDGED, responsible=OTHER, acknowledged_by=OTHER, acknowledged_at=NOON)
    assert custody.taken_over(before, OFFICER, LATER) == replace(before, version=2, responsible=OFFICER)


def test_taking_over_twice_is_once() -> None:
    assert custody.taken_over(a_case(status=CaseStatus.ACKNOWLEDGED, responsible=OFFICER), OFFICER, LATER) is None


def test_a_transferred_case_waits_for_the_new_unit_and_keeps_its_officer_until_then() -> None:
    before = a_case(status=CaseStatus.ACKNOWLEDGED, responsible=OTHER, acknowledged_by=OTHER, acknowledged_at=NOON)
    after = custody.transferred(before, "SZ-FT", LATER + timedelta(seconds=60), LATER)
    assert (after.status, after.in_charge, after.responsible) == (CaseStatus.OPEN, "SZ-FT", OTHER)
    assert (after.acknowledged_at, after.acknowledged_by) == (None, None)
    assert (after.alerted_at, after.acknowledge_by) == (LATER, LATER + timedelta(seconds=60))
    assert (after.unit, after.opened_at) == (before.unit, NOON), "the ledger's labels stay"


def test_a_unit_cannot_be_given_what_it_has() -> None:
    with pytest.raises(Refusal) as refused:
        custody.transferred(a_case(in_charge="SZ-FT"), "SZ-FT", LATER, LATER)
    assert (refused.value.status, [error.field for error in refused.value.errors]) == (422, ["unit"])


def test_splitting_divides_reports_and_money_and_nothing_else() -> None:
    before = a_family_of(version=4)
    left, new = divided(before, 1, 2)
    assert left == replace(before, version=5, amount_fen=100)
    assert (new.version, new.amount_fen, new.status) == (1, 23, CaseStatus.ACKNOWLEDGED)
    assert (new.unit, new.bank) == ("SZ-LH-DM", "CCB"), "its oldest report's"
    assert (new.payee_token, new.in_charge, new.scam_type) == (before.payee_token, "SZ-LH-CZ", before.scam_type)
    assert (new.responsible, new.opened_at, new.split_from) == (OFFICER, LATER, before.id)


def test_what_is_split_off_a_split_case_names_the_head_of_the_family() -> None:
    head = uuid4()
    _, new = divided(a_family_of(split_from=head), 0)
    assert new.split_from == head
    assert new.family == head


@pytest.mark.parametrize(("taken", "why"), [([0, 1, 2], "one has to stay"), ([0, None], "not in this case")])
def test_reports_of_another_case_or_all_of_them_cannot_be_split_off(taken: list[int | None], why: str) -> None:
    ids = [uuid4() if place is None else PARTS[place].report_id for place in taken]
    with pytest.raises(Refusal) as refused:
        custody.split(a_family_of(), PARTS, ids, OFFICER, uuid4(), LATER)
    [error] = refused.value.errors
    assert (error.field, why in error.message) == ("report_ids", True)


def test_a_reopened_case_has_no_finding_and_the_officer_who_reopened_it() -> None:
    before = a_case(
        status=CaseStatus.CLOSED, finding=Finding.UNFOUNDED, closed_at=NOON, sealed_reason="x", outcome_id=uuid4()
    )
    after = custody.reopened(before, OFFICER, LATER)
    assert after is not None
    assert (after.status, after.responsible, after.acknowledged_at) == (CaseStatus.ACKNOWLEDGED, OFFICER, LATER)
    assert (after.finding, after.closed_at, after.sealed_reason, after.outcome_id) == (None, None, None, None)


def test_reopening_what_is_not_closed_is_nothing() -> None:
    assert custody.reopened(a_case(), OFFICER, LATER) is None


@pytest.mark.parametrize(
    "step",
    [
        lambda closed: custody.taken_over(closed, OFFICER, LATER),
        lambda closed: custody.transferred(closed, "SZ-FT", LATER, LATER),
        lambda closed: divided(closed, 0),
    ],
    ids=["take over", "transfer", "split"],
)
def test_a_closed_case_changes_no_hands(step: Callable[[Case], object]) -> None:
    with pytest.raises(Refusal) as refused:
        step(a_family_of(status=CaseStatus.CLOSED))
    assert (refused.value.status, refused.value.extensions) == (409, {"rule": Rule.CLOSED.value})
