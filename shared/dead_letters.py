"""Dead letters: what a consumer could not read or handle, put aside once with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.events import dead_letters
from shared.outbox import Outgoing, keep, new_id
from shared.postgres import Pool

MOST_BYTES: Final = 900_000
"""A dead letter must fit on its topic with the reason beside it; a longer record is cut."""


@dataclass(frozen=True, slots=True)
class Poison:
    """A record that cannot be read, as it lay on the topic."""

    topic: str
    partition: int
    offset: int
    sha256: bytes
    key: str
    value: bytes
    reason: str


async def park(pool: Pool, records: Sequence[Poison]) -> list[Outgoing]:
    """Put unreadable records aside, each once, and return what is to be published to the dead letters."""
    ids = [new_id() for _ in records]
    async with pool.acquire() as connection, connection.transaction():
        parked = await connection.fetch(
            """
            insert into dead_letter (id, topic, partition_number, offset_number, sha256, reason)
            select * from unnest($1::uuid[], $2::text[], $3::integer[], $4::bigint[], $5::bytea[], $6::text[])
            on conflict do nothing returning id
            """,
            ids,
            [record.topic for record in records],
            [record.partition for record in records],
            [record.offset for record in records],
            [record.sha256 for record in records],
            [record.reason for record in records],
        )
        fresh = {row["id"] for row in parked}
        rows = [
            Outgoing(
                id=letter_id,
                topic=dead_letters(record.topic),
                key=record.key,
                type="lanjie.dead.letter.v1",
                payload=record.value[:MOST_BYTES],
                reason=f"{record.topic}/{record.partition}/{record.offset}: {record.reason}",
            )
            for letter_id, record in zip(ids, records, strict=True)
            if letter_id in fresh
        ]
        await keep(connection, rows)
    return rows
