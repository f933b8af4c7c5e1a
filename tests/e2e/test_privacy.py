"""Personal data posted at the door is nowhere in clear in anything the run writes."""

import asyncio
import json
from pathlib import Path

import httpx2
from aiokafka import AIOKafkaConsumer

from deploy.local.postgres import BIN
from shared.events import TOPICS, dead_letters
from tests.e2e.stack import Stack, alerts
from tests.e2e.test_chain import eventually
from tests.parts import a_key, a_report

CANARIES = {
    "payer__name": "金丝雀甲某",
    "payer__account": "6222029988776655441",
    "payer__id_number": "11010519491231002X",
    "payer__phone": "13912345678",
    "payee__name": "金丝雀乙某",
    "payee__account": "6217998877665544332",
    "teller_id": "TELLER-CANARY-77",
    "note": "她说公安金丝雀备注让她把钱转到安全账户，不要告诉金丝雀家人",
    "transfer__purpose": "金丝雀用途刷单",
}
PIECES = ("金丝雀", *(value for value in CANARIES.values() if value.isascii()))


def forms_of(text: str) -> list[bytes]:
    """Return a text as it may lie in a file: UTF-8, UTF-16, or escaped as JSON."""
    return [text.encode(), text.encode("utf-16-le"), json.dumps(text)[1:-1].encode()]


def files_with(folder: Path, pieces: tuple[str, ...]) -> list[str]:
    """Return the files under a folder that hold one of the pieces in one of its forms."""
    wanted = [form for piece in pieces for form in forms_of(piece)]
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_socket():
            content = path.read_bytes()
            found += [str(path.relative_to(folder)) for form in wanted if form in content]
    return found


async def test_canaries_are_nowhere_in_clear_in_databases_topics_logs_and_metrics(own_stack: Stack) -> None:
    stack = own_stack
    async with httpx2.AsyncClient(timeout=20) as client, alerts(stack, "SZ-LH-CZ") as feed:
        headers = stack.bank(**{"Idempotency-Key": a_key(), "Prefer": "wait=3"})
        answer = await client.post(f"{stack.info['intake']}/v1/reports", json=a_report(**CANARIES), headers=headers)
        assert answer.json()["level"] == "alert"
        alert = await feed.of_report(answer.json()["id"])
        broken = {**a_report(**CANARIES), "observed_at": "金丝雀"}
        refused = await client.post(f"{stack.info['intake']}/v1/reports", json=broken, headers=headers)
        assert refused.status_code == 422
        officer = stack.officer("SZ-LH-CZ")
        case_url = f"{stack.info['notifier']}/v1/cases/{alert['case_id']}"
        order = (
            await client.post(f"{case_url}/orders", json={"kind": "stop", "reason": "核实"}, headers=officer)
        ).json()
        feedback = {"result": "failure", "remark": "金丝雀备注", "operator": "金丝雀丙某"}
        feedback_url = f"{stack.info['intake']}/v1/orders/{order['id']}/feedback"

        async def answered() -> bool:
            return (await client.post(feedback_url, json=feedback, headers=stack.bank("CCB"))).is_success

        await eventually(answered)

        async def failed() -> bool:
            case = (await client.get(case_url, headers=officer)).json()
            return bool(case["orders"][0]["status"] == "failed")

        await eventually(failed)
        inbox = (await client.get(f"{stack.info['notifier']}/v1/cases", headers=officer)).text
        metrics = [(await client.get(f"{stack.info[one]}/metrics")).text for one in ("intake", "rules", "notifier")]

    shown = "".join([answer.text, refused.text, json.dumps(alert, ensure_ascii=False), inbox, *metrics])
    assert [piece for piece in PIECES if piece in shown] == []

    for service, dsn in stack.info["databases"].items():
        dump = await dump_of(dsn)
        assert len(dump) > 10_000
        assert [piece for piece in PIECES for form in forms_of(piece) if form in dump] == [], service

    records = await everything_said(stack)
    assert alert["case_id"].encode() in records, "the topics were read"
    assert [piece for piece in PIECES for form in forms_of(piece) if form in records] == []
    assert files_with(stack.folder, PIECES) == []


async def dump_of(dsn: str) -> bytes:
    """Return a database as pg_dump writes it."""
    process = await asyncio.create_subprocess_exec(BIN / "pg_dump", dsn, stdout=asyncio.subprocess.PIPE)
    dump, _ = await process.communicate()
    assert process.returncode == 0
    return dump


async def everything_said(stack: Stack) -> bytes:
    """Return all that lies on all topics, dead letters included: keys, values, headers."""
    topics = [*TOPICS, *(dead_letters(topic) for topic in TOPICS)]
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=stack.info["kafka"], auto_offset_reset="earliest")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(list(consumer.assignment()))
        records = bytearray()
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                for record in batch:
                    records += (record.key or b"") + (record.value or b"")
                    records += b"".join(name.encode() + (value or b"") for name, value in record.headers)
        return bytes(records)
    finally:
        await consumer.stop()
