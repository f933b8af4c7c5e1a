"""Many reports in one request: NDJSON, a line each, and one bad line spoils only itself."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final

from services.intake.desk import in_time
from services.intake.door import IDEMPOTENCY_KEY, Door, accepted, filing, idempotency_key
from services.intake.handlers import FilingOutcome, KeyReused
from services.intake.report import Report
from services.intake.store import Filing
from shared.errors import Refusal
from shared.fields import described
from shared.http import parse

LIMIT_BYTES: Final = 8 * 1024 * 1024
LINE_LIMIT_BYTES: Final = 64 * 1024
MOST_LINES: Final = 2000
BREATHER_LINES: Final = 50
NDJSON: Final = "application/x-ndjson"


class BatchLine(Report):
    """One line of a batch: a report with its idempotency key."""

    idempotency_key: Annotated[str, described(pattern=f"^({IDEMPOTENCY_KEY.pattern})$")]

    def report(self) -> Report:
        """Return the report alone, so that a batch line and a single post of the same facts are the same."""
        return Report.model_construct(**{name: getattr(self, name) for name in Report.model_fields})


def lines_of(body: bytes) -> list[bytes]:
    """Split a batch into its lines, or refuse it where there are too many."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    if len(lines) > MOST_LINES:
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"Send at most {MOST_LINES} reports in one batch.")
    return lines


async def file_lines(door: Door, bank: str, lines: Sequence[bytes], traceparent: str) -> str:
    """File each line by itself; return the answer's lines.

    A line that repeats the key of an earlier one is not filed again; it gets that one's answer if it says the same.
    """
    read: list[Filing | Refusal] = []
    for place, line in enumerate(lines):
        if place % BREATHER_LINES == 0:
            await asyncio.sleep(0)  # other requests have their turn
        read.append(_read(door, bank, line, traceparent))
    first = {one.idempotency_key: one for one in reversed(read) if isinstance(one, Filing)}
    outcomes = await _filed_together(door, first)
    answers = [_answer(door, bank, one, first, outcomes) for one in read]
    return "".join(json.dumps({"line": place, **answer}) + "\n" for place, answer in enumerate(answers, 1))


def _read(door: Door, bank: str, line: bytes, traceparent: str) -> Filing | Refusal:
    try:
        if len(line) > LINE_LIMIT_BYTES:
            return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The line is larger than {LINE_LIMIT_BYTES} bytes.")
        body = parse(BatchLine, line)
        return filing(door, bank, idempotency_key(body.idempotency_key), body.report(), traceparent)
    except Refusal as refusal:
        return refusal


async def _filed_together(door: Door, filings: Mapping[str, Filing]) -> dict[str, FilingOutcome | Refusal]:
    """File all at once.

    Where the database goes away under one of them, or keeps one waiting too long, the whole batch fails: sending it
    again stores nothing twice.
    """
    outcomes: dict[str, FilingOutcome | Refusal] = {}
    waiting = {}
    for key, one in filings.items():
        try:
            waiting[key] = door.desk.hand_in(one)
        except Refusal as refusal:
            outcomes[key] = refusal
    return outcomes | dict(zip(waiting, await in_time(asyncio.gather(*waiting.values())), strict=True))


def _answer(
    door: Door,
    bank: str,
    one: Filing | Refusal,
    first: Mapping[str, Filing],
    outcomes: Mapping[str, FilingOutcome | Refusal],
) -> dict[str, Any]:
    if isinstance(one, Refusal):
        return {"code": one.status.value, "problem": one.document()}
    key = one.idempotency_key
    outcome = outcomes[key] if one.fingerprint == first[key].fingerprint else KeyReused()
    try:
        if isinstance(outcome, Refusal):
            raise outcome
        report_id = accepted(door, bank, outcome)
    except Refusal as refusal:
        return {"idempotency_key": key, "code": refusal.status.value, "problem": refusal.document()}
    return {"idempotency_key": key, "code": 202, "id": str(report_id), "status": "received"}
