"""Every variable, port, path and file that the manifests name is one that the code knows."""

import re
from pathlib import Path

import pytest

from tests.deploy.manifests import OVERLAYS, SERVICES, mounted_files, of_kind, workloads
from tests.deploy.names import PORTS, known, paths, required, settings_of

ROOT = Path(__file__).parent.parent.parent
OVERLAY = pytest.mark.parametrize("overlay", OVERLAYS)


@OVERLAY
def test_every_variable_is_one_that_the_process_reads(overlay: str) -> None:
    for name, one in workloads(overlay).items():
        told = one.settings.keys() | {file.upper() for file in one.files}
        assert told <= known(settings_of(name)), name


@OVERLAY
def test_every_variable_that_a_process_needs_is_there_secrets_as_files(overlay: str) -> None:
    secret = {"DATABASE_URL", "NARRATIVE_KEYS", "IDENTITY_KEYS", "TOKEN_KEY"}
    for name, one in workloads(overlay).items():
        files = {file.upper() for file in one.files}
        assert required(settings_of(name)) <= one.settings.keys() | files, name
        assert not secret & one.settings.keys()
        assert files <= required(settings_of(name)), f"{name} is given keys that it does not need"


@OVERLAY
def test_each_file_that_a_variable_names_is_mounted_where_it_says(overlay: str) -> None:
    for one in workloads(overlay).values():
        places = {mount["name"]: mount["mountPath"] for mount in one.container["volumeMounts"]}
        mounted = {f"{places[volume]}/{path}" for volume, path in mounted_files(one.pod, one.container)}
        named = {value for name, value in one.settings.items() if name.endswith(("_FILE", "ROOTCERT"))}
        assert named <= mounted
        assert mounted == named | {f"{one.settings['SECRETS_DIR']}/{file}" for file in one.files}


@OVERLAY
def test_values_are_such_as_the_settings_take(overlay: str, tmp_path: Path) -> None:
    file = tmp_path / "ca.crt"
    file.touch()
    stand_in = {"DATABASE_URL": "x", "NARRATIVE_KEYS": _key(), "IDENTITY_KEYS": _key(), "TOKEN_KEY": "x"}
    for name in SERVICES:
        told = {**stand_in, **workloads(overlay)[name].settings}
        values = {one.lower(): str(file) if one.endswith("_FILE") else value for one, value in told.items()}
        assert settings_of(name).model_validate(values).model_dump()["port"] == PORTS[name]


def _key() -> str:
    return "k1:" + "A" * 43 + "="


@OVERLAY
def test_probes_ask_paths_that_are_answered_on_the_port_that_is_listened_on(overlay: str) -> None:
    for name in SERVICES:
        container = workloads(overlay)[name].container
        assert container["ports"] == [{"name": "http", "containerPort": PORTS[name]}]
        for probe, path in (("startup", "live"), ("readiness", "ready"), ("liveness", "live")):
            asked = container[f"{probe}Probe"]["httpGet"]
            assert asked == {"path": f"/health/{path}", "port": "http"}
            assert asked["path"] in paths()
        ports = of_kind(overlay, "Service")[name]["spec"]["ports"]
        assert ports == [{"name": "http", "port": PORTS[name], "targetPort": "http"}]


@OVERLAY
def test_a_pod_has_the_time_that_a_stop_takes(overlay: str) -> None:
    said = re.search(
        r"within\s+(\d+) seconds .*?give it (\d+)",
        (ROOT / "docs" / "operations.md").read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert said
    for name in SERVICES:
        one = workloads(overlay)[name]
        before = one.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {"seconds": 0})["seconds"]
        assert one.pod["terminationGracePeriodSeconds"] >= before + int(said[2])
        assert (before > 0) == (name != "rules"), "who has a door waits until no balancer sends anybody"


@OVERLAY
def test_commands_are_those_of_the_program(overlay: str) -> None:
    for name, one in workloads(overlay).items():
        if name in SERVICES:
            assert one.container["command"] == ["python", "-m", f"services.{name}"]
            assert (ROOT / "services" / name / "__main__.py").exists()
        else:
            assert one.container["command"] == ["lanjie", name.removesuffix("-migration"), "migrate"]


@OVERLAY
def test_replicas_have_names_of_their_own_that_outlive_their_containers(overlay: str) -> None:
    for name in SERVICES:
        given = {one["name"]: one for one in workloads(overlay)[name].container["env"]}
        assert given["INSTANCE_ID"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


def test_doors_let_through_their_own_paths_and_no_others() -> None:
    let = {
        name: {path["path"] for rule in one["spec"]["rules"] for path in rule["http"]["paths"]}
        for name, one in of_kind("production", "Ingress").items()
    }
    assert let == {"intake": {"/v1/"}, "notifier": {"/v1/", "/a/"}}
    assert {"/metrics", "/health/ready"} <= paths()
