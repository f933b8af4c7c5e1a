"""A broker of a fault test's own, beside single services: Apache Kafka."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiokafka.errors import KafkaError

from deploy.local.config import HOST, ROOT, free_port
from shared.kafka import ensure_topics

UP_WITHIN_SECONDS = 90


@asynccontextmanager
async def own_broker(folder: Path, partitions: int = 4) -> AsyncIterator[str]:
    """Run a broker that has all topics; yield its address. What it says is in `broker.log` in its folder."""
    port = free_port()
    told = {
        **os.environ,
        "KAFKA": "apache",
        "KAFKA_BROKERS": "1",
        "LANJIE_RUN_DIR": str(folder),
        "LANJIE_KAFKA_PORT": str(port),
        "LANJIE_KAFKA_CONTROLLER_PORT": str(free_port()),
    }
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - over in a moment
    with (folder / "broker.log").open("wb") as log:
        words = [sys.executable, "-m", "deploy.local.apache", "1"]
        process = subprocess.Popen(words, cwd=ROOT, env=told, stdout=log, stderr=log)  # noqa: ASYNC220 - over in a moment
    try:
        await _topics_made(f"{HOST}:{port}", partitions, process)
        yield f"{HOST}:{port}"
    finally:
        process.kill()
        process.wait()


async def _topics_made(address: str, partitions: int, process: subprocess.Popen[bytes]) -> None:
    async with asyncio.timeout(UP_WITHIN_SECONDS):
        while True:
            assert process.poll() is None, "the broker has ended: see broker.log"
            with suppress(KafkaError, OSError):
                return await ensure_topics(address, partitions=partitions, replicas=1)
            await asyncio.sleep(0.05)
