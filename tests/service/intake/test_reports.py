"""Reports at the banks' door."""

from tests.parts import Door, a_key, a_report, bank


async def test_a_report_is_accepted_and_stored_while_the_broker_is_away(intake: Door) -> None:
    body = a_report()
    answer = await intake.client.post("/v1/reports", json=body, headers=bank(**{"Idempotency-Key": a_key()}))
    assert answer.status_code == 202
    report_id = answer.json()["id"]
    assert answer.headers["location"] == f"/v1/reports/{report_id}"
    assert answer.json() == {"id": report_id, "status": "received"}
    [row] = await intake.rows("select id, bank, bank_reference from report")
    assert (str(row["id"]), row["bank"], row["bank_reference"]) == (report_id, "ICBC", body["bank_reference"])
    [promise] = await intake.rows("select id, awaits_answer from outbox")
    assert (str(promise["id"]), promise["awaits_answer"]) == (report_id, True)
