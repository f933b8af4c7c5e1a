"""Targets from the command line: added, listed masked, tested, removed."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from services.notifier.cli import commands
from shared.postgres import Pool
from tests.fakes.receiver import json_said, receiving
from tests.parts import IDENTITY, KEY_BYTES, officers

ADDRESS = "https://qyapi.example/cgi-bin/webhook/send?key=very-secret"

Lanjie = Callable[..., Awaitable[Any]]


@pytest.fixture
def lanjie(dsn: str, monkeypatch: pytest.MonkeyPatch) -> Lanjie:
    """Return a function that runs a command in a thread, as a shell would beside the services."""
    told = {"DATABASE_URL": dsn, "IDENTITY_KEYS": f"i1:{KEY_BYTES}", "ALLOWED_PRIVATE_HOSTS": "127.0.0.1"}

    async def run(*words: str, **more: str) -> Any:  # noqa: ANN401
        for name in ("SMTP_URL", "MAIL_FROM"):
            monkeypatch.delenv(name, raising=False)
        return await asyncio.to_thread(CliRunner().invoke, commands, list(words), env={**told, **more})

    return run


async def test_a_target_is_added_listed_without_its_secret_and_removed(lanjie: Lanjie, pool: Pool) -> None:
    officer = officers()[0]["name"]
    words = ("target-add", "--channel", "wecom", "--address", ADDRESS, "--officer", officer, "--delay", "60")
    added = await lanjie(*words, "--position", "2")
    assert added.exit_code == 0, added.output
    target_id = added.output.split()[1]
    row = await pool.fetchrow("select address, position, delay_seconds, shown from target")
    assert row is not None
    assert "very-secret" not in row["address"]
    assert IDENTITY.open(row["address"], target_id) == ADDRESS
    assert (row["position"], row["delay_seconds"], row["shown"]) == (2, 60, "qyapi.example")
    listed = (await lanjie("target-list")).output
    assert officer in listed
    assert "very-secret" not in listed
    assert (await lanjie("target-remove", target_id)).output == "removed\n"
    assert (await lanjie("target-remove", target_id)).output == "there is no such target\n"
    assert target_id not in (await lanjie("target-list")).output


async def test_a_banks_webhook_is_given_a_secret_that_is_shown_once(lanjie: Lanjie, pool: Pool) -> None:
    added = await lanjie("target-add", "--channel", "webhook", "--address", "https://b.example/", "--bank", "CCB")
    assert re.search(r"secret  whsec_\S{32}", added.output)
    assert await pool.fetchval("select bank from target") == "CCB"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--channel", "wecom", "--address", ADDRESS), "name one owner"),
        (("--channel", "wecom", "--address", ADDRESS, "--unit", "SZ", "--bank", "CCB"), "name one owner"),
        (("--channel", "wecom", "--address", ADDRESS, "--unit", "NO-SUCH"), "there is no unit NO-SUCH"),
        (("--channel", "wecom", "--address", ADDRESS, "--officer", "无此人"), "there is no officer"),
        (("--channel", "wecom", "--address", ADDRESS, "--bank", "NONE"), "there is no bank NONE"),
        (("--channel", "mail", "--address", "a@b.example", "--unit", "SZ"), "set SMTP_URL and MAIL_FROM"),
        (("--channel", "wecom", "--address", "qyapi", "--unit", "SZ"), "URL"),
    ],
)
async def test_what_cannot_be_a_target_is_refused_in_a_line_and_not_stored(
    lanjie: Lanjie, pool: Pool, words: tuple[str, ...], said: str
) -> None:
    done = await lanjie("target-add", *words)
    assert done.exit_code == 1
    assert said in done.output
    assert await pool.fetchval("select count(*) from target") == 0


@pytest.mark.parametrize(
    ("answer", "said", "code"),
    [
        (json_said({"errcode": 0}), "Delivered\n", 0),
        (json_said({"errcode": 93000}), "Dead: wecom code 93000\n", 1),
        (500, "Retry: status 500\n", 1),
    ],
    ids=str,
)
async def test_a_test_message_says_how_it_went(lanjie: Lanjie, answer: Any, said: str, code: int) -> None:  # noqa: ANN401
    async with receiving(answer) as robot:
        words = ("--channel", "wecom", "--address", robot.url + "send", "--unit", "SZ")
        added = await lanjie("target-add", *words)
        done = await lanjie("target-test", added.output.split()[1])
    assert (done.output, done.exit_code) == (said, code)
    [request] = robot.requests
    assert "测试消息" in request.json()["markdown"]["content"]
