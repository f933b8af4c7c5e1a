"""Network policies allow exactly what services use: nothing else comes in, nothing else gets out."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.deploy.manifests import OVERLAYS, SERVICES, built, of_kind, workloads
from tests.deploy.names import PORTS

OVERLAY = pytest.mark.parametrize("overlay", OVERLAYS)
POSTGRES = 5432


@OVERLAY
def test_what_no_policy_names_may_speak_with_nobody(overlay: str) -> None:
    nothing = of_kind(overlay, "NetworkPolicy")["nothing"]["spec"]
    assert nothing == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@OVERLAY
def test_what_starts_first_finds_names_and_the_api_of_kubernetes(overlay: str) -> None:
    """The platform comes up before the services: brokers and databases look each other up, and read Secrets."""
    policies = [one for one in built(overlay, "platform") if one["kind"] == "NetworkPolicy"]
    first = {one["metadata"]["name"]: one["spec"] for one in policies}
    assert first["names"]["podSelector"] == first["nothing"]["podSelector"] == {}
    assert _ports(first["names"]["egress"]) == {53}
    assert first["kafka"]["podSelector"] == {"matchLabels": {"strimzi.io/cluster": "lanjie"}}
    for name in ("kafka", "databases"):
        anywhere = [rule for rule in first[name]["egress"] if "to" not in rule]
        assert _ports(anywhere) == {443, 6443}, name


@OVERLAY
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_reached_on_its_port_alone_by_the_proxy_and_who_scrapes(overlay: str, service: str) -> None:
    policy = of_kind(overlay, "NetworkPolicy")[service]["spec"]
    assert _ports(policy["ingress"]) == {PORTS[service]}
    who = {
        one["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        for one in _peers(policy["ingress"], "from")
    }
    assert who == {"monitoring"} | (set() if service == "rules" else {"ingress-nginx"})


@OVERLAY
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reaches_the_brokers_and_its_own_database(overlay: str, service: str) -> None:
    policy = of_kind(overlay, "NetworkPolicy")[service]["spec"]
    brokers = int(workloads(overlay)[service].settings["KAFKA_BOOTSTRAP_SERVERS"].rsplit(":", 1)[1])
    within = [rule for rule in policy["egress"] if any("podSelector" in peer for peer in rule.get("to", ()))]
    assert _ports(within) == {brokers, POSTGRES}
    databases = {peer["podSelector"]["matchLabels"].get("cnpg.io/cluster") for peer in _peers(within, "to")} - {None}
    assert databases == {f"{service}-db"} <= set(of_kind(overlay, "Cluster"))


@OVERLAY
def test_only_notifier_calls_out_and_only_where_it_has_to(overlay: str) -> None:
    for service in SERVICES:
        policy = of_kind(overlay, "NetworkPolicy")[service]["spec"]
        out = _ports(rule for rule in policy["egress"] if not any("podSelector" in one for one in rule.get("to", ())))
        mail = urlsplit(workloads(overlay)[service].settings.get("SMTP_URL", "")).port
        assert out == ({443, mail} - {None} if service == "notifier" else set())


@OVERLAY
@pytest.mark.parametrize("service", SERVICES)
def test_a_migration_reaches_its_database_and_nothing_else(overlay: str, service: str) -> None:
    policy = of_kind(overlay, "NetworkPolicy")[f"{service}-migration"]["spec"]
    assert "ingress" not in policy
    assert _ports(policy["egress"]) == {POSTGRES}
    assert [peer["podSelector"]["matchLabels"] for peer in _peers(policy["egress"], "to")] == [
        {"cnpg.io/cluster": f"{service}-db"}
    ]


@OVERLAY
@pytest.mark.parametrize("service", SERVICES)
def test_a_database_is_reached_by_its_service_its_migration_and_a_person(overlay: str, service: str) -> None:
    rules = of_kind(overlay, "NetworkPolicy")[f"{service}-db"]["spec"]["ingress"]
    assert _ports(rules) == {POSTGRES}
    (peer,) = _peers(rules, "from")
    assert peer["podSelector"]["matchExpressions"][0]["values"] == [service, f"{service}-migration", "operator"]


@OVERLAY
def test_brokers_hear_the_services_and_who_looks_at_their_lag(overlay: str) -> None:
    (listener,) = of_kind(overlay, "Kafka")["lanjie"]["spec"]["kafka"]["listeners"]
    pods, keda = listener["networkPolicyPeers"]
    assert set(SERVICES) < set(pods["podSelector"]["matchExpressions"][0]["values"])
    assert keda["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "keda"}
    assert {
        one.settings["KAFKA_BOOTSTRAP_SERVERS"] for name, one in workloads(overlay).items() if name in SERVICES
    } == {f"lanjie-kafka-bootstrap:{listener['port']}"}


def _ports(rules: Any) -> set[int]:  # noqa: ANN401 - rules as they come
    return {port["port"] for rule in rules for port in rule["ports"]}


def _peers(rules: list[dict[str, Any]], side: str) -> Iterator[dict[str, Any]]:
    for rule in rules:
        yield from rule[side]
