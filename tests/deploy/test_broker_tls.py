"""The chain over TLS: what the manifests allow each service at the brokers is enough, and no more than enough."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx2
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from deploy.local.config import HOST, ROOT, free_port
from shared.broker_tls import Tls, client_options
from shared.events import DISPOSITIONS, FEEDBACK, REPORTS, VERDICTS
from shared.settings import BrokerFiles
from tests.deploy.manifests import SERVICES
from tests.deploy.secured import Secured, secured_kafka
from tests.parts import KEY_BYTES, DatabaseServer, a_key, a_report, bank


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Yield a broker set up by the manifests."""
    with secured_kafka(Path(tmp_path_factory.mktemp("secured"))) as running:
        asyncio.run(_set_up(running))
        yield running


async def _set_up(kafka: Secured) -> None:
    deadline = time.monotonic() + 120
    while True:
        with suppress(KafkaError, OSError):
            return await kafka.set_up()
        assert time.monotonic() < deadline, "the broker did not come up"
        await asyncio.sleep(0.2)


@asynccontextmanager
async def _serving(kafka: Secured, server: DatabaseServer, folder: Path) -> AsyncIterator[dict[str, str]]:
    """Run the three services, each as its own user; yield their addresses once all have joined."""
    doors, processes = {}, []
    for service in SERVICES:
        port = str(free_port())
        doors[service] = f"http://{HOST}:{port}"
        told = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **kafka.variables(f"lanjie-{service}"),
            "DATABASE_URL": await server.clone(service),
            "PORT": port,
            "NARRATIVE_KEYS": f"n1:{KEY_BYTES}",
            "IDENTITY_KEYS": f"i1:{KEY_BYTES}",
            "TOKEN_KEY": KEY_BYTES,
        }
        with (folder / f"{service}.log").open("wb") as log:
            words = [sys.executable, "-m", f"services.{service}"]
            processes.append(subprocess.Popen(words, cwd=ROOT, env=told, stdout=log, stderr=log))  # noqa: ASYNC220
    try:
        async with asyncio.timeout(180), httpx2.AsyncClient(timeout=5) as client:
            for url, process in zip(doors.values(), processes, strict=True):
                while not await _works(client, url):
                    assert process.poll() is None, f"what should serve {url} ended"
                    await asyncio.sleep(0.2)
        yield doors
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(30)


async def _works(client: httpx2.AsyncClient, url: str) -> bool:
    with suppress(httpx2.HTTPError):
        answer = await client.get(f"{url}/health/ready")
        return answer.status_code == 200 and answer.json()["consumer"] == "ok"
    return False


async def test_a_report_goes_all_the_way_with_the_rights_of_the_manifests(
    kafka: Secured, server: DatabaseServer, tmp_path: Path
) -> None:
    async with _serving(kafka, server, tmp_path) as doors, httpx2.AsyncClient(timeout=20) as client:
        headers = bank(**{"Idempotency-Key": a_key()})
        filed = await client.post(f"{doors['intake']}/v1/reports", headers=headers, json=a_report())
        assert filed.status_code == 202
        where = f"{doors['intake']}{filed.headers['location']}"
        async with asyncio.timeout(90):
            answer = await client.get(where, headers=bank())
            while not answer.json().get("case"):
                await asyncio.sleep(0.1)
                answer = await client.get(where, headers=bank())
    for service in SERVICES:
        said = (tmp_path / f"{service}.log").read_text(encoding="utf-8")
        assert "Authorization" not in said, said[-2000:]


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("lanjie-rules", REPORTS),
        ("lanjie-intake", VERDICTS),
        ("lanjie-notifier", FEEDBACK),
        ("lanjie-rules", DISPOSITIONS),
    ],
)
async def test_no_service_can_say_what_is_another_ones_to_say(kafka: Secured, user: str, topic: str) -> None:
    producer = AIOKafkaProducer(**_as(kafka, user))
    await producer.start()
    try:
        with pytest.raises(TopicAuthorizationFailedError):
            await producer.send_and_wait(topic, b"{}", key=b"forged")
    finally:
        await producer.stop()


async def test_who_shows_no_certificate_is_not_heard(kafka: Secured) -> None:
    options = client_options(Tls(kafka.folder / "ca.pem"))
    producer = AIOKafkaProducer(bootstrap_servers=kafka.address, request_timeout_ms=5000, **options)
    try:
        with pytest.raises(KafkaError):
            await producer.start()
    finally:
        await producer.stop()


def _as(kafka: Secured, user: str) -> dict[str, object]:
    told = {name.lower(): value for name, value in kafka.variables(user).items()}
    address = told.pop("kafka_bootstrap_servers")
    return {"bootstrap_servers": address, **client_options(BrokerFiles(**told).broker_tls())}  # type: ignore[arg-type]
