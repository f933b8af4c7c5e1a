"""Names, accounts and phones in any field: nowhere in clear in a table, an event, an alert, a metric or a log line."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx2 import Response

from shared.events import Checked, FeedbackReceived
from shared.postgres import Pool
from tests.parts import IDENTITY, Door
from tests.service.notifier.builders import (
    CLEAR_TEXTS,
    a_failure,
    a_success,
    a_verdict,
    an_account,
    hear,
    moved_to,
    now,
)
from tests.service.notifier.clockwork import fire
from tests.service.notifier.police import CITY, COUNTY, CUIZHU, LUOHU, a_case, case_of, close, done, ordered, reject
from tests.service.notifier.reach import CUIZHU_OFFICER, LUOHU_SUPERVISOR, on_duty, reachable, reachable_unit

NAME, ACCOUNT, PHONE = "金丝雀", "6217998877665544332", "13912345678"
FURTHER, CORRECTED = "6217998877660000001", "6217998877660000002"
WORDS = f"{NAME}甲（{ACCOUNT}，{PHONE}）"
"""What an officer or a bank may write anywhere."""
PIECES = (NAME, ACCOUNT, PHONE, FURTHER, CORRECTED, *CLEAR_TEXTS)


def forms_of(text: str) -> list[bytes]:
    """A text as it may lie somewhere: plain, or escaped as JSON."""
    return [text.encode(), json.dumps(text)[1:-1].encode()]


async def kept(pool: Pool) -> dict[str, bytes]:
    """What every table holds, with what lies in it as bytes in clear."""
    tables = await pool.fetch("select tablename as name from pg_tables where schemaname = 'notifier'")
    held = {}
    for table in tables:
        rows = await pool.fetch(f"select * from {table['name']}")
        values = [value for row in rows for value in row.values()]
        held[table["name"]] = b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)
    return held


def in_words(feedback: FeedbackReceived, onward: list[dict[str, Any]]) -> FeedbackReceived:
    """What a bank answers, with words of its own."""
    words = {"failure_cause": WORDS, "remark": WORDS, "operator": f"{NAME}乙", "onward": onward}
    sealed = IDENTITY.seal(json.dumps(words, ensure_ascii=False), str(feedback.feedback_id))
    return feedback.model_copy(update={"identity": sealed})


def moved(account: str) -> dict[str, Any]:
    return {**moved_to(account, 4_000), "name": f"{NAME}丙"}


async def hand_over(door: Door) -> Response:
    await on_duty(door.pool, CUIZHU_OFFICER)
    await door.pool.execute(
        "update officer set unit = 'SZ-LH-CZ' where name = '何婉仪'"  # somebody of the unit to hand over to
    )
    return await door.client.post("/v1/duty/hand-over", json={"to": "何婉仪", "note": WORDS}, headers=CUIZHU)


async def a_case_at_work(door: Door) -> tuple[str, str]:
    """Everything that can be written about a case, written with canaries; return it and an objection."""
    account = an_account()
    case_id = await a_case(door, a_verdict(account), a_verdict(account, branch="ICBC-SZ-LH-002"))
    other = await a_case(door, a_verdict(an_account()))
    await done(door, case_id, "take-over", LUOHU, reason=WORDS)
    await done(door, case_id, "notes", text=WORDS)
    await done(door, case_id, "link", case_id=other, reason=WORDS)
    await done(door, case_id, "attachments", reference=f"https://files.example/{NAME}/{ACCOUNT}", title=WORDS)
    objection = (await done(door, case_id, "objections", by=f"{NAME}丁", text=WORDS))["objections"][0]["id"]
    stop = await ordered(door, case_id, reason=WORDS, remark=WORDS, co_officer=f"{NAME}戊", amount_fen=9_000)
    failure = a_failure(stop, mismatch=[Checked.NAME, Checked.ACCOUNT])
    await hear(door.pool, in_words(failure, [moved(FURTHER)]))
    corrected = {"corrects": stop["id"], "payee_name": f"{NAME}己", "payee_account": CORRECTED}
    again = await ordered(door, case_id, **corrected)
    await hear(door.pool, in_words(a_success(again), [moved(FURTHER)]))
    [onward, *_] = await door.rows("select id from onward_account where case_id = $1", UUID(case_id))
    await hear(door.pool, in_words(a_success(await ordered(door, case_id, onward_id=str(onward["id"]))), []))
    report_id = (await case_of(door, case_id))["reports"][1]["id"]
    await done(door, case_id, "split", LUOHU, report_ids=[report_id], reason=WORDS)
    return case_id, objection


async def decided(door: Door, case_id: str, objection: str) -> None:
    answer = {"decision": "rejected", "text": WORDS}
    assert (await door.client.post(f"/v1/objections/{objection}/answer", json=answer, headers=LUOHU)).status_code == 200
    assert (await close(door, case_id, "unfounded", reason=WORDS)).status_code == 200
    await done(door, case_id, "reopen", reason=WORDS)
    assert (await close(door, case_id, "unfounded", reason=WORDS)).status_code == 200
    await done(door, case_id, "reopen", reason=WORDS)
    await done(door, case_id, "transfer", unit="SZ-LH-DM", reason=WORDS)
    shown = await door.client.post(f"/v1/cases/{case_id}/unmask", json={"reason": WORDS}, headers=CITY)
    assert FURTHER in shown.text, "the accounts are there to be seen"
    proposal = await ordered(door, await a_case(door, a_verdict(an_account(), amount_fen=100_000_001)), reason=WORDS)
    assert (await reject(door, proposal, COUNTY, WORDS)).status_code == 200


async def refused(door: Door, case_id: str) -> list[Response]:
    """The same in fields that do not take it."""
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("orders", {"kind": "stop", "remark": 7, "payee_account": PHONE, "co_officer": WORDS * 9}),
        ("orders", {"kind": WORDS}),
        ("transfer", {"unit": WORDS, "reason": WORDS}),
        ("attachments", {"reference": WORDS, "title": "x"}),
        ("close", {"finding": WORDS, "scam_type": WORDS, "reason": WORDS}),
        ("close", {"finding": "confirmed", "scam_type": WORDS, "reason": WORDS}),
    ]
    answers = [
        await door.client.post(f"/v1/cases/{case_id}/{step}", json=body, headers=CUIZHU) for step, body in bodies
    ]
    assert [answer.status_code for answer in answers] == [422] * len(bodies)
    return answers


async def test_what_anybody_writes_anywhere_lies_nowhere_in_clear(
    notifier: Door, capfd: pytest.CaptureFixture[str]
) -> None:
    await reachable(notifier.pool, CUIZHU_OFFICER, LUOHU_SUPERVISOR)
    await reachable_unit(notifier.pool, "SZ-LH-CZ", "SZ-LH")
    case_id, objection = await a_case_at_work(notifier)
    await decided(notifier, case_id, objection)
    assert (await hand_over(notifier)).status_code == 200
    answers = await refused(notifier, case_id)
    await fire(notifier.pool, timedelta(days=4))
    held = await kept(notifier.pool)
    for table in ("timeline", "audit", "outbox", "alert", "delivery", "bank_order", "feedback", "onward_account"):
        assert held[table], f"{table} was read"
    logs = "".join(capfd.readouterr())
    assert "publishing_failed" in logs, "the log was read"
    held |= {"metrics": (await notifier.client.get("/metrics")).content, "logs": logs.encode()}
    held |= {f"answer {number}": answer.content for number, answer in enumerate(answers)}
    held |= {"inbox": (await notifier.client.get("/v1/cases", headers=CITY)).content}
    found = [(where, one) for where, what in held.items() for one in PIECES if any(f in what for f in forms_of(one))]
    assert found == []


async def test_officers_of_the_case_read_what_was_written(notifier: Door) -> None:
    began = now()
    case_id, objection = await a_case_at_work(notifier)
    await decided(notifier, case_id, objection)
    case = await case_of(notifier, case_id)
    told = {entry["kind"]: entry["text"] for entry in case["timeline"]}
    assert told["taken_over"] == f"接手本案，理由：{WORDS}"
    assert told["attached"] == f"登记材料：{WORDS}"
    for kind in ("linked", "split", "reopened", "transferred"):
        assert told[kind].endswith(f"，理由：{WORDS}"), kind
    assert [link["reason"] for link in case["links"]] == [WORDS]
    [file] = case["attachments"]
    assert (file["title"], file["reference"]) == (WORDS, f"https://files.example/{NAME}/{ACCOUNT}")
    assert (await close(notifier, case_id, "unfounded", LUOHU, reason=WORDS)).json()["reason"] == WORDS
    assert all(entry["at"] >= began.isoformat() for entry in case["timeline"])
