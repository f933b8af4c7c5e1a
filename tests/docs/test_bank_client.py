"""The client that banks are given to start from loses no report and files none twice, whatever the door does."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, Kind, page_of
from tests.fakes.receiver import Fault, Receiver, Request, Said, json_said, receiving

REPORT = {"bank_reference": "ICBC-0001", "note": "客户说要把钱转到安全账户"}
FILED = {"id": "01a20150-9d8f-751c-a451-d0290e188e10", "status": "received"}
BUSY = Said(503, b"{}", (("retry-after", "1"),))
FILE = f"import lanjie_bank, json; print(json.dumps(lanjie_bank.file_report({REPORT!r})))"
FILE_WHAT_WAS_KEPT = "import lanjie_bank, json; print(json.dumps(lanjie_bank.file_what_was_kept()))"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (block,) = (one for one in page_of(ROOT / "docs/integration-banks.md").of(Kind.FILE) if "lanjie_bank" in one.detail)
    (tmp_path / block.detail).write_text(block.text, encoding="utf-8")
    return tmp_path


async def started(folder: Path, door: Receiver, program: str) -> asyncio.subprocess.Process:
    told = {"DOOR": door.url.rstrip("/"), "KEY": "lanjie_bank_made_up", "PYTHONUTF8": "1"}
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=folder, env=told, stdout=pipe, stderr=pipe
    )


def said(request: Request) -> tuple[str, object]:
    return request.headers["idempotency-key"], request.json()


async def test_a_report_is_sent_again_with_the_same_key_and_body_until_it_is_filed(folder: Path) -> None:
    storing = json_said({"detail": "is being stored"}, 409)
    async with receiving(BUSY, Fault.RESET, storing, Said(502, b"<html>"), last=json_said(FILED, 202)) as door:
        process = await started(folder, door, FILE)
        printed, _ = await process.communicate()
        assert json.loads(printed) == FILED
        assert [said(request) for request in door.requests] == 5 * [("ICBC-0001", REPORT)]
        assert door.requests[1].at - door.requests[0].at >= 1  # as long as Retry-After said
    assert list((folder / "spool").iterdir()) == []


async def test_a_report_that_was_on_its_way_when_the_program_was_killed_is_filed_by_the_next_one(folder: Path) -> None:
    async with receiving(Fault.HANG, last=json_said(FILED, 202)) as door:
        process = await started(folder, door, FILE)
        await door.received(1)
        process.kill()
        await process.wait()
        printed, _ = await (await started(folder, door, FILE_WHAT_WAS_KEPT)).communicate()
        assert json.loads(printed) == [FILED]
        first, second = door.requests
        assert said(first) == said(second) == ("ICBC-0001", REPORT)


async def test_a_report_that_is_refused_is_kept_for_a_person_and_not_sent_again(folder: Path) -> None:
    refusal = {"detail": "Not accepted: payer.id_number.", "errors": [{"field": "payer.id_number", "message": "…"}]}
    async with receiving(last=json_said(refusal, 422)) as door:
        process = await started(folder, door, FILE)
        _, told = await process.communicate()
        assert b"Refused: 422: Not accepted: payer.id_number." in told
        assert len(door.requests) == 1
    assert [path.name for path in (folder / "spool").iterdir()] == ["ICBC-0001.refused"]


async def test_a_report_that_is_refused_does_not_hold_up_the_others_that_were_kept(folder: Path) -> None:
    refusal = json_said({"detail": "Not accepted: payer.id_number."}, 422)
    _spooled(folder, "ICBC-0001", "ICBC-0002")
    async with receiving(refusal, last=json_said(FILED, 202)) as door:
        process = await started(folder, door, FILE_WHAT_WAS_KEPT)
        printed, told = await process.communicate()
        assert json.loads(printed) == [FILED]
        assert b"ICBC-0001 422" in told
    assert [path.name for path in (folder / "spool").iterdir()] == ["ICBC-0001.refused"]


@pytest.mark.parametrize("refusal", [json_said({"detail": "No."}, 401), Said(302, b"", (("location", "/else"),))])
async def test_a_report_waits_where_the_key_or_the_address_is_refused_and_not_the_report(
    folder: Path, refusal: Said
) -> None:
    async with receiving(last=refusal) as door:
        process = await started(folder, door, FILE)
        await process.communicate()
        assert process.returncode == 1
        assert len(door.requests) == 1
    assert [path.name for path in (folder / "spool").iterdir()] == ["ICBC-0001.json"]


async def test_a_report_that_could_not_be_written_whole_is_not_there_to_be_filed(folder: Path) -> None:
    async with receiving(last=json_said(FILED, 202)) as door:
        full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20)); "
        process = await started(folder, door, full + FILE)
        await process.communicate()
        assert door.requests == []
    assert list((folder / "spool").glob("*.json")) == []


async def test_an_order_of_a_kind_that_the_sample_does_not_know_is_not_said_to_be_done(folder: Path) -> None:
    _saved(folder, "banks", "core.py")
    order = {"kind": "seize", "amount_fen": 1, "payee": {"account": "6228480000000005033", "name": None}}
    assert json.loads(_printed(folder, f"import core, json; print(json.dumps(core.execute({order})))")) == {
        "result": "failure",
        "failure_cause": "系统不识别该指令类型",
    }


def test_a_follower_keeps_its_last_id_when_the_next_cannot_be_written(folder: Path) -> None:
    _saved(folder, "police", "follow.py")
    (folder / "last-event-id").write_text("6")
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
    _printed(folder, full + "import follow; follow.read([b'id: 7\\n', b'\\n'], None, {})", ends_with=1)
    assert (folder / "last-event-id").read_text() == "6"


def test_a_follower_reads_events_as_the_standard_writes_them(folder: Path) -> None:
    _saved(folder, "police", "follow.py")
    stream = [b"data:[1]\n", b": a comment\n", b"id:7\n", b"\n"]
    assert _printed(folder, f"import follow; follow.read({stream}, print, {{}})") == "[1]\n"
    assert (folder / "last-event-id").read_text() == "7"


def test_a_follower_waits_as_long_as_it_was_told_though_the_connection_broke(folder: Path) -> None:
    _saved(folder, "police", "follow.py")
    program = """
import follow
def broken():
    yield b"retry: 750\\n"
    yield b"\\n"
    raise ConnectionResetError
pause = {"seconds": 2.0}
try:
    follow.read(broken(), print, pause)
except ConnectionResetError:
    print(pause)
"""
    assert _printed(folder, program) == "{'seconds': 0.75}\n"


async def test_a_follower_takes_its_token_nowhere_else(folder: Path) -> None:
    _saved(folder, "police", "follow.py")
    async with receiving() as elsewhere, receiving(last=Said(301, b"", (("location", elsewhere.url),))) as door:
        told = {"POLICE": door.url.rstrip("/"), "TOKEN": "lanjie_officer_made_up"}
        words = (sys.executable, "follow.py")
        process = await asyncio.create_subprocess_exec(*words, cwd=folder, env=told, stderr=asyncio.subprocess.PIPE)
        _, said = await process.communicate()
        assert said.decode() == "301: ask for a new token\n"
        assert elsewhere.requests == []


def _spooled(folder: Path, *references: str) -> None:
    (folder / "spool").mkdir()
    for reference in references:
        (folder / "spool" / f"{reference}.json").write_text(json.dumps(REPORT), encoding="utf-8")


def _saved(folder: Path, page: str, name: str) -> None:
    files = page_of(ROOT / f"docs/integration-{page}.md").of(Kind.FILE)
    (text,) = (one.text for one in files if one.detail == name)
    (folder / name).write_text(text, encoding="utf-8")


def _printed(folder: Path, program: str, *, ends_with: int = 0) -> str:
    ended = subprocess.run([sys.executable, "-c", program], cwd=folder, check=False, capture_output=True, text=True)
    assert ended.returncode == ends_with, ended.stderr
    return ended.stdout


def test_banks_and_police_are_given_the_same_verification() -> None:
    shown = {page: page_of(ROOT / f"docs/integration-{page}.md").of(Kind.FILE) for page in ("banks", "police")}
    banks, police = ([one.text for one in files if one.detail == "webhooks.py"] for files in shown.values())
    assert banks == police != []
