"""Dead letters: what a consumer could not read or handle, put aside once with the reason.

A letter is parked; an operator mends the defect and replays it, or drops it with a reason. A letter that is replayed
and fails again is the same letter, parked again. The record is kept as it lay on the topic, and sealed, since what
cannot be read may hold anything: in the database, and as a copy on `<topic>.dlq`.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from shared.events import dead_letters
from shared.outbox import Outgoing, keep, new_id
from shared.postgres import Connection, Pool
from shared.privacy import Seal

MOST_BYTES: Final = 500_000
"""A copy must fit on its topic, sealed and with the reason beside it; a longer value is cut there, and only there."""

Headers = Sequence[tuple[str, bytes | None]]


class ReasonClass(StrEnum):
    """Why records are put aside, in few words: a label of metrics."""

    NULL_VALUE = "null_value"
    BAD_JSON = "bad_json"
    SCHEMA = "schema"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_VERSION = "unknown_version"
    WRONG_TOPIC = "wrong_topic"
    HEADER = "header"
    KEY = "key"
    HANDLER_FAILED = "handler_failed"


class LetterState(StrEnum):
    """What became of a letter."""

    PARKED = "parked"
    REPLAYED = "replayed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Poison:
    """A record that cannot be read or handled, as it lay on the topic. `sha256` is of key, value and headers."""

    topic: str
    partition: int
    offset: int
    sha256: bytes
    key: bytes | None
    value: bytes | None
    reason: str
    headers: Headers = ()
    reason_class: ReasonClass = ReasonClass.BAD_JSON


@dataclass(frozen=True, slots=True)
class Letter:
    """The record in a dead letter; `whole` unless its value was cut to fit on the dead-letter topic."""

    key: bytes | None
    headers: Headers
    value: bytes | None
    whole: bool


async def park(pool: Pool, records: Sequence[Poison], seal: Seal) -> list[Outgoing]:
    """Put records aside, each once and sealed, and return what is to be published to the dead letters.

    One that is parked already, or was dropped, is nothing new; one that was replayed has failed again.
    """
    by_hash = {(record.topic, record.sha256): record for record in records}
    letters = [(new_id(), record) for record in by_hash.values()]
    async with pool.acquire() as connection, connection.transaction():
        parked = await _insert(connection, letters, seal)
        rows = [_copy(record, seal) for _, record in letters if (record.topic, record.sha256) in parked]
        await keep(connection, rows)
    return rows


def _copy(record: Poison, seal: Seal) -> Outgoing:
    copy_id = new_id()
    value = record.value[:MOST_BYTES] if record.value else record.value
    letter = Letter(record.key, record.headers, value, whole=value == record.value)
    return Outgoing(
        id=copy_id,
        topic=dead_letters(record.topic),
        key=record.sha256.hex(),
        type="lanjie.dead.letter.v1",
        payload=sealed(letter, copy_id, seal).encode(),
        reason=f"{record.topic}/{record.partition}/{record.offset}: {record.reason}",
    )


async def _insert(connection: Connection, letters: Sequence[tuple[UUID, Poison]], seal: Seal) -> set[tuple[str, bytes]]:
    """Park records; return the topics and hashes of those that were not parked."""
    records = [record for _, record in letters]
    rows = await connection.fetch(
        """
        with parked as (
            insert into dead_letter (id, topic, partition_number, offset_number, sha256, reason, reason_class, sealed)
            select * from unnest($1::uuid[], $2::text[], $3::integer[], $4::bigint[], $5::bytea[], $6::text[],
                                 $7::text[], $8::text[])
            order by 2, 5
            on conflict (topic, sha256) do update
            set state = 'parked', attempts = dead_letter.attempts + 1, reason = excluded.reason,
                reason_class = excluded.reason_class, parked_at = now(), changed_at = now(),
                partition_number = excluded.partition_number, offset_number = excluded.offset_number
            where dead_letter.state = 'replayed'
            returning id, topic, sha256, reason
        ),
        told as (
            insert into dead_letter_step (letter_id, action, actor, why)
            select id, 'parked', 'lanjie', reason from parked order by id
        )
        select topic, sha256 from parked
        """,
        [letter_id for letter_id, _ in letters],
        [record.topic for record in records],
        [record.partition for record in records],
        [record.offset for record in records],
        [record.sha256 for record in records],
        [record.reason for record in records],
        [record.reason_class.value for record in records],
        [sealed(_whole(record), letter_id, seal) for letter_id, record in letters],
    )
    return {(row["topic"], row["sha256"]) for row in rows}


def _whole(record: Poison) -> Letter:
    return Letter(record.key, record.headers, record.value, whole=True)


def sealed(letter: Letter, about: UUID, seal: Seal) -> str:
    """Seal a record: it may hold anything."""
    written = {
        "key": _text(letter.key),
        "headers": [[name, _text(value)] for name, value in letter.headers],
        "value": _text(letter.value),
        "whole": letter.whole,
    }
    return seal.seal(json.dumps(written), str(about))


def opened(text: bytes | str, about: UUID, seal: Seal) -> Letter:
    """Open what was sealed about a letter or its copy; raise `SealBrokenError` where that cannot be."""
    written = json.loads(seal.open(text if isinstance(text, str) else text.decode(), str(about)))
    headers = tuple((name, _bytes(value)) for name, value in written["headers"])
    return Letter(_bytes(written["key"]), headers, _bytes(written["value"]), whole=written["whole"])


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else base64.b64decode(value)


async def parked_by_reason(pool: Pool) -> dict[ReasonClass, int]:
    """Count the letters that wait for somebody, by the reason's class; 0 for those there are none of."""
    rows = await pool.fetch(
        "select reason_class, count(*) as letters from dead_letter where state = 'parked' group by reason_class"
    )
    there = {row["reason_class"]: row["letters"] for row in rows}
    return {one: there.get(one.value, 0) for one in ReasonClass}
