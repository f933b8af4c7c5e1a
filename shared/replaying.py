"""Putting dead letters back on the topics they came from, as they were."""

from collections.abc import Sequence
from uuid import UUID

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from shared import dead_letter_store
from shared.broker_tls import Tls, client_options
from shared.dead_letters import Letter, LetterState, opened
from shared.postgres import AnyConnection
from shared.privacy import Seal


class NotReplayedError(ValueError):
    """Letters could not be put back; they are parked still. Look whether the broker is up, and do it again."""


async def replay(
    connection: AnyConnection, bootstrap: str, ids: Sequence[UUID], seal: Seal, actor: str, tls: Tls | None = None
) -> int:
    """Put parked letters back, each with its key and headers; return how many were.

    A letter counts as replayed once the brokers have it. Where that cannot be known it stays parked, and may come
    twice, which consumers take for one. A consumer that parks it again waits until we are through.
    Raises `NotReplayedError`, `SealBrokenError`.
    """
    async with connection.transaction():
        rows = await dead_letter_store.end(connection, ids, LetterState.REPLAYED, actor, "replayed")
        records = [(row["topic"], opened(row["sealed"], row["id"], seal)) for row in rows]
        if records:
            await _publish(bootstrap, records, tls)
    return len(records)


async def _publish(bootstrap: str, records: Sequence[tuple[str, Letter]], tls: Tls | None) -> None:
    if any(letter.key is None and letter.value is None for _, letter in records):
        raise NotReplayedError("a letter with neither key nor value says nothing that could be put back; drop it")
    options = client_options(tls)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, **options)
    try:
        await producer.start()
        for topic, letter in records:
            headers = list(letter.headers)
            await (await producer.send(topic, key=letter.key, value=letter.value, headers=headers))
    except (KafkaError, OSError) as error:
        raise NotReplayedError(f"the letters could not be put back and stay parked ({type(error).__name__})") from error
    finally:
        await producer.stop()
