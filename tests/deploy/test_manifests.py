"""Each manifest is what its reader understands, and asks for no more than a service needs."""

import copy
import json
import re
from typing import Any

import jsonschema
import kubernetes_validate
import pytest

from deploy.kubernetes import prometheus_rules
from deploy.local.config import ROOT
from tests.deploy.manifests import OVERLAYS, SERVICES, check, everything, of_kind, schema_of, sources, workloads

OPERATORS = ("keda.sh", "kafka.strimzi.io", "postgresql.cnpg.io", "barmancloud.cnpg.io", "monitoring.coreos.com")
OVERLAY = pytest.mark.parametrize("overlay", OVERLAYS)


def _operated(manifest: dict[str, Any]) -> bool:
    return manifest["apiVersion"].split("/")[0] in OPERATORS


# the oldest that docs/deployment.md names, and the newest there is
@pytest.mark.parametrize(("overlay", "version"), [("production", "1.31"), ("production", "1.37"), ("dev", "1.37")])
def test_kubernetes_understands_its_own_kinds_to_the_last_field(overlay: str, version: str) -> None:
    own = [one for one in everything(overlay) if not _operated(one)]
    assert len(own) > 20
    for manifest in own:
        kubernetes_validate.validate(copy.deepcopy(manifest), version, strict=True)


@OVERLAY
def test_operators_understand_their_resources_to_the_last_field(overlay: str) -> None:
    theirs = [one for one in everything(overlay) if _operated(one)]
    assert len(theirs) > 20
    for manifest in theirs:
        if manifest["kind"] != "ObjectStore":  # its definition is not to be had: below
            check(manifest)


def test_where_backups_go_is_written_as_the_databases_own_definition_has_it() -> None:
    cluster = schema_of("postgresql.cnpg.io/v1", "Cluster")["properties"]["spec"]["properties"]
    store = of_kind("production", "ObjectStore")["backups"]["spec"]
    jsonschema.Draft202012Validator(cluster["backup"]["properties"]["barmanObjectStore"]).validate(
        store["configuration"]
    )
    names = {plugin["parameters"]["barmanObjectName"] for plugin in _plugins()}
    assert names == {"backups"}


def _plugins() -> list[dict[str, Any]]:
    return [one for cluster in of_kind("production", "Cluster").values() for one in cluster["spec"]["plugins"]]


def test_a_field_that_nobody_knows_is_refused() -> None:
    scaled = copy.deepcopy(of_kind("dev", "ScaledObject")["rules"])
    scaled["spec"]["minReplicas"] = 1
    with pytest.raises(jsonschema.ValidationError, match="minReplicas"):
        check(scaled)
    topic = copy.deepcopy(of_kind("dev", "KafkaTopic")["lanjie.reports.v1"])
    topic["spec"]["partitions"] = "many"
    with pytest.raises(jsonschema.ValidationError, match="many"):
        check(topic)


@OVERLAY
def test_everything_lies_in_the_namespace_of_its_overlay(overlay: str) -> None:
    namespace, *more = of_kind(overlay, "Namespace")
    assert not more
    assert {one["metadata"]["namespace"] for one in everything(overlay) if one["kind"] != "Namespace"} == {namespace}


@OVERLAY
def test_a_pod_is_nobody_writes_nothing_and_may_do_nothing(overlay: str) -> None:
    assert len(workloads(overlay)) == 6
    for one in workloads(overlay).values():
        pod, container = one.pod["securityContext"], one.container["securityContext"]
        assert (pod["runAsNonRoot"], pod["runAsUser"], pod["seccompProfile"]) == (
            True,
            10001,
            {"type": "RuntimeDefault"},
        )
        assert container == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert one.pod["automountServiceAccountToken"] is False
        assert one.pod["enableServiceLinks"] is False, "Kubernetes would add variables that nobody asked for"
        assert {mount["name"] for mount in one.container["volumeMounts"] if not mount.get("readOnly")} == {"tmp"}


@OVERLAY
def test_a_pod_gets_more_memory_than_its_service_was_measured_to_take(overlay: str) -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    for name in SERVICES:
        measured = re.search(rf"memory of {name} after them, and at most, MB \| \d+, (\d+)", page)
        assert measured
        resources = workloads(overlay)[name].container["resources"]
        asked, most = (int(resources[one]["memory"].removesuffix("Mi")) for one in ("requests", "limits"))
        assert asked * 1.048 > int(measured[1]) * 1.2
        assert most >= 2 * asked


@OVERLAY
def test_images_are_pinned(overlay: str) -> None:
    for one in workloads(overlay).values():
        assert re.fullmatch(r"(images\.example/)?lanjie:\d+\.\d+\.\d+", one.container["image"])


def test_the_alert_rules_are_those_of_prometheus() -> None:
    assert prometheus_rules.WRITTEN.read_text(encoding="utf-8") == prometheus_rules.text(), (
        "python -m deploy.kubernetes.prometheus_rules writes it anew"
    )


@OVERLAY
def test_disruptions_take_one_replica_at_a_time(overlay: str) -> None:
    budgets = of_kind(overlay, "PodDisruptionBudget")
    assert set(budgets) == set(SERVICES)
    for name, budget in budgets.items():
        assert budget["spec"]["maxUnavailable"] == 1
        labels = of_kind(overlay, "Deployment")[name]["spec"]["template"]["metadata"]["labels"]
        assert budget["spec"]["selector"]["matchLabels"].items() <= labels.items()


@OVERLAY
def test_nothing_is_too_large_to_be_applied(overlay: str) -> None:
    """kubectl notes each resource whole in an annotation of it, and all of them may have 256 KiB together."""
    for one in everything(overlay):
        assert len(json.dumps(one).encode()) < 200 * 1024, one["metadata"]["name"]


@OVERLAY
def test_a_budget_never_forbids_to_empty_a_machine(overlay: str) -> None:
    for cluster in of_kind(overlay, "Cluster").values():
        assert cluster["spec"]["enablePDB"] == (cluster["spec"]["instances"] > 1)


def test_no_secret_is_written_down() -> None:
    assert not any("kind: Secret\n" in path.read_text(encoding="utf-8") for path in sources())
