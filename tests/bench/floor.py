"""The floor: the same chain without domain logic, as tight as its libraries allow. The services are measured beside it.

The hops, the promises and the topics' partitions are those of the services: a report is committed with its obligation
before it is answered; the judge commits before it speaks; the alert is committed before a screen hears of it; verdict
and case come back to the bank's side, and the case ends the obligation. What is left out is all that lanjie is for:
access, validation, privacy, judging, cases, orders, the ledger. Nor is anything here ever repeated.

`FLOOR_ONE_WAY=1` leaves out the way back as well: nothing returns to the bank's side.

    python -m tests.bench.floor tables|intake|rules|notifier
"""

import asyncio
import contextlib
import os
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
import orjson
import uvicorn
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.postgres import Connection, Pool

TOPICS: Final = ("floor.reports", "floor.verdicts", "floor.cases")
PARTITIONS: Final = 4
MOST: Final = 500
ONE_WAY: Final = bool(os.environ.get("FLOOR_ONE_WAY"))

Said = list[tuple[str, bytes, bytes]]
"""Topic, key, value."""

Work = Callable[[Connection, list[Any]], Awaitable[Said]]

TABLES: Final = """
drop schema if exists floor cascade;
create schema floor;
create table floor.report (
    id uuid primary key, bank text not null, ref text not null, body bytea not null, at timestamptz not null,
    unique (bank, ref)
);
create table floor.outbox (id uuid primary key, payload bytea not null);
create table floor.verdict (report uuid primary key, score integer not null);
create table floor.sighting (
    report uuid primary key, payee text not null, amount bigint not null, at timestamptz not null
);
create index on floor.sighting (payee, at);
create table floor.alert (report uuid primary key, score integer not null, at timestamptz not null);
"""


async def tables() -> None:
    """Make the tables and the topics anew."""
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    await connection.execute(TABLES)
    await connection.close()
    admin = AIOKafkaAdminClient(bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"])
    await admin.start()
    for topic in TOPICS:
        with contextlib.suppress(TopicAlreadyExistsError):
            await admin.create_topics([NewTopic(topic, PARTITIONS, int(os.environ["KAFKA_REPLICAS"]))])
    await admin.close()


async def _pool() -> Pool:
    return await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=2, max_size=4)


async def _producer() -> AIOKafkaProducer:
    producer = AIOKafkaProducer(
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"], acks="all", enable_idempotence=True, linger_ms=1
    )
    await producer.start()
    return producer


async def _say(producer: AIOKafkaProducer, said: Said) -> None:
    await asyncio.gather(*[await producer.send(topic, value, key=key) for topic, key, value in said])


def _nothing(_records: list[Any]) -> None:
    """Tell nobody."""


async def _hear(
    parts: tuple[Pool, AIOKafkaProducer],
    topics: Sequence[str],
    group: str,
    work: Work,
    committed: Callable[[list[Any]], None] = _nothing,
) -> None:
    pool, producer = parts
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    while True:
        polled = await consumer.getmany(timeout_ms=200, max_records=MOST)
        records = [orjson.loads(record.value) for part in polled.values() for record in part]
        if records:
            async with pool.acquire() as connection, connection.transaction():
                said = await work(connection, records)
            committed(records)
            await _say(producer, said)
            await consumer.commit()


class Counter:
    """The door: posts that arrive while a transaction is under way share the next one."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[tuple[uuid.UUID, Any, bytes, asyncio.Future[None]]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pool: Pool
        self._producer: AIOKafkaProducer

    @contextlib.asynccontextmanager
    async def open(self, _app: Starlette) -> AsyncIterator[None]:
        self._pool, self._producer = await _pool(), await _producer()
        self._begin(self._file())
        if not ONE_WAY:
            self._begin(_hear((self._pool, self._producer), ("floor.verdicts", "floor.cases"), "floor-intake", _note))
        yield

    def _begin(self, work: Any) -> None:  # noqa: ANN401 - a coroutine
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def post(self, request: Request) -> Response:
        body = await request.body()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        report_id = uuid.uuid4()
        self._waiting.put_nowait((report_id, orjson.loads(body), body, done))
        await done
        return Response(orjson.dumps({"id": str(report_id)}), 202)

    async def _file(self) -> None:
        while True:
            slips = [await self._waiting.get()]
            while len(slips) < MOST and not self._waiting.empty():
                slips.append(self._waiting.get_nowait())
            ids, payloads = [slip[0] for slip in slips], [_payload(slip[0], slip[1]) for slip in slips]
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(
                    """
                    insert into floor.report
                    select u.*, now() from unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[]) as u
                    on conflict do nothing
                    """,
                    ids,
                    [slip[1]["branch_code"] for slip in slips],
                    [slip[1]["bank_reference"] for slip in slips],
                    [slip[2] for slip in slips],
                )
                await connection.execute(
                    "insert into floor.outbox select * from unnest($1::uuid[], $2::bytea[])", ids, payloads
                )
            for slip in slips:
                slip[3].set_result(None)
            keys = [slip[1]["payee"]["account"].encode() for slip in slips]
            self._begin(self._publish(ids, keys, payloads))

    async def _publish(self, ids: list[uuid.UUID], keys: list[bytes], payloads: list[bytes]) -> None:
        await _say(self._producer, [("floor.reports", key, one) for key, one in zip(keys, payloads, strict=True)])
        if ONE_WAY:
            await self._pool.execute("delete from floor.outbox where id = any($1::uuid[])", ids)


def _payload(report_id: uuid.UUID, body: Any) -> bytes:  # noqa: ANN401 - any JSON object
    payload: bytes = orjson.dumps({"id": str(report_id), **body})
    return payload


async def _note(connection: Connection, records: list[Any]) -> Said:
    """Show the bank its verdicts; a case ends the obligation."""
    verdicts = [record for record in records if "report" in record]
    await connection.execute(
        "insert into floor.verdict select * from unnest($1::uuid[], $2::integer[]) on conflict do nothing",
        [record["id"] for record in verdicts],
        [record["score"] for record in verdicts],
    )
    cased = [record["id"] for record in records if "report" not in record]
    await connection.execute("delete from floor.outbox where id = any($1::uuid[])", cased)
    return []


async def _judge(connection: Connection, records: list[Any]) -> Said:
    """Remember the reports and count what came to their payees within a day: the one query of the floor."""
    now = datetime.now(UTC)
    payees = [record["payee"]["account"] for record in records]
    await connection.execute(
        """
        insert into floor.sighting select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::timestamptz[])
        on conflict do nothing
        """,
        [record["id"] for record in records],
        payees,
        [record["transfer"]["amount_fen"] for record in records],
        [now] * len(records),
    )
    rows = await connection.fetch(
        """
        select payee, count(*) from unnest($1::text[]) as payee
        join floor.sighting s using (payee) where s.at > now() - interval '1 day' group by payee
        """,
        list(set(payees)),
    )
    known = {row["payee"]: row["count"] for row in rows}
    return [
        (
            "floor.verdicts",
            payee.encode(),
            orjson.dumps({"id": record["id"], "score": known[payee], "report": record}),
        )
        for record, payee in zip(records, payees, strict=True)
    ]


class Desk:
    """The police's side: alerts, and the screens that follow them."""

    def __init__(self) -> None:
        self._screens: set[asyncio.StreamWriter] = set()

    async def serve(self) -> None:
        pool, producer = await _pool(), await _producer()
        server = await asyncio.start_server(self._screen, "127.0.0.1", int(os.environ["PORT"]))
        async with server:
            await _hear((pool, producer), ("floor.verdicts",), "floor-notifier", self._alert, self._tell)

    async def _screen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):  # somebody only looked whether the door is open
            await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nid: 0\n\n")
        self._screens.add(writer)

    async def _alert(self, connection: Connection, records: list[Any]) -> Said:
        await connection.execute(
            """
            insert into floor.alert select u.*, now() from unnest($1::uuid[], $2::integer[]) as u
            on conflict do nothing
            """,
            [record["id"] for record in records],
            [record["score"] for record in records],
        )
        if ONE_WAY:
            return []
        return [
            ("floor.cases", record["report"]["payee"]["account"].encode(), orjson.dumps({"id": record["id"]}))
            for record in records
        ]

    def _tell(self, records: list[Any]) -> None:
        text = b"".join(b"data: " + orjson.dumps({"report_id": record["id"]}) + b"\n\n" for record in records)
        self._screens = {screen for screen in self._screens if not screen.is_closing()}
        for screen in self._screens:
            screen.write(text)


def main() -> None:
    """Be one part of the floor."""
    uvloop.install()
    part = sys.argv[1]
    if part == "tables":
        asyncio.run(tables())
    elif part == "intake":
        door = Counter()
        app = Starlette(routes=[Route("/v1/reports", door.post, methods=["POST"])], lifespan=door.open)
        port = int(os.environ["PORT"])
        uvicorn.run(app, port=port, loop="uvloop", http="httptools", access_log=False, log_level="error")
    elif part == "rules":
        asyncio.run(_rules())
    else:
        asyncio.run(Desk().serve())


async def _rules() -> None:
    await _hear((await _pool(), await _producer()), ("floor.reports",), "floor-rules", _judge)


if __name__ == "__main__":
    main()
