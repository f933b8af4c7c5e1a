"""`make run` as a user meets it: refusals in a sentence, a clean end, data that stays."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import psutil
import pytest

from deploy.local.config import ROOT
from tests.e2e.stack import Stack, running_stack, start
from tests.parts import a_key, a_report


@pytest.fixture(autouse=True)
def _as_a_newcomer_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `make run` does where nobody named a broker, whichever one the other tests run on."""
    monkeypatch.delenv("KAFKA", raising=False)


def family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def file_report(stack: Stack) -> str:
    headers = stack.bank(**{"Idempotency-Key": a_key(), "Prefer": "wait=3"})
    with httpx2.Client(timeout=10) as client:
        return str(client.post(f"{stack.info['intake']}/v1/reports", json=a_report(), headers=headers).json()["id"])


def test_interrupting_a_run_ends_every_process_and_the_next_run_goes_on_with_the_data(tmp_path: Path) -> None:
    with running_stack(tmp_path) as stack:
        report_id = file_report(stack)
        processes = family(stack.process.pid)
        names = " ".join(" ".join(process.cmdline()) for process in processes)
        assert all(
            part in names for part in ("supervisord", "postgres", "noida-db", "services.intake", "services.rules")
        )
        stack.process.send_signal(signal.SIGINT)
        stack.process.wait(60)
        assert [process for process in processes if process.is_running()] == []
    with running_stack(tmp_path) as again, httpx2.Client() as client:
        assert again.info["bank_keys"] == stack.info["bank_keys"]
        url = f"{again.info['intake']}/v1/reports/{report_id}"
        assert client.get(url, headers=again.bank()).json()["level"] == "alert"


def test_killing_the_run_itself_leaves_no_process_behind(tmp_path: Path) -> None:
    with running_stack(tmp_path) as stack:
        processes = family(stack.process.pid)
        stack.process.kill()
        _, alive = psutil.wait_procs(processes, timeout=30)
        assert alive == []


def test_a_run_stopped_from_outside_ends_at_once_and_says_so(tmp_path: Path) -> None:
    with running_stack(tmp_path) as stack:
        processes = family(stack.process.pid)
        environment = {**os.environ, "LANJIE_RUN_DIR": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-m", "deploy.local.stop"], cwd=ROOT, env=environment, timeout=20, check=True
        )
        assert done.returncode == 0
        assert stack.process.wait(10) == 0
        _, alive = psutil.wait_procs(processes, timeout=5)
        assert alive == []


def test_what_the_run_writes_for_clients_names_every_door_key_and_branch(stack: Stack) -> None:
    info = json.loads((stack.folder / "lanjie.json").read_text(encoding="utf-8"))
    assert info.keys() == {
        *("intake", "rules", "notifier", "kafka", "databases", "bank_keys", "officers", "branches"),
    }
    assert info["databases"].keys() == {"intake", "rules", "notifier"}
    assert info["officers"][0].keys() == {"name", "unit", "role", "token"}
    assert "ICBC-SZ-LH-001" in info["branches"]
    assert (stack.folder / "lanjie.json").stat().st_mode & 0o077 == 0, "it holds keys"


def test_a_port_in_use_is_refused_in_a_sentence_that_names_the_variable(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = start(tmp_path, LANJIE_RULES_PORT=str(taken.getsockname()[1]))
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "In use by somebody else" in said
    assert "LANJIE_RULES_PORT" in said
    assert "Traceback" not in said


def test_an_unreadable_data_folder_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{not json", encoding="utf-8")
    process = start(tmp_path)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "cannot be read" in said
    assert "Traceback" not in said


def test_a_second_run_of_the_same_folder_is_refused(stack: Stack) -> None:
    process = start(stack.folder)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "make stop" in said


def test_an_idle_run_does_not_burn_the_machine(own_stack: Stack) -> None:
    parts = ("intake", "rules", "notifier", "kafka")
    time.sleep(1)  # the measuring itself: processor time used over a second of doing nothing
    before = sum(sum(psutil.Process(own_stack.pid(part)).cpu_times()[:2]) for part in parts)
    time.sleep(3)
    used = sum(sum(psutil.Process(own_stack.pid(part)).cpu_times()[:2]) for part in parts) - before
    assert used / 3 < 0.6, f"{used / 3:.2f} processors while idle"
