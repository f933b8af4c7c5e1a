"""The client that banks are given to start from loses no report and files none twice, whatever the door does."""

import asyncio
import json
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


def test_banks_and_police_are_given_the_same_verification() -> None:
    shown = {page: page_of(ROOT / f"docs/integration-{page}.md").of(Kind.FILE) for page in ("banks", "police")}
    banks, police = ([one.text for one in files if one.detail == "webhooks.py"] for files in shown.values())
    assert banks == police != []
