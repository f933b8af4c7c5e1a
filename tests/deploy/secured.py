"""An Apache Kafka that speaks TLS, asks everybody's name, and lets users do what the manifests allow them."""

import datetime as dt
import ipaddress
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.protocol.admin import CreateAclsRequest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.local import apache
from deploy.local.config import HOST, free_port
from tests.deploy.manifests import of_kind
from tests.deploy.tools import run

USERS = ("lanjie-intake", "lanjie-rules", "lanjie-notifier")
RESOURCES = {"topic": 2, "group": 3}
PATTERNS = {"literal": 3, "prefix": 4}
OPERATIONS = {"Read": 3, "Write": 4, "Describe": 8, "DescribeConfigs": 10}
ALLOW = 3


@dataclass(frozen=True, slots=True)
class Secured:
    """The broker: its address for users, and the folder with everybody's certificates."""

    address: str
    folder: Path
    back_door: str

    def variables(self, user: str) -> dict[str, str]:
        """Return what a service is told to come in as a user."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.address,
            "KAFKA_CA_FILE": str(self.folder / "ca.pem"),
            "KAFKA_CERTIFICATE_FILE": str(self.folder / f"{user}.crt"),
            "KAFKA_KEY_FILE": str(self.folder / f"{user}.key"),
        }

    async def set_up(self) -> None:
        """Make the topics and allow the users what the manifests say, as the operator would."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.back_door)
        await admin.start()
        try:
            topics = [(name, one["spec"]) for name, one in of_kind("dev", "KafkaTopic").items()]
            await admin.create_topics([NewTopic(name, spec["partitions"], 1) for name, spec in topics])
            for user in USERS:
                for acl in of_kind("dev", "KafkaUser")[user]["spec"]["authorization"]["acls"]:
                    for operation in acl["operations"]:
                        answer = await admin._send_request(_allow(user, acl["resource"], operation))  # noqa: SLF001
                        assert not answer.creation_responses[0][0], answer
        finally:
            await admin.close()


def _allow(user: str, resource: dict[str, Any], operation: str) -> CreateAclsRequest:
    kind, pattern = RESOURCES[resource["type"]], PATTERNS[resource["patternType"]]
    return CreateAclsRequest(kind, resource["name"], pattern, f"User:CN={user}", "*", OPERATIONS[operation], ALLOW)


@contextmanager
def secured_kafka(folder: Path) -> Iterator[Secured]:
    """Run it; who comes in by the back door, in plain text, is its master."""
    certify(folder)
    back, tls, controller = free_port(), free_port(), free_port()
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "listeners": f"BACK://{HOST}:{back},TLS://{HOST}:{tls},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": f"BACK://{HOST}:{back},TLS://{HOST}:{tls}",
        "listener.security.protocol.map": "BACK:PLAINTEXT,TLS:SSL,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "BACK",
        "controller.listener.names": "CONTROLLER",
        "listener.name.tls.ssl.client.auth": "required",
        "listener.name.tls.ssl.keystore.type": "PEM",
        "listener.name.tls.ssl.keystore.location": folder / "broker.pem",
        "listener.name.tls.ssl.truststore.type": "PEM",
        "listener.name.tls.ssl.truststore.location": folder / "ca.pem",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "log.dirs": folder / "data",
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
    }
    path = folder / "kafka.properties"
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()), encoding="utf-8")
    java = ("java", "-Xmx384m", *apache.FLAGS, "-cp", f"{apache.jars()}/*")
    cluster = apache.cluster_id(folder)
    run(*java, "kafka.tools.StorageTool", "format", "--cluster-id", cluster, "--config", path)
    with (folder / "kafka.log").open("wb") as log:
        process = subprocess.Popen([*java, "kafka.Kafka", str(path)], stdout=log, stderr=log)
    try:
        yield Secured(f"{HOST}:{tls}", folder, f"{HOST}:{back}")
    finally:
        process.kill()
        process.wait(20)


def certify(folder: Path) -> None:
    """Write an authority, the broker's certificate for our address, and one for each user and a stranger."""
    authority = ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("authority", authority, None)
    (folder / "ca.pem").write_bytes(_pem(ca))
    for name in ("broker", *USERS):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, key, (ca, authority))
        (folder / f"{name}.crt").write_bytes(_pem(certificate))
        (folder / f"{name}.key").write_bytes(_pem(key))
        (folder / f"{name}.pem").write_bytes(_pem(key) + _pem(certificate) + _pem(ca))


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    by: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by[0].subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
    )
    return made.sign(by[1] if by else key, hashes.SHA256())


def _pem(what: x509.Certificate | ec.EllipticCurvePrivateKey) -> bytes:
    if isinstance(what, x509.Certificate):
        return what.public_bytes(serialization.Encoding.PEM)
    form = serialization.PrivateFormat.PKCS8
    return what.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
