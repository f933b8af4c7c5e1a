"""The `lanjie` command, on real databases."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from typer.testing import CliRunner, Result

from deploy.local.config import REFERENCE
from services.cli import main
from shared.outbox import new_id
from tests.parts import KEY_BYTES, intake_door, notifier_door
from tests.service.notifier import police

Lanjie = Callable[..., Awaitable[Result]]


@pytest.fixture
def lanjie(monkeypatch: pytest.MonkeyPatch) -> Lanjie:
    """Return the command, run as its own program would be: outside the test's event loop."""

    async def run(*words: str, **environment: str) -> Result:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return await asyncio.to_thread(CliRunner().invoke, main, words)

    return run


@pytest.fixture
async def intake_dsn(database: Callable[[str], Awaitable[str]]) -> str:
    return await database("intake")


@pytest.fixture
async def notifier_dsn(database: Callable[[str], Awaitable[str]]) -> str:
    return await database("notifier")


async def test_an_added_key_opens_the_banks_door_and_a_revoked_one_does_not(lanjie: Lanjie, intake_dsn: str) -> None:
    added = await lanjie("intake", "key-add", "ICBC", "--label", "new", DATABASE_URL=intake_dsn)
    headers = {"Authorization": f"Bearer {added.output.strip()}"}
    async with intake_door(intake_dsn) as door:
        assert (await door.client.get("/v1/orders", headers=headers)).status_code == 200
    revoked = await lanjie("intake", "key-revoke", "ICBC", "new", DATABASE_URL=intake_dsn)
    assert revoked.output == "revoked: 1\n"
    async with intake_door(intake_dsn) as door:
        assert (await door.client.get("/v1/orders", headers=headers)).status_code == 401


async def test_an_added_officer_is_let_in_and_a_revoked_one_is_not(lanjie: Lanjie, notifier_dsn: str) -> None:
    added = await lanjie("notifier", "officer-add", "韩新", "SZ-LH-CZ", "officer", DATABASE_URL=notifier_dsn)
    headers = {"Authorization": f"Bearer {added.output.strip()}"}
    async with notifier_door(notifier_dsn) as door:
        assert (await door.client.get("/v1/cases", headers=headers)).status_code == 200
    assert (await lanjie("notifier", "officer-revoke", "韩新", DATABASE_URL=notifier_dsn)).output == "revoked\n"
    async with notifier_door(notifier_dsn) as door:
        assert (await door.client.get("/v1/cases", headers=headers)).status_code == 401
    assert (await lanjie("notifier", "officer-revoke", "韩新", DATABASE_URL=notifier_dsn)).output.startswith(
        "there is no"
    )


async def test_a_webhook_is_added_with_a_secret_and_removed(lanjie: Lanjie, notifier_dsn: str) -> None:
    told = {"DATABASE_URL": notifier_dsn, "IDENTITY_KEYS": f"i1:{KEY_BYTES}"}
    added = await lanjie("notifier", "webhook-add", "SZ-LH-CZ", "http://127.0.0.1:9/alerts", **told)
    assert "whsec_" in added.output
    webhook_id = added.output.split()[1]
    assert (await lanjie("notifier", "webhook-remove", webhook_id, **told)).output == "removed\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["notifier", "webhook-add", "SZ-LH-CZ", "ftp://somewhere"], "ValueError"),
        (["notifier", "officer-add", "韩新", "NO-SUCH-UNIT", "officer"], "ForeignKeyViolationError"),
        (["intake", "load", "/no/such/folder"], "FileNotFoundError"),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_line(
    lanjie: Lanjie, notifier_dsn: str, words: list[str], said: str
) -> None:
    done = await lanjie(*words, DATABASE_URL=notifier_dsn, IDENTITY_KEYS=f"i1:{KEY_BYTES}")
    assert done.exit_code == 1
    assert said in done.output
    assert "Traceback" not in done.output


async def test_a_missing_setting_is_named(lanjie: Lanjie, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    done = await lanjie("rules", "migrate")
    assert done.exit_code == 1
    assert "DATABASE_URL" in done.output


@pytest.mark.parametrize("service", ["intake", "rules", "notifier"])
async def test_migrating_and_loading_again_changes_nothing(
    lanjie: Lanjie, database: Callable[[str], Awaitable[str]], service: str
) -> None:
    dsn = await database(service)
    assert (await lanjie(service, "migrate", DATABASE_URL=dsn)).exit_code == 0
    if service != "rules":
        loaded = await lanjie(service, "load", str(REFERENCE), DATABASE_URL=dsn)
        assert "branches: 20" in loaded.output
        assert loaded.output == (await lanjie(service, "load", str(REFERENCE), DATABASE_URL=dsn)).output


async def test_what_is_on_record_is_read_with_the_reasons_in_clear(lanjie: Lanjie, notifier_dsn: str) -> None:
    async with notifier_door(notifier_dsn) as door:
        order = await police.ordered(door, await police.new_case(door), reason="受害人 已报警")
    told = {"DATABASE_URL": notifier_dsn, "IDENTITY_KEYS": f"i1:{KEY_BYTES}"}
    shown = await lanjie("notifier", "audit", order["id"], **told)
    assert shown.output.split(maxsplit=1)[1] == "officer:陆峥  order_stop  受害人 已报警\n"
    assert (await lanjie("notifier", "audit", str(new_id()), **told)).output == ""
