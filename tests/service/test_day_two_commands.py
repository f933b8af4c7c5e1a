"""Day-two work at the command line: who is let in, two secrets at once, and what is forgotten on request."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from typer.testing import Result

from deploy.local.config import HOST
from services.intake import hearing
from shared.events import Level
from tests.fakes.receiver import Request, receiving
from tests.parts import KEY_BYTES, Door, a_report, intake_door
from tests.service.intake.counter import a_case, a_verdict, event_of, filed, shown
from tests.service.test_commands import Lanjie, intake_dsn, lanjie, notifier_dsn

__all__ = ["intake_dsn", "lanjie", "notifier_dsn"]

Dsn = Callable[[str], Awaitable[str]]
REFERENCE = "ICBC-20261122-000001"


async def test_the_keys_of_a_bank_are_listed_by_what_they_are_worth(lanjie: Lanjie, intake_dsn: str) -> None:
    yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    for label, more in (("2026", ()), ("2027", ("--expires", "2099-12-31")), ("old", ("--expires", yesterday))):
        added = await lanjie("intake", "key-add", "CCB", "--label", label, *more, DATABASE_URL=intake_dsn)
        assert added.exit_code == 0
    await lanjie("intake", "key-revoke", "CCB", "2026", DATABASE_URL=intake_dsn)
    listed = await lanjie("intake", "key-list", "CCB", DATABASE_URL=intake_dsn)
    told = {line.split()[1]: line for line in listed.output.splitlines()}
    assert {label: line.split()[-1] for label, line in told.items()} == {
        "test": "valid",
        "2026": "revoked",
        "2027": "valid",
        "old": "expired",
    }
    assert "until 2099-12-31" in told["2027"]
    everybody = await lanjie("intake", "key-list", DATABASE_URL=intake_dsn)
    assert "ICBC  test  since" in everybody.output


async def test_the_officers_of_a_unit_are_listed_with_those_below_it(lanjie: Lanjie, notifier_dsn: str) -> None:
    await lanjie("notifier", "officer-add", "韩新", "SZ-LH-CZ-SB", "officer", DATABASE_URL=notifier_dsn)
    await lanjie("notifier", "officer-revoke", "何婉仪", DATABASE_URL=notifier_dsn)
    below = await lanjie("notifier", "officer-list", "SZ-LH-CZ", DATABASE_URL=notifier_dsn)
    assert below.output == "SZ-LH-CZ  officer  陆峥\nSZ-LH-CZ-SB  officer  韩新\n"
    everybody = await lanjie("notifier", "officer-list", DATABASE_URL=notifier_dsn)
    assert "SZ-LH  approver  " in everybody.output
    assert "何婉仪" not in everybody.output


def signed_with(request: Request, secret: str) -> bool:
    try:
        Webhook(secret).verify(request.body, request.headers)
    except WebhookVerificationError:
        return False
    return True


async def test_a_webhook_is_signed_with_two_secrets_until_the_old_one_is_given_up(
    lanjie: Lanjie, notifier_dsn: str
) -> None:
    told = {"DATABASE_URL": notifier_dsn, "IDENTITY_KEYS": f"i1:{KEY_BYTES}", "ALLOWED_PRIVATE_HOSTS": HOST}
    async with receiving() as receiver:
        added = (await lanjie("notifier", "webhook-add", "SZ-LH-CZ", receiver.url, **told)).output.split()
        target, secrets = added[1], [added[3]]
        for _ in range(2):  # who rotates again before finishing gives the oldest up
            secrets.append((await lanjie("notifier", "target-rotate", target, **told)).output.split()[1])
            assert (await lanjie("notifier", "target-test", target, **told)).exit_code == 0
        finished = await lanjie("notifier", "target-rotate", target, "--finish", **told)
        assert finished.output == "signed with the newest secret alone\n"
        assert (await lanjie("notifier", "target-test", target, **told)).exit_code == 0
    good = [[signed_with(request, secret) for secret in secrets] for request in receiver.requests]
    assert good == [[True, True, False], [False, True, True], [False, False, True]]


async def test_only_a_webhook_is_rotated(lanjie: Lanjie, notifier_dsn: str) -> None:
    told = {"DATABASE_URL": notifier_dsn, "IDENTITY_KEYS": f"i1:{KEY_BYTES}", "SMTP_URL": "smtp://127.0.0.1:9"}
    told |= {"MAIL_FROM": "lanjie@police.example"}
    words = ("--channel", "mail", "--unit", "SZ-LH-CZ", "--address", "duty@police.example")
    target = (await lanjie("notifier", "target-add", *words, **told)).output.split()[1]
    done = await lanjie("notifier", "target-rotate", target, **told)
    assert (done.exit_code, done.output) == (1, "ValueError: there is no such webhook\n")


async def answered(door: Door, reference: str) -> None:
    """File a report, and have the others answer it."""
    report_id = await filed(door, bank_reference=reference)
    await hearing.hear(door.pool, [a_verdict(await event_of(door, report_id), Level.ALERT), a_case(report_id)])


def told(done: Result) -> list[str]:
    """What a command said; the door that is open in this process may log between its lines."""
    return [line for line in done.output.splitlines() if not line.startswith("{")]


async def test_what_a_report_said_is_forgotten_on_request_and_who_did_it_is_on_record(
    lanjie: Lanjie, intake_dsn: str
) -> None:
    async with intake_door(intake_dsn) as door:
        await answered(door, REFERENCE)
        await answered(door, "another")
        await filed(door, bank_reference="waits")
        asked = ("ICBC", REFERENCE, "waits", "CCB-1")
        done = await lanjie("intake", "forget", *asked, "--by", "lu", DATABASE_URL=intake_dsn)
        assert [line.split()[-1] for line in told(done)] == ["forgotten", "unanswered", "unknown"]
        assert done.exit_code == 1
        rows = await door.rows("select bank_reference from report where event is not null order by 1")
        assert [row["bank_reference"] for row in rows] == ["another", "waits"]
        [report] = await door.rows("select id from report where bank_reference = $1", REFERENCE)
        assert (await shown(door, report["id"]))["details"] == "no longer kept"
        assert await door.rows("select actor, action, subject from audit") == [
            {"actor": "lu", "action": "forget", "subject": report["id"]}
        ]
        again = await lanjie("intake", "forget", "ICBC", REFERENCE, DATABASE_URL=intake_dsn)
        assert (again.exit_code, told(again)[-1].split()[-1]) == (0, "before")


async def test_another_banks_report_is_not_forgotten(lanjie: Lanjie, intake_dsn: str) -> None:
    async with intake_door(intake_dsn) as door:
        await answered(door, REFERENCE)
        done = await lanjie("intake", "forget", "CCB", REFERENCE, DATABASE_URL=intake_dsn)
        assert (done.exit_code, told(done)) == (1, [f"{REFERENCE}  unknown"])
        assert await door.rows("select 1 from report where event is null") == []


@pytest.mark.parametrize("changes", [{}, {"note": ""}])
async def test_a_report_that_was_forgotten_is_still_the_same_report(
    lanjie: Lanjie, intake_dsn: str, changes: dict[str, str]
) -> None:
    async with intake_door(intake_dsn) as door:
        body, key = a_report(bank_reference=REFERENCE, **changes), "visit-1"
        headers = {"Authorization": "Bearer lanjie_bank_test-ICBC", "Idempotency-Key": key}
        first = await door.client.post("/v1/reports", json=body, headers=headers)
        report = await event_of(door, first.json()["id"])
        await hearing.hear(door.pool, [a_verdict(report, Level.ALERT), a_case(report.report_id)])
        assert (await lanjie("intake", "forget", "ICBC", REFERENCE, DATABASE_URL=intake_dsn)).exit_code == 0
        again = await door.client.post("/v1/reports", json=body, headers=headers)
        assert again.json()["id"] == first.json()["id"]
