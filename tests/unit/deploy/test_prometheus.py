"""Where Prometheus' programs come from, and what a local run tells them."""

from pathlib import Path

import pytest
import yaml

from deploy.local.config import CannotRunError, Local
from deploy.local.prometheus import ALERTMANAGER, PROMETHEUS, commands, prepare, tool


def program(folder: Path, name: str, script: str = "exit 0") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only folder on the PATH, beside an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def test_a_program_that_is_installed_is_taken_by_whichever_name_it_has(bare: Path) -> None:
    plain = program(bare, "promtool")
    debians = program(bare, "prometheus-alertmanager")
    assert tool("promtool") == plain
    assert tool("alertmanager") == debians


def test_without_apt_get_a_sentence_says_what_to_install(bare: Path) -> None:
    with pytest.raises(CannotRunError, match=r"apt-get, which would fetch Debian's, is missing\. Install"):
        tool("promtool")
    assert list(bare.iterdir()) == []


def test_an_apt_get_that_cannot_download_is_quoted_and_leaves_no_half_made_cache(bare: Path) -> None:
    program(bare, "apt-get", "echo 'E: Unable to locate package prometheus' >&2; exit 100")
    program(bare, "dpkg")
    with pytest.raises(CannotRunError, match=r"(?s)apt-get update.*Unable to locate package prometheus"):
        tool("prometheus")
    assert list((bare.parent / "cache" / "lanjie").iterdir()) == []


@pytest.mark.parametrize(("said", "ops"), [(None, False), ("0", False), ("1", True)])
def test_only_a_run_that_is_asked_to_has_ports_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, said: str | None, ops: bool
) -> None:
    monkeypatch.delenv("OPS", raising=False)
    if said is not None:
        monkeypatch.setenv("OPS", said)
    monkeypatch.setenv("LANJIE_RUN_DIR", str(tmp_path))
    local = Local.from_environment()
    assert local.ops == ops
    assert ({"prometheus", "alertmanager"} <= local.ports.keys()) == ops


def test_a_local_run_is_watched_by_the_committed_rules_and_calls_nobody(tmp_path: Path) -> None:
    ports = {"intake": 1, "rules": 2, "notifier": 3, "prometheus": 4, "alertmanager": 5}
    local = Local(tmp_path, ports, {})
    prepare(local)
    told = yaml.safe_load((tmp_path / "ops" / "prometheus.yml").read_text(encoding="utf-8"))
    committed = yaml.safe_load(PROMETHEUS.read_text(encoding="utf-8"))
    assert [one["job_name"] for one in told["scrape_configs"]] == [
        one["job_name"] for one in committed["scrape_configs"]
    ]
    assert [one["static_configs"][0]["targets"] for one in told["scrape_configs"]] == [
        ["127.0.0.1:1"],
        ["127.0.0.1:2"],
        ["127.0.0.1:3"],
    ]
    routing = yaml.safe_load((tmp_path / "ops" / "alertmanager.yml").read_text(encoding="utf-8"))
    wanted = yaml.safe_load(ALERTMANAGER.read_text(encoding="utf-8"))
    assert routing["route"] == wanted["route"]
    assert routing["inhibit_rules"] == wanted["inhibit_rules"]
    assert [one.keys() for one in routing["receivers"]] == [{"name"}] * len(wanted["receivers"])
    assert all(str(tmp_path / "ops") in command for command in commands(local).values())
