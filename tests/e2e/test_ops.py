"""`make run OPS=1`: Prometheus sees every service, and says so to Alertmanager when one is gone."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.e2e.stack import Stack, running_stack

PATIENCE_SECONDS = 100


def until(asked: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not asked():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def get(client: httpx2.Client, url: str) -> Any:  # noqa: ANN401 - JSON
    try:
        answer = client.get(url)
    except httpx2.HTTPError:
        return None  # not up yet
    return answer.json() if answer.status_code == 200 else None


def health(client: httpx2.Client, stack: Stack) -> dict[str, str]:
    told = get(client, f"{stack.info['prometheus']}/api/v1/targets")
    return {one["labels"]["job"]: one["health"] for one in told["data"]["activeTargets"]} if told else {}


def state(client: httpx2.Client, stack: Stack, alert: str, job: str) -> str:
    told = get(client, f"{stack.info['prometheus']}/api/v1/alerts")
    for one in told["data"]["alerts"] if told else []:
        if (one["labels"]["alertname"], one["labels"].get("job")) == (alert, job):
            return str(one["state"])
    return ""


def heard(client: httpx2.Client, stack: Stack) -> set[str]:
    return {one["labels"]["alertname"] for one in get(client, f"{stack.info['alertmanager']}/api/v2/alerts") or []}


@pytest.mark.timeout(400)  # patient with a busy machine: three waits
def test_prometheus_scrapes_every_service_and_an_alert_begins_when_one_is_gone(tmp_path: Path) -> None:
    with running_stack(tmp_path, OPS="1") as stack, httpx2.Client(timeout=10) as client:
        services = dict.fromkeys(("intake", "rules", "notifier"), "up")
        until(lambda: health(client, stack) == services, "not every service is scraped")
        until(lambda: "LanjieWatchdog" in heard(client, stack), "Alertmanager hears nothing")
        until(lambda: state(client, stack, "LanjieServiceDown", "rules") == "", "rules is up and missed")
        stack.stop("rules")
        until(
            lambda: state(client, stack, "LanjieServiceDown", "rules") in {"pending", "firing"}, "nobody misses rules"
        )
        assert state(client, stack, "LanjieServiceDown", "notifier") == ""
        parts = [psutil.Process(stack.pid(part)) for part in ("prometheus", "alertmanager")]
    assert not any(part.is_running() for part in parts)
    assert (tmp_path / "ops" / "prometheus").is_dir()
