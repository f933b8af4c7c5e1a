"""The compose file: what it names exists, what must not be seen is not, and its databases are each service's own."""

import asyncio
import os
import re
import runpy
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from deploy.local.config import HOST, ROOT
from deploy.local.postgres import BIN
from shared.postgres import migrate
from tests.deploy.compose import FILE, composed
from tests.deploy.manifests import SERVICES
from tests.deploy.names import PORTS, known, required, settings_of
from tests.parts import DatabaseServer

FOLDER = FILE.parent / "compose"
WITHOUT_A_DOOR = {"rules", "postgres", "kafka"}


def _of(name: str) -> dict[str, Any]:
    service: dict[str, Any] = composed()["services"][name]
    return service


def _files(name: str) -> set[str]:
    return {secret["target"].removeprefix("/run/secrets/").upper() for secret in _of(name).get("secrets", ())}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_told_what_it_reads_and_all_it_needs(name: str) -> None:
    told = _of(name)["environment"].keys() | _files(name)
    assert required(settings_of(name)) <= told <= known(settings_of(name))
    assert _files(name) <= required(settings_of(name)), "no service is given keys that it does not need"
    assert _of(name)["environment"]["PORT"] == str(PORTS[name])
    assert (
        _of(name)["environment"]["KAFKA_BOOTSTRAP_SERVERS"] in _of("kafka")["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    )
    assert _of(name)["environment"]["SECRETS_DIR"] == "/run/secrets"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_for_the_broker_and_for_its_data(name: str) -> None:
    waits = {what: how["condition"] for what, how in _of(name)["depends_on"].items()}
    assert waits == {"kafka": "service_healthy", f"load-{name}": "service_completed_successfully"}
    assert _of(f"load-{name}")["depends_on"].keys() == {f"migrate-{name}"}
    assert _of(f"migrate-{name}")["depends_on"]["postgres"]["condition"] == "service_healthy"
    for step in ("load", "migrate"):
        assert _of(f"{step}-{name}")["secrets"] == [{"source": f"{name}_database_url", "target": "database_url"}]


def test_what_is_published_is_seen_on_this_machine_only_and_no_database_is() -> None:
    for name, service in composed()["services"].items():
        assert all(port["host_ip"] == HOST for port in service.get("ports", ()))
        assert not (name in WITHOUT_A_DOOR and service.get("ports"))
    assert composed()["networks"]["chain"]["internal"]
    assert set(_of("postgres")["networks"]) == set(_of("kafka")["networks"]) == {"chain"}


def test_images_are_pinned_and_of_the_versions_that_tests_run_on() -> None:
    for service in composed()["services"].values():
        assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+(\.\d+)?", service["image"])
    pom = (ROOT / "deploy" / "local" / "pom.xml").read_text(encoding="utf-8")
    assert f"<kafka.version>{_of('kafka')['image'].partition(':')[2]}<" in pom
    said = subprocess.run([BIN / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    assert said.split()[-1] == _of("postgres")["image"].partition(":")[2]


def test_all_have_limits_and_none_may_gain_rights() -> None:
    for name, service in composed()["services"].items():
        assert service["mem_limit"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("read_only") or name in {"postgres", "kafka"}
        assert "healthcheck" in service or name in SERVICES, "the image has its own"


def test_all_that_is_mounted_is_there_or_made_by_the_script(tmp_path: Path) -> None:
    made = {path.name for path in _make_secrets(tmp_path).iterdir()}
    assert {Path(secret["file"]).name for secret in composed()["secrets"].values()} == made
    assert {Path(secret["file"]).parent for secret in composed()["secrets"].values()} == {FOLDER / "secrets"}
    for service in composed()["services"].values():
        for mount in service.get("volumes", ()):
            assert mount["type"] == "volume" or Path(mount["source"]).exists(), mount["source"]
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "/deploy/compose/secrets/" in ignored


def test_secrets_are_made_once_and_open_what_they_should(tmp_path: Path) -> None:
    folder = _make_secrets(tmp_path)
    first = {path.name: path.read_text() for path in folder.iterdir()}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    again = _make_secrets(tmp_path)
    assert {path.name: path.read_text() for path in again.iterdir()} == first
    for name in SERVICES:
        told = {"port": 1, "kafka_bootstrap_servers": "x"}
        settings_of(name).model_validate(told | {one.lower(): first[_source(name, one)] for one in _files(name)})


def _source(service: str, variable: str) -> str:
    return f"{service}_database_url" if variable == "DATABASE_URL" else variable.lower()


def _make_secrets(folder: Path) -> Path:
    script = shutil.copy(FOLDER / "make_secrets.py", folder)
    runpy.run_path(str(script), run_name="__main__")
    return folder / "secrets"


async def test_each_service_has_a_database_that_no_other_can_reach(server: DatabaseServer, tmp_path: Path) -> None:
    secrets = _make_secrets(tmp_path)
    port = str(server.local.ports["postgres"])
    told = {**os.environ, "PGHOST": HOST, "PGPORT": port, "PGPASSWORD": "test", "POSTGRES_USER": "postgres"}
    told |= {"SECRETS_DIR": str(secrets), "PATH": f"{BIN}:{os.environ['PATH']}"}
    await asyncio.to_thread(subprocess.run, ["/bin/sh", str(FOLDER / "databases.sh")], env=told, check=True)
    urls = {name: (secrets / f"{name}_database_url").read_text() for name in SERVICES}
    reached = {name: url.replace("@postgres:5432", f"@{HOST}:{port}") for name, url in urls.items()}
    for name in SERVICES:
        assert urls[name] != reached[name]
        migrate(reached[name], name)  # as its owner: also what needs an extension
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(reached[name].rpartition("/")[0] + f"/{_next(name)}")


def _next(name: str) -> str:
    return SERVICES[(SERVICES.index(name) + 1) % len(SERVICES)]
