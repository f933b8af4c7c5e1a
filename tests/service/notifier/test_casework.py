"""Work on a case as a whole: who has it, what belongs to it, what is written down about it."""

from uuid import UUID

import pytest

from shared.events import CaseChanged
from tests.parts import Door
from tests.service.notifier.builders import PAYEE_NAME, a_success, a_verdict, an_account, hear
from tests.service.notifier.police import (
    CITY,
    CUIZHU,
    DONGMEN,
    FUTIAN,
    LUOHU,
    a_case,
    acknowledge,
    case_of,
    clocks,
    close,
    does,
    done,
    inbox,
    new_case,
    ordered,
    said_of,
    timeline,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
SHA256 = "9f" * 32
FILE = {"reference": "evidence/2026/11/22/cctv-0042.mp4", "title": "网点监控", "sha256": SHA256}


async def test_taking_an_open_case_over_acknowledges_it_and_ends_its_clock(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    case = await done(shared_notifier, case_id, "take-over", LUOHU, reason="值班民警外出")
    assert (case["status"], case["acknowledged_by"], case["responsible"]) == ("acknowledged", "秦若楠", "秦若楠")
    assert timeline(case) == ["opened", "acknowledged", "taken_over"]
    assert case["timeline"][-1]["text"] == "接手本案，理由：值班民警外出"
    assert case["in_charge"] == "SZ-LH-CZ", "the unit stays at work on it"
    assert await clocks(shared_notifier, case_id) == ["order"]
    assert await said_of(shared_notifier, case_id) == [CaseChanged.type]


async def test_a_second_officer_takes_an_acknowledged_case_over_once(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    await acknowledge(shared_notifier, case_id)
    case = await done(shared_notifier, case_id, "take-over", LUOHU)
    assert (case["responsible"], case["acknowledged_by"], case["version"]) == ("秦若楠", "陆峥", 3)
    assert await done(shared_notifier, case_id, "take-over", LUOHU) == case


async def test_no_order_is_due_in_a_case_that_holds_the_money_already(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    await hear(shared_notifier.pool, a_success(await ordered(shared_notifier, case_id)))
    await done(shared_notifier, case_id, "transfer", unit="SZ-FT", reason="x")
    assert (await acknowledge(shared_notifier, case_id, FUTIAN)).status_code == 200
    assert "order" not in await clocks(shared_notifier, case_id)


async def test_a_transferred_case_alerts_the_new_unit_and_waits_for_it(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    await acknowledge(shared_notifier, case_id)
    case = await done(shared_notifier, case_id, "transfer", unit="SZ-FT-HQB", reason="事主在福田报案")
    assert (case["status"], case["unit"], case["in_charge"]) == ("open", "SZ-LH-CZ", "SZ-FT-HQB")
    assert (case["responsible"], case["acknowledged_at"]) == ("陆峥", None), "until somebody takes it on"
    assert case["timeline"][-1]["text"] == "移交：由 SZ-LH-CZ 移交 SZ-FT-HQB，理由：事主在福田报案"
    [deadline] = case["deadlines"]
    assert (deadline["stage"], deadline["due_at"]) == ("acknowledge", case["acknowledge_by"])
    sql = "select unit, path, facts ->> 'kind' as kind, report_id from alert where case_id = $1 order by position"
    [_, told] = await shared_notifier.rows(sql, UUID(case_id))
    assert told == {"unit": "SZ-FT-HQB", "path": "/SZ/SZ-FT/SZ-FT-HQB/", "kind": "transferred", "report_id": None}
    rows = await shared_notifier.rows("select payload from outbox where key = $1 order by id", case_id)
    assert CaseChanged.model_validate_json(rows[-1]["payload"]).unit == "SZ-FT-HQB"


async def test_old_and_new_units_see_a_transferred_case_and_the_new_one_all_its_people(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    assert (await does(shared_notifier, case_id, "unmask", FUTIAN, reason="核实")).status_code == 404
    await done(shared_notifier, case_id, "transfer", unit="SZ-FT-HQB", reason="x")
    for who in (CUIZHU, FUTIAN, CITY):
        assert case_id in [line["id"] for line in await inbox(shared_notifier, who)]
    answer = await does(shared_notifier, case_id, "unmask", FUTIAN, reason="核实")
    assert [report["payee"]["name"] for report in answer.json()["reports"]] == [PAYEE_NAME]


async def test_a_unit_that_has_a_report_in_a_case_sees_all_its_people_once_the_case_is_its_own(
    shared_notifier: Door,
) -> None:
    account = an_account()
    case_id = await a_case(shared_notifier, a_verdict(account), a_verdict(account, branch="ICBC-SZ-LH-002"))
    for people in (1, 2):
        answer = await does(shared_notifier, case_id, "unmask", DONGMEN, reason="核实")
        assert len(answer.json()["reports"]) == people
        if people == 1:
            await done(shared_notifier, case_id, "transfer", unit="SZ-LH-DM", reason="x")


async def test_the_time_to_acknowledge_a_transferred_case_runs_from_the_transfer(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    await shared_notifier.pool.execute(
        "update fraud_case set opened_at = opened_at - interval '1 hour' where id = $1", UUID(case_id)
    )
    await done(shared_notifier, case_id, "transfer", unit="SZ-FT", reason="x")
    case = (await acknowledge(shared_notifier, case_id, FUTIAN)).json()
    assert (case["responsible"], case["acknowledged_at"] < case["acknowledge_by"]) == ("贺临江", True)
    assert case["timeline"][-1]["text"].startswith("已签收，用时 0.")


async def test_two_linked_cases_show_each_other_and_twice_is_once(shared_notifier: Door) -> None:
    one, other = await new_case(shared_notifier), await new_case(shared_notifier)
    first = await done(shared_notifier, one, "link", case_id=other, reason="同一话术")
    again = await done(shared_notifier, other, "link", case_id=one, reason="again")
    assert [(link["case_id"], link["reason"], link["by"]) for link in first["links"]] == [(other, "同一话术", "陆峥")]
    assert [(link["case_id"], link["reason"]) for link in again["links"]] == [(one, "同一话术")]
    assert timeline(first) == timeline(again) == ["opened", "linked"]
    assert first["version"] == 1, "linking changes no state"


async def test_a_case_that_the_officer_does_not_see_cannot_be_linked(shared_notifier: Door) -> None:
    mine = await new_case(shared_notifier)
    foreign = await a_case(shared_notifier, a_verdict(an_account(), branch="ICBC-SZ-LH-002"))
    for who, one, other in ((CUIZHU, mine, foreign), (DONGMEN, mine, foreign), (CUIZHU, mine, str(UUID(int=7)))):
        assert (await does(shared_notifier, one, "link", who, case_id=other, reason="x")).status_code == 404
    assert (await case_of(shared_notifier, mine))["links"] == []


async def test_a_note_is_sealed_at_rest_and_shown_to_the_officers_of_the_case(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    case = await done(shared_notifier, case_id, "notes", text=" 已电话联系梁惠珍 ")
    [note] = case["notes"]
    assert (note["text"], note["by"]) == ("已电话联系梁惠珍", "陆峥")
    assert timeline(case) == ["opened", "noted"]
    kept = await shared_notifier.rows(
        "select n.sealed, t.text from note n join timeline t using (case_id) where case_id = $1", UUID(case_id)
    )
    assert "梁惠珍" not in str(kept)


async def test_an_attachment_is_kept_by_reference_and_twice_is_once(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    first = await done(shared_notifier, case_id, "attachments", **FILE)
    assert [{name: kept[name] for name in FILE} for kept in first["attachments"]] == [FILE]
    assert first["timeline"][-1]["text"] == "登记材料：网点监控"
    assert await done(shared_notifier, case_id, "attachments", **FILE) == first


async def test_a_closed_case_takes_notes_attachments_and_links_and_changes_no_hands(shared_notifier: Door) -> None:
    case_id, other = await new_case(shared_notifier), await new_case(shared_notifier)
    report_id = (await close(shared_notifier, case_id)).json()["reports"][0]["id"]
    await done(shared_notifier, case_id, "notes", text="回访")
    await done(shared_notifier, case_id, "attachments", reference="https://files.example/1", title="笔录")
    await done(shared_notifier, case_id, "link", case_id=other, reason="同一收款人")
    before = await case_of(shared_notifier, case_id)
    for step, body in (
        ("take-over", {}),
        ("transfer", {"unit": "SZ-FT", "reason": "x"}),
        ("split", {"report_ids": [report_id], "reason": "x"}),
    ):
        answer = await does(shared_notifier, case_id, step, **body)
        assert (answer.status_code, answer.json()["rule"]) == (409, "case-is-closed")
    assert await case_of(shared_notifier, case_id) == before


LONG = "长" * 2001
BAD = [
    ("take-over", {"reason": ""}, "reason"),
    ("take-over", {"reason": "a\0b"}, "reason"),
    ("transfer", {"reason": "x"}, "unit"),
    ("transfer", {"unit": "SZ-NOWHERE", "reason": "x"}, "unit"),
    ("transfer", {"unit": "SZ-LH-CZ", "reason": "x"}, "unit"),
    ("transfer", {"unit": "a\0b", "reason": "x"}, "unit"),
    ("transfer", {"unit": "SZ-FT", "reason": LONG}, "reason"),
    ("link", {"case_id": "7", "reason": "x"}, "case_id"),
    ("split", {"report_ids": [], "reason": "x"}, "report_ids"),
    ("split", {"report_ids": [str(UUID(int=7))], "reason": "x"}, "report_ids"),
    ("notes", {"text": "  "}, "text"),
    ("notes", {"text": LONG}, "text"),
    ("notes", {"text": "a\0b"}, "text"),
    ("attachments", {**FILE, "reference": "javascript:alert(1) "}, "reference"),
    ("attachments", {**FILE, "reference": "../../etc/passwd"}, "reference"),
    ("attachments", {**FILE, "reference": "https://x/\n"}, "reference"),
    ("attachments", {**FILE, "title": "a\0b"}, "title"),
    ("attachments", {**FILE, "sha256": "9F" * 32}, "sha256"),
    ("reopen", {"reason": " "}, "reason"),
    ("objections", {"by": "", "text": "x"}, "by"),
    ("objections", {"by": "持卡人", "text": LONG}, "text"),
    ("notes", {"text": "x", "more": 1}, "more"),
]


@pytest.mark.parametrize(("step", "body", "field"), BAD)
async def test_what_cannot_be_accepted_is_refused_by_its_field_and_changes_nothing(
    shared_notifier: Door, step: str, body: dict[str, object], field: str
) -> None:
    case_id = await new_case(shared_notifier)
    before = await case_of(shared_notifier, case_id)
    answer = await does(shared_notifier, case_id, step, **body)
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])
    assert await case_of(shared_notifier, case_id) == before


async def test_a_case_is_not_linked_to_itself(shared_notifier: Door) -> None:
    case_id = await new_case(shared_notifier)
    answer = await does(shared_notifier, case_id, "link", case_id=case_id, reason="x")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "case_id")
