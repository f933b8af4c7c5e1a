"""A run's brokers as a fault test hurts them: who leads, who is in step, what is stopped, wiped and deleted."""

import asyncio
import os
import shutil
import signal
import xmlrpc.client
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from supervisor.xmlrpc import SupervisorTransport

from tests.e2e.stack import Stack

PARTS: Final = {1: "kafka", 2: "kafka2", 3: "kafka3"}
PATIENCE_SECONDS: Final = 180.0
LOOK_EVERY_SECONDS: Final = 0.2
AWAY: Final = (KafkaError, OSError, TimeoutError)


@contextmanager
def supervisor(stack: Stack) -> Iterator[Any]:
    """Yield the commands of the run's supervisor."""
    transport = SupervisorTransport(None, None, f"unix://{stack.folder}/supervisor.sock")
    try:
        yield xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor
    finally:
        transport.close()


def stop(stack: Stack, part: str) -> None:
    """End a part and keep it down."""
    with supervisor(stack) as commands:
        commands.stopProcess(part)


def start(stack: Stack, part: str) -> None:
    """Start a part that was stopped."""
    with supervisor(stack) as commands:
        commands.startProcess(part)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Three brokers of a run."""

    stack: Stack

    async def leader(self, topic: str, partition: int) -> str:
        """Return the part that leads a partition, as soon as one does."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                with suppress(*AWAY):
                    async with self._admin() as admin:
                        (found,) = await admin.describe_topics([topic])
                        leads = {one["partition"]: one["leader"] for one in found["partitions"]}
                        if leads.get(partition) in PARTS:
                            return PARTS[leads[partition]]
                await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def whole(self) -> None:
        """Return once every broker is up and has every record."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                with suppress(*AWAY):
                    async with self._admin() as admin:
                        cluster = await admin.describe_cluster()
                        if len(cluster["brokers"]) == len(PARTS):
                            topics = await admin.describe_topics()
                            partitions = [one for topic in topics for one in topic["partitions"]]
                            if all(len(one["isr"]) == len(one["replicas"]) for one in partitions):
                                return
                await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def delete(self, topic: str) -> None:
        """Delete a topic with everything on it."""
        async with self._admin() as admin:
            await admin.delete_topics([topic])

    async def there(self, topic: str) -> None:
        """Return once a topic is there (again)."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                with suppress(*AWAY):
                    async with self._admin() as admin:
                        if topic in await admin.list_topics():
                            return
                await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def kill(self, *parts: str) -> None:
        """`kill -9` brokers at once; the supervisor starts them again, and others soon notice."""
        await asyncio.gather(*(asyncio.to_thread(self.stack.kill, part) for part in parts))

    async def back(self, *parts: str) -> None:
        """Return once brokers that were killed take connections again."""
        addresses = dict(zip(PARTS.values(), self.stack.info["kafka"].split(","), strict=True))
        async with asyncio.timeout(PATIENCE_SECONDS):
            for host, _, port in (addresses[part].partition(":") for part in parts):
                while not await _takes_connections(host, int(port)):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def halt(self, part: str, seconds: float) -> None:
        """Stop a broker for so long without ending it: its connections stay open, and nothing comes over them."""
        pid = await asyncio.to_thread(self.stack.pid, part)
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)

    async def wipe(self, part: str) -> None:
        """Give a broker an empty disk."""
        await asyncio.to_thread(stop, self.stack, part)
        await asyncio.to_thread(shutil.rmtree, self.stack.folder / part)
        await asyncio.to_thread(start, self.stack, part)

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        """Yield an administrator. Raises one of `AWAY` where brokers are."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.stack.info["kafka"], request_timeout_ms=3000)
        try:
            async with asyncio.timeout(10):
                await admin.start()
                yield admin
        finally:
            with suppress(*AWAY):
                await admin.close()


async def _takes_connections(host: str, port: int) -> bool:
    with suppress(OSError):
        _, writer = await asyncio.open_connection(host, port)
        writer.close()
        return True
    return False
