"""What FastStream and aiokafka have no setting for: how records are fetched, parsed, and a group is left.

It reaches into private parts of aiokafka 0.14, which is pinned; tests/e2e/test_consumer.py shows that each still works.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, cast

from aiokafka import AIOKafkaConsumer
from faststream.message import StreamMessage

from shared.records import Record

FETCH: Final[dict[str, Any]] = {
    "fetch_max_wait_ms": 100,  # aiokafka asks a broker once at a time: a partition may wait for the others' silence
    "fetch_max_bytes": 4 * 2**20,  # what is fetched lies in memory until it is handled
    "max_partition_fetch_bytes": 2**20,
    "batch_timeout_ms": 5,
}
POLL_MS: Final = 1000
IDLE_FETCH_SECONDS: Final = 0.005
FETCH_EVERY_SECONDS: Final = 0.03


def tame(consumer: AIOKafkaConsumer) -> None:
    """Let a consumer that has started wait for records instead of asking for them over and over."""
    _pace_fetches(consumer)
    _wait_for_records(consumer)


def _pace_fetches(consumer: AIOKafkaConsumer) -> None:
    """Ask each broker at most once in `FETCH_EVERY_SECONDS`: what comes meanwhile is fetched and handled together.

    A record that comes alone is not held up, since a broker answers the fetch that waits for it. Under load a batch
    costs as much for five records as for fifty, and without a pace all would be of five. The embedded broker does not
    hold an empty fetch, and aiokafka would ask again at once, for half a core a consumer. aiokafka has no setting
    for it, so this wraps the one method that asks.
    """
    fetcher = consumer._fetcher  # noqa: SLF001
    fetch = fetcher._proc_fetch_request  # noqa: SLF001
    asked: dict[object, float] = {}

    async def paced(assignment: object, node: object, request: object) -> bool:
        now = asyncio.get_running_loop().time
        try:
            await asyncio.sleep(asked.get(node, 0.0) + FETCH_EVERY_SECONDS - now())
        except asyncio.CancelledError:
            return False  # as the wrapped method does: its caller awaits it once more
        asked[node] = now()
        found: bool = await fetch(assignment, node, request)
        if not found:
            asked[node] = now() + IDLE_FETCH_SECONDS - FETCH_EVERY_SECONDS
        return found

    fetcher._proc_fetch_request = paced  # noqa: SLF001


def _wait_for_records(consumer: AIOKafkaConsumer) -> None:
    """Have a poll end with records only. After an empty one FastStream sleeps, and what comes meanwhile waits."""
    poll = consumer.getmany

    async def patient(*, timeout_ms: int, max_records: int) -> dict[Any, list[Any]]:
        found: dict[Any, list[Any]] = await poll(timeout_ms=timeout_ms, max_records=max_records)
        while not found:
            found = await poll(timeout_ms=POLL_MS, max_records=max_records)
        return found

    consumer.getmany = patient


def leave_for_good(consumer: AIOKafkaConsumer) -> None:
    """Have the member leave its group when it stops, so that the others take its partitions over at once.

    aiokafka never lets a static member leave. A broker takes a leave of one as of any other.
    """
    consumer._coordinator._group_instance_id = None  # noqa: SLF001


async def parse_leniently(
    records: tuple[Record, ...],
    original: Callable[[tuple[Record, ...]], Awaitable[StreamMessage[Any]]],
) -> StreamMessage[Any]:
    """Let FastStream parse nothing but one record without headers: a header that it cannot decode loses a batch.

    The records themselves are in `raw_message`; `shared.records.read` reads them one by one.
    """
    message = await original((replace(cast("Any", records[0]), value=b"", headers=()),))
    message.raw_message = records
    return message


async def leave_encoded(_message: StreamMessage[Any]) -> bytes:
    """Decode nothing."""
    return b""
