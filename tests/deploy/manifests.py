"""The manifests as kustomize puts them together, and the schemas they must fit."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema
import yaml

from deploy.local.config import ROOT
from tests.deploy import tools

KUBERNETES: Final = ROOT / "deploy" / "kubernetes"
PARTS: Final = ("platform", "migrations", "services")
OVERLAYS: Final = ("dev", "production")
SERVICES: Final = ("intake", "rules", "notifier")

Manifest = dict[str, Any]


@cache
def built(overlay: str, part: str) -> tuple[Manifest, ...]:
    """Return the resources of one part of an overlay."""
    said = tools.run(tools.kustomize(), "build", str(KUBERNETES / "overlays" / overlay / part))
    return tuple(yaml.safe_load_all(said))


def everything(overlay: str) -> tuple[Manifest, ...]:
    """Return the resources of all parts of an overlay."""
    return tuple(one for part in PARTS for one in built(overlay, part))


def of_kind(overlay: str, kind: str) -> dict[str, Manifest]:
    """Return an overlay's resources of a kind, by name."""
    return {one["metadata"]["name"]: one for one in everything(overlay) if one["kind"] == kind}


@dataclass(frozen=True, slots=True)
class Workload:
    """A pod that is asked for, with its one container."""

    name: str
    pod: Manifest
    container: Manifest
    settings: Manifest
    """The environment: literals of ConfigMaps and of its own."""
    files: frozenset[str]
    """Names of the variables that lie as files in SECRETS_DIR."""


def workloads(overlay: str) -> dict[str, Workload]:
    """Return what an overlay runs of ours."""
    maps = of_kind(overlay, "ConfigMap")
    return {
        name: _workload(name, one["spec"]["template"]["spec"], maps)
        for kind in ("Deployment", "Job")
        for name, one in of_kind(overlay, kind).items()
    }


def _workload(name: str, pod: Manifest, maps: dict[str, Manifest]) -> Workload:
    container = pod["containers"][0]
    settings: Manifest = {}
    for source in container.get("envFrom", ()):
        settings |= maps[source["configMapRef"]["name"]]["data"]
    settings |= {one["name"]: one.get("value", "(of the pod)") for one in container["env"]}
    return Workload(name, pod, container, settings, frozenset(_files(pod, container, settings["SECRETS_DIR"])))


def _files(pod: Manifest, container: Manifest, folder: str) -> Iterator[str]:
    volume = next(one["name"] for one in container["volumeMounts"] if one["mountPath"] == folder)
    yield from (path for mounted, path in mounted_files(pod, container) if mounted == volume)


def mounted_files(pod: Manifest, container: Manifest) -> Iterator[tuple[str, str]]:
    """Return the volume and the file of each secret that is mounted."""
    names = {one["name"] for one in container["volumeMounts"]}
    for volume in pod["volumes"]:
        secrets = [one["secret"] for one in volume.get("projected", {}).get("sources", ())]
        for secret in [*secrets, *([volume["secret"]] if "secret" in volume else [])]:
            for item in secret.get("items", ()):
                assert volume["name"] in names, f"{volume['name']} is mounted nowhere"
                yield volume["name"], item["path"]


@cache
def schema_of(group_version: str, kind: str) -> Manifest:
    """Return the closed schema of an operator's resource: what it does not name is refused."""
    group, version = group_version.split("/")
    for path in tools.definitions():
        text = path.read_text(encoding="utf-8")
        if f"  group: {group}\n" in text and f"    kind: {kind}\n" in text:
            versions = yaml.load(text, Definitions)["spec"]["versions"]  # noqa: S506 - a safe one
            found = next(one for one in versions if one["name"] == version and one["served"])
            schema: Manifest = closed(found["schema"]["openAPIV3Schema"])
            return schema
    raise AssertionError(f"no operator that we know of reads {group_version} {kind}")


class Definitions(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # whichever is there
    """Reads YAML safely; a lone `=`, which YAML 1.1 gave a meaning nobody used, is text."""


Definitions.add_constructor("tag:yaml.org,2002:value", lambda _loader, node: node.value)


def closed(schema: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Turn a definition's schema into JSON Schema as the server understands it: unknown fields are mistakes."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: closed(value) for name, value in schema.items() if name != "default"}
    if made.pop("x-kubernetes-int-or-string", False):
        made["type"] = ["integer", "string"]
    if made.pop("nullable", False) and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    inner = made.get("properties")
    if (
        isinstance(inner, dict)
        and made.get("type") == "object"
        and not made.get("x-kubernetes-preserve-unknown-fields")
    ):
        made.setdefault("additionalProperties", False)
    return made


def check(manifest: Manifest) -> None:
    """Hold an operator's resource against its definition. Raises `jsonschema.ValidationError`."""
    schema = schema_of(manifest["apiVersion"], manifest["kind"])
    body = {name: value for name, value in manifest.items() if name != "metadata"}
    schema = {**schema, "properties": {**schema["properties"], "apiVersion": {}, "kind": {}}}
    schema["required"] = [name for name in schema.get("required", ()) if name != "metadata"]
    jsonschema.Draft202012Validator(schema).validate(body)


def sources() -> list[Path]:
    """Return every file that is written by hand."""
    return [path for path in sorted(KUBERNETES.rglob("*.yaml")) if path.name != "rules.yaml"]
