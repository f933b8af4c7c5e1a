"""Findings said, taken back and said otherwise, of several cases on one account, heard in any order and twice."""

import random
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from shared.events import Finding, OutcomeDecided, ReportFiled
from shared.outbox import new_id
from shared.postgres import Pool
from tests.service.rules.builders import NOW, YEAR, a_filed_report, an_outcome, find, see
from tests.service.rules.findings import standing

Members = dict[UUID, list[ReportFiled]]


def a_story(dice: random.Random, payee: str, members: Members) -> list[OutcomeDecided]:
    """What the police say one after the other: a case is closed, reopened, closed again."""
    said, stands, at = [], dict[UUID, OutcomeDecided](), NOW - timedelta(hours=5)
    for _ in range(dice.randint(2, 7)):
        at += timedelta(minutes=dice.randint(1, 20))
        case_id = dice.choice(list(members))
        before = stands.pop(case_id, None)
        if before is None:
            ids = tuple(report.report_id for report in members[case_id])
            outcome = an_outcome(
                payee,
                dice.choice(list(Finding)),
                case_id=case_id,
                report_ids=ids,
                decided_at=at,
                scam_type=dice.choice("ab"),
            )
            stands[case_id] = outcome
        else:
            changes = {"outcome_id": new_id(), "decided_at": at, "withdraws": before.outcome_id}
            outcome = before.model_copy(update=changes)
        said.append(outcome)
    return said


def standing_of(said: Sequence[OutcomeDecided]) -> list[OutcomeDecided]:
    """What stands, the last said last: it says what a case is, and nobody took it back."""
    withdrawn = {one.withdraws for one in said}
    return [one for one in said if one.withdraws is None and one.outcome_id not in withdrawn]


async def in_force(pool: Pool, case_id: UUID) -> list[tuple[object, ...]]:
    sql = "select scam_type, expires_at from list_entry where case_id = $1 and ended_at is null"
    return [tuple(row) for row in await pool.fetch(sql, case_id)]


async def labels(pool: Pool, report: ReportFiled) -> tuple[object, object]:
    """What a report was found to be, as kept with it and as features see it."""
    kept = await pool.fetchval("select finding from aftermath where report_id = $1", report.report_id)
    return kept, await pool.fetchval("select finding from sighting where report_id = $1", report.report_id)


async def expect(pool: Pool, payee: str, members: Members, said: Sequence[OutcomeDecided]) -> None:
    """Compare what is known with what the story says."""
    stands = standing_of(said)
    for case_id, reports in members.items():
        mine = [one for one in stands if one.case_id == case_id]
        finding = mine[-1].finding if mine else None
        assert [await labels(pool, report) for report in reports] == [(finding, finding)] * len(reports)
        watched = []
        if finding is Finding.CONFIRMED:
            later = stands[stands.index(mine[-1]) + 1 :]
            if all(one.finding is Finding.CONFIRMED for one in later):
                watched = [(mine[-1].scam_type, mine[-1].decided_at + YEAR)]
        assert await in_force(pool, case_id) == watched
    last = stands[-1].finding if stands else None
    assert (await standing(pool, payee))[:2] == (last is Finding.CONFIRMED, last is Finding.UNFOUNDED)


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_known_is_what_stands_in_whatever_order_it_was_heard(pool: Pool, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - a story that can be told again
    for story in range(20):
        payee = f"{seed}-{story}"
        reports = [a_filed_report(payee_token=payee) for _ in range(3)]
        await see(pool, *reports)
        members = {new_id(): reports[:2], new_id(): reports[2:]}
        said = a_story(dice, payee, members)
        heard = said + [one for one in said if dice.random() < 0.3]
        dice.shuffle(heard)
        while heard:
            together = dice.randint(1, 3)
            await find(pool, *heard[:together])
            heard = heard[together:]
        await expect(pool, payee, members, said)
