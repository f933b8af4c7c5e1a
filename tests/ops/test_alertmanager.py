"""Alertmanager calls whom it must, once, and not for what only follows from something else."""

import json
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from deploy.local.config import HOST, Local, free_port
from deploy.local.prometheus import ALERTMANAGER, commands, tool
from tests.ops.alerts import ALWAYS, alerts

TOKEN = "of-this-test"
RECEIVERS = {"page": "pager", "ticket": "tickets", "none": "dead-man-switch"}


def amtool(*words: str) -> None:
    done = subprocess.run([tool("amtool"), *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_amtool_finds_nothing_wrong_with_the_configuration() -> None:
    amtool("check-config", str(ALERTMANAGER))


def test_every_alert_reaches_the_receiver_of_its_severity() -> None:
    kinds = {(alert["labels"]["severity"], alert["labels"].get("chain", "")): name for name, alert in alerts().items()}
    for (severity, chain), name in kinds.items():
        labels = [f"alertname={name}", f"severity={severity}", *([f"chain={chain}"] if chain else [])]
        file = f"--config.file={ALERTMANAGER}"
        amtool("config", "routes", "test", file, f"--verify.receivers={RECEIVERS[severity]}", *labels)


def test_what_nobody_sorted_becomes_a_ticket() -> None:
    amtool("config", "routes", "test", f"--config.file={ALERTMANAGER}", "--verify.receivers=tickets", "alertname=Other")


class Gateway:
    """The house's gateway: notes what it is sent, by path, with the token it came with."""

    def __init__(self) -> None:
        self.calls: Queue[tuple[str, str, dict[str, Any]]] = Queue()
        calls = self.calls

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                calls.put((self.path, self.headers["Authorization"], body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                pass

        self.server = HTTPServer((HOST, 0), Handler)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    gateway = Gateway()
    thread = threading.Thread(target=gateway.server.serve_forever)
    thread.start()
    yield gateway
    gateway.server.shutdown()
    thread.join()
    gateway.server.server_close()


@pytest.fixture
def alertmanager(tmp_path: Path, gateway: Gateway) -> Iterator[str]:
    """Run Alertmanager on the committed configuration, with the gateway at the test's address; yield its address."""
    local = Local(tmp_path, {"prometheus": 0, "alertmanager": free_port()}, {})
    (tmp_path / "ops" / "secrets").mkdir(parents=True)
    (tmp_path / "ops" / "secrets" / "gateway_token").write_text(TOKEN, encoding="utf-8")
    told = ALERTMANAGER.read_text(encoding="utf-8")
    assert "alert-gateway:8080" in told
    told = told.replace("alert-gateway:8080", f"{HOST}:{gateway.server.server_address[1]}")
    (tmp_path / "ops" / "alertmanager.yml").write_text(told, encoding="utf-8")
    with (tmp_path / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen(commands(local)["alertmanager"].split(), stdout=log, stderr=log)
        try:
            _await_port(process, local.ports["alertmanager"])
            yield local.url("alertmanager")
        finally:
            process.terminate()
            process.wait(30)


def _await_port(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "Alertmanager ended"
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("Alertmanager did not open its port")


def fire(alertmanager: str, *fired: dict[str, str]) -> None:
    """Say that alerts fire, with the labels that their rules give them and some more."""
    body = []
    for more in fired:
        labels = {**alerts()[more["alertname"]]["labels"], **more}
        body.append({"labels": labels, "startsAt": datetime.now(UTC).isoformat()})
    request = urllib.request.Request(  # noqa: S310 - our own address
        f"{alertmanager}/api/v2/alerts", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30):  # noqa: S310
        pass


def silenced(alertmanager: str, number: int) -> set[str]:
    """Return the names of the alerts that others inhibit, once all are in."""
    deadline = time.monotonic() + 60
    while True:
        with urllib.request.urlopen(f"{alertmanager}/api/v2/alerts", timeout=30) as answer:  # noqa: S310
            known = json.load(answer)
        if len(known) == number:
            return {one["labels"]["alertname"] for one in known if one["status"]["inhibitedBy"]}
        assert time.monotonic() < deadline, known
        time.sleep(0.05)


def test_a_service_that_is_down_silences_what_follows_and_nothing_else(alertmanager: str) -> None:
    fire(
        alertmanager,
        {"alertname": "LanjieServiceDown", "job": "rules"},
        {"alertname": "LanjieReplicaDown", "job": "rules", "instance": "r1"},
        {"alertname": "LanjieReplicaDown", "job": "notifier", "instance": "n1"},
        {"alertname": "LanjieReportsNotJudged"},
        {"alertname": "LanjieOutboxOld", "job": "intake"},
        {"alertname": "LanjieStopOrdersExpiring", "bank": "ICBC"},
        {"alertname": "LanjieDeadLetters", "job": "rules", "reason_class": "schema"},
        {"alertname": "LanjieLedgerDiffers"},
    )
    assert silenced(alertmanager, 8) == {"LanjieReplicaDown", "LanjieReportsNotJudged", "LanjieOutboxOld"}


def test_a_replica_of_another_service_is_not_silenced(alertmanager: str) -> None:
    fire(
        alertmanager,
        {"alertname": "LanjieServiceDown", "job": "rules"},
        {"alertname": "LanjieReplicaDown", "job": "notifier", "instance": "n1"},
    )
    assert silenced(alertmanager, 2) == set()


def test_no_bank_is_called_silent_while_nobody_can_read_what_it_said(alertmanager: str) -> None:
    fire(
        alertmanager,
        {"alertname": "LanjieDatabaseDown", "job": "intake"},
        {"alertname": "LanjieConsumerHalted", "job": "rules", "instance": "r1"},
        {"alertname": "LanjieDoorFails", "job": "intake"},
        {"alertname": "LanjieBankSilent", "bank": "ICBC"},
        {"alertname": "LanjieStopOrdersExpiring", "bank": "ICBC"},
    )
    assert silenced(alertmanager, 5) == {"LanjieConsumerHalted", "LanjieDoorFails", "LanjieBankSilent"}


def test_a_page_silences_the_ticket_of_its_own_objective_alone(alertmanager: str) -> None:
    fire(
        alertmanager,
        {"alertname": "LanjieAcknowledgedLate"},
        {"alertname": "LanjieAcknowledgedOftenLate"},
        {"alertname": "LanjieAlertsOftenSlow"},
        {"alertname": "LanjieStopOrdersExpiring", "bank": "ICBC"},  # a page of no objective, and a ticket of none
        {"alertname": "LanjieUnitsUnattended"},
    )
    assert silenced(alertmanager, 5) == {"LanjieAcknowledgedOftenLate"}


def test_the_dead_mans_switch_is_told_at_once_with_the_token_of_the_file(alertmanager: str, gateway: Gateway) -> None:
    fire(alertmanager, {"alertname": ALWAYS})
    path, authorization, body = gateway.calls.get(timeout=60)
    assert (path, authorization) == ("/alive", f"Bearer {TOKEN}")
    assert [one["labels"]["alertname"] for one in body["alerts"]] == [ALWAYS]
