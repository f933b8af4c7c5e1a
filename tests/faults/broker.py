"""The embedded broker, for tests that need one beside single services."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiokafka.errors import KafkaError

from deploy.local.config import HOST, free_port
from deploy.local.stack import KAFKA_BINARY
from shared.kafka import ensure_topics


@asynccontextmanager
async def own_broker(folder: Path, partitions: int = 4) -> AsyncIterator[str]:
    """Run a broker that has all topics; yield its address."""
    port = free_port()
    where = ("--kafka-port", str(port), "--data-dir", str(folder), "--host", HOST)
    process = subprocess.Popen(  # noqa: ASYNC220 - over in a moment
        [str(KAFKA_BINARY), "start", "--only", "kafka", *where], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        await _topics_made(f"{HOST}:{port}", partitions)
        yield f"{HOST}:{port}"
    finally:
        process.kill()
        process.wait()


async def _topics_made(address: str, partitions: int) -> None:
    async with asyncio.timeout(30):
        while True:
            with suppress(KafkaError, OSError):
                return await ensure_topics(address, partitions=partitions, replicas=1)
            await asyncio.sleep(0.05)
