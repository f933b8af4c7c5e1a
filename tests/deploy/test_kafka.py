"""Topics, users and scaling are what the services say and hear."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared import events
from shared.events import EVENTS, TALLIES, TOPICS, dead_letters
from shared.kafka import KEPT, in_sync
from tests.deploy.manifests import OVERLAYS, SERVICES, of_kind, workloads

ROOT = Path(__file__).parent.parent.parent
OVERLAY = pytest.mark.parametrize("overlay", OVERLAYS)


def _heard(service: str) -> set[str]:
    """Return what a service's wiring subscribes to."""
    text = (ROOT / "services" / service / "app.py").read_text(encoding="utf-8")
    found = re.search(r"\(([A-Z]+(?:, [A-Z]+)+)\)", text)
    assert found
    return {getattr(events, name) for name in found[1].split(", ")}


def _said(service: str) -> set[str]:
    """Return the topics of the events that a service makes; all take tallies (`shared.reconciling`)."""
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "services" / service).rglob("*.py"))
    return {event.topic for event in EVENTS.values() if re.search(rf"\b{event.__name__}\(\n? *\w", text)} | {TALLIES}


def _allowed(user: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for acl in user["spec"]["authorization"]["acls"]:
        for operation in acl["operations"]:
            name = acl["resource"]["name"] + ("*" if acl["resource"]["patternType"] == "prefix" else "")
            yield acl["resource"]["type"], name, operation


@OVERLAY
@pytest.mark.parametrize("service", SERVICES)
def test_a_user_may_say_and_hear_what_its_service_does_and_nothing_else(overlay: str, service: str) -> None:
    allowed = set(_allowed(of_kind(overlay, "KafkaUser")[f"lanjie-{service}"]))
    heard, said = _heard(service), _said(service)
    assert allowed == {
        ("topic", "lanjie.*", "Describe"),
        ("topic", "lanjie.*", "DescribeConfigs"),
        ("group", f"lanjie-{service}", "Read"),
        *(("topic", topic, "Read") for topic in heard),
        *(("topic", topic, "Write") for topic in said),
        *(("topic", dead_letters(topic), "Write") for topic in heard),
    }


@OVERLAY
def test_topics_are_those_that_services_would_make(overlay: str) -> None:
    told = workloads(overlay)["rules"].settings
    partitions, replicas = int(told["KAFKA_PARTITIONS"]), int(told["KAFKA_REPLICAS"])
    topics = of_kind(overlay, "KafkaTopic")
    assert set(topics) == {*TOPICS, *map(dead_letters, TOPICS)}
    for name, topic in topics.items():
        spec = topic["spec"]
        assert spec["partitions"] == (partitions if name in TOPICS else 1)
        assert spec["replicas"] == replicas
        assert spec["config"]["min.insync.replicas"] == in_sync(replicas)
        assert spec["config"]["unclean.leader.election.enable"] is False
        for setting, value in KEPT.get(name, {}).items():
            assert str(spec["config"][setting]) == value


@OVERLAY
def test_no_service_grows_beyond_its_partitions(overlay: str) -> None:
    for name, scaled in of_kind(overlay, "ScaledObject").items():
        spec = scaled["spec"]
        assert spec["scaleTargetRef"]["name"] == name
        assert scaled["metadata"]["labels"]["app.kubernetes.io/name"] == name, "KEDA refuses it before its Deployment"
        assert spec["maxReplicaCount"] <= int(workloads(overlay)[name].settings["KAFKA_PARTITIONS"])
        lag = next(one["metadata"] for one in spec["triggers"] if one["type"] == "kafka")
        assert lag["consumerGroup"] == f"lanjie-{name}"
        assert lag["topic"] in _heard(name)
        assert lag["bootstrapServers"] == workloads(overlay)[name].settings["KAFKA_BOOTSTRAP_SERVERS"]


def test_production_survives_the_loss_of_one_of_everything() -> None:
    assert of_kind("production", "KafkaNodePool")["both"]["spec"]["replicas"] == 3
    assert {one["spec"]["instances"] for one in of_kind("production", "Cluster").values()} == {3}
    assert {one["spec"]["minReplicaCount"] for one in of_kind("production", "ScaledObject").values()} == {2}
    config = of_kind("production", "Kafka")["lanjie"]["spec"]["kafka"]["config"]
    assert (config["default.replication.factor"], config["min.insync.replicas"]) == (3, 2)


@OVERLAY
def test_brokers_keep_away_from_each_other_and_from_nothing_else(overlay: str) -> None:
    """The pod of the entity operator is of the same cluster and kind: on three machines it would find no place."""
    pod = of_kind(overlay, "KafkaNodePool")["both"]["spec"]["template"]["pod"]
    (away,) = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert away["labelSelector"]["matchLabels"]["strimzi.io/pool-name"] == "both"


def test_each_cluster_of_databases_holds_the_database_of_one_service() -> None:
    for overlay in OVERLAYS:
        for service in SERVICES:
            made = of_kind(overlay, "Cluster")[f"{service}-db"]["spec"]["bootstrap"]["initdb"]
            assert (made["database"], made["owner"]) == (service, service)


def test_the_brokers_are_of_the_version_that_tests_run_on() -> None:
    pom = (ROOT / "deploy" / "local" / "pom.xml").read_text(encoding="utf-8")
    tried = re.search(r"<kafka.version>([\d.]+)<", pom)
    assert tried
    assert {of_kind(one, "Kafka")["lanjie"]["spec"]["kafka"]["version"] for one in OVERLAYS} == {tried[1]}
