"""Apache Kafka beside the embedded broker: `KAFKA=apache`, one KRaft broker or `KAFKA_BROKERS=3` of them.

Maven fetches the jars that `pom.xml` names, once, into a cache outside the checkout; Java 17 runs them. Each node
is broker and controller in one.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Final

from deploy.local.config import HOST, Broker, CannotRunError, Local

POM: Final = Path(__file__).with_name("pom.xml")
OLDEST_JAVA: Final = 17
HEAP: Final = "384m"
FLAGS: Final = ("-XX:+UseSerialGC", "-Xss512k", "-XX:+ExitOnOutOfMemoryError")


def main() -> None:
    """Become the broker that the supervisor watches; a node without a data folder gets an empty one first."""
    local = Local.from_environment()
    node = local.brokers[int(sys.argv[1]) - 1]
    classes = str(jars() / "*")
    settings = _settings(local, node)
    if not (_data(local, node) / "meta.properties").exists():
        _format(local, classes, settings)
    words = ["java", f"-Xms{HEAP}", f"-Xmx{HEAP}", *FLAGS, "-cp", classes, "kafka.Kafka", str(settings)]
    os.execvp("java", words)  # noqa: S606, S607 - the user's own Java


def jars() -> Path:
    """Return the folder of Kafka's jars, fetched by Maven the first time.

    Raises `CannotRunError` where Java or Maven is missing or cannot fetch them.
    """
    _refuse_old_java()
    wanted = hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lanjie"
    folder = cache / f"kafka-{wanted}"
    if folder.is_dir():
        return folder
    if shutil.which("mvn") is None:
        raise CannotRunError(
            "Maven (mvn) is missing, which fetches Apache Kafka. Install it (Debian: apt-get install maven), "
            "or run with the embedded broker: KAFKA=embedded."
        )
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        fetched = Path(scratch) / "jars"
        words = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={fetched}"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode or not any(fetched.glob("kafka_*.jar")):
            said = (done.stdout + done.stderr).strip()[-2000:]
            raise CannotRunError(f"Maven could not fetch Apache Kafka as {POM} names it:\n{said}")
        if not folder.is_dir():  # another run may have been quicker
            fetched.rename(folder)
    return folder


def _refuse_old_java() -> None:
    try:
        done = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)  # noqa: S607
    except OSError:
        done = None
    words = done.stderr.split('"') if done else []
    version = words[1].split(".")[0] if len(words) > 1 else ""
    if not version.isdigit() or int(version) < OLDEST_JAVA:
        found = f"The java on the PATH is version {version}" if version else "There is no java on the PATH"
        raise CannotRunError(
            f"{found}; Apache Kafka needs Java {OLDEST_JAVA} or newer. Install it (Debian: apt-get install "
            f"openjdk-{OLDEST_JAVA}-jre-headless), or run with the embedded broker: KAFKA=embedded."
        )


def _data(local: Local, node: Broker) -> Path:
    return local.folder / node.name


def _settings(local: Local, node: Broker) -> Path:
    """Write a node's configuration; return its path."""
    copies = min(3, len(local.brokers))
    listeners = f"BROKER://{HOST}:{node.port},CONTROLLER://{HOST}:{node.controller_port}"
    voters = ",".join(f"{one.number}@{HOST}:{one.controller_port}" for one in local.brokers)
    settings = {
        "process.roles": "broker,controller",
        "node.id": node.number,
        "controller.quorum.voters": voters,
        "listeners": listeners,
        "advertised.listeners": f"BROKER://{HOST}:{node.port}",
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "BROKER",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": _data(local, node),
        "auto.create.topics.enable": "false",
        "delete.topic.enable": "true",
        "default.replication.factor": copies,
        "min.insync.replicas": max(1, copies - 1),
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": max(1, copies - 1),
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": max(1, copies - 1),
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "broker.session.timeout.ms": 4000,
        "broker.heartbeat.interval.ms": 1000,
        "num.network.threads": 2,
        "num.io.threads": 2,
        "log.retention.hours": 168,
    }
    path = local.folder / f"{node.name}.properties"
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()), encoding="utf-8")
    return path


def cluster_id(folder: Path) -> str:
    """Name the cluster after the run's folder, since all its nodes must agree on it: 16 bytes in base64.

    It never begins with a dash, which Kafka's tool would take for an option.
    """
    name = uuid.uuid5(uuid.NAMESPACE_URL, str(folder)).bytes
    return "L" + base64.urlsafe_b64encode(name).decode().rstrip("=")[1:]


def _format(local: Local, classes: str, settings: Path) -> None:
    cluster = cluster_id(local.folder)
    words = ["java", "-Xmx128m", *FLAGS, "-cp", classes, "kafka.tools.StorageTool", "format"]
    done = subprocess.run(
        [*words, "--cluster-id", cluster, "--config", str(settings), "--ignore-formatted"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CannotRunError(f"Kafka could not make its data folder: {(done.stdout + done.stderr).strip()}")


if __name__ == "__main__":
    try:
        main()
    except CannotRunError as error:
        sys.exit(str(error))
