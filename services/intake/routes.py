"""The banks' door: parse, delegate, answer."""

import asyncio
import json
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.intake import handlers, order, report, store
from services.intake.access import Allowance
from services.intake.answers import ReportReceipt, ReportStatus, status_of
from services.intake.desk import FilingDesk, VerdictBoard
from services.intake.disposition import Disposition, DispositionReceipt
from services.intake.handlers import Filed, FilingOutcome, KeyReused, ReferenceTaken
from services.intake.metrics import Metrics
from services.intake.order import BankOrder, Feedback, FeedbackReceipt
from services.intake.report import Privacy, Reference, Report
from services.intake.store import Filing
from shared.access import Doorkeeper
from shared.errors import FieldProblem, Refusal, conflict, invalid, not_found
from shared.events import OrderStatus
from shared.http import parse, read_body
from shared.openapi import body_of, problems_of
from shared.outbox import Relay, new_id, unanswered
from shared.postgres import Pool

LONGEST_WAIT_SECONDS: Final = 3
BATCH_LIMIT_BYTES: Final = 8 * 1024 * 1024
BATCH_MOST_LINES: Final = 2000
BATCH_BREATHER_LINES: Final = 50
LINE_LIMIT_BYTES: Final = 64 * 1024
IDEMPOTENCY_KEY: Final = re.compile(r'"?([A-Za-z0-9._:/+=-]{1,128})"?')
PREFERRED_WAIT: Final = re.compile(r"\bwait=([0-9]{1,4})\b")
TRACEPARENT: Final = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
NDJSON: Final = "application/x-ndjson"


class BatchLine(Report):
    """One line of a batch: a report with its idempotency key."""

    idempotency_key: str


@dataclass(slots=True)
class Door:
    """What the routes need. `reference` is exchanged for a newer one while the service runs."""

    pool: Pool
    relay: Relay
    banks: Doorkeeper[str]
    allowance: Allowance
    desk: FilingDesk
    board: VerdictBoard
    privacy: Privacy
    reference: Reference
    metrics: Metrics


def _now() -> datetime:
    return datetime.now(UTC)


def routes(door_of: Any) -> APIRouter:  # noqa: ANN401, C901 - a list of routes, each short
    """Return the routes; `door_of()` is the open door once the service runs."""
    router = APIRouter(prefix="/v1", tags=["banks"])

    @router.post(
        "/reports",
        status_code=202,
        response_model=ReportReceipt,
        openapi_extra=body_of(Report),
        responses={200: {"model": ReportStatus}, **problems_of(400, 401, 403, 409, 413, 415, 422, 429, 503)},
    )
    async def post_report(request: Request) -> Response:
        """File a report. Needs `Idempotency-Key`; `Prefer: wait=3` holds the answer until there is a verdict."""
        door: Door = door_of()
        began = time.perf_counter()
        bank = await door.banks.holder(request)
        door.allowance.charge(bank, 1)
        key = _idempotency_key(request.headers.get("idempotency-key"))
        body = parse(Report, await read_body(request, "application/json"))
        outcome = await door.desk.file(_filing(door, bank, key, body, _traceparent(request)))
        report_id = _accepted(door, bank, outcome)
        if isinstance(outcome, Filed) and not outcome.fresh:
            door.relay.publish_soon(await unanswered(door.pool, [report_id]))
        door.metrics.stage.labels("request_to_accepted").observe(time.perf_counter() - began)
        headers = {"Location": f"/v1/reports/{report_id}"}
        if wait := _preferred_wait(request):
            status = await _status(door, bank, report_id, wait)
            if status.level is not None:
                return JSONResponse(
                    status.model_dump(mode="json"), 200, headers={**headers, "Preference-Applied": f"wait={wait}"}
                )
        return JSONResponse({"id": str(report_id), "status": "received"}, 202, headers=headers)

    @router.post(
        "/reports/batch",
        openapi_extra=body_of(BatchLine, NDJSON),
        responses={200: {"content": {NDJSON: {}}}, **problems_of(400, 401, 403, 413, 415, 429, 503)},
    )
    async def post_batch(request: Request) -> Response:
        """File many reports, one a line, each with its own `idempotency_key`; the answer has a line for each."""
        door: Door = door_of()
        bank = await door.banks.holder(request)
        body = await read_body(request, NDJSON, limit=BATCH_LIMIT_BYTES)
        lines = [line for line in body.split(b"\n") if line.strip()]
        if len(lines) > BATCH_MOST_LINES:
            raise Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"Send at most {BATCH_MOST_LINES} reports in one batch."
            )
        door.allowance.charge(bank, len(lines))
        answers = await _file_lines(door, bank, lines, _traceparent(request))
        text = "".join(json.dumps({"line": place, **answer}) + "\n" for place, answer in enumerate(answers, 1))
        return Response(text, media_type=NDJSON)

    @router.get(
        "/reports/{report_id}", response_model=ReportStatus, responses=problems_of(401, 403, 404, 422, 503)
    )
    async def get_report(request: Request, report_id: UUID) -> Response:
        """Return a report's status, verdict, advice for the teller and the state of its case."""
        door: Door = door_of()
        bank = await door.banks.holder(request)
        status = await _status(door, bank, report_id, _preferred_wait(request))
        return JSONResponse(status.model_dump(mode="json"))

    @router.post(
        "/reports/{report_id}/disposition",
        response_model=DispositionReceipt,
        openapi_extra=body_of(Disposition),
        responses=problems_of(400, 401, 403, 404, 409, 413, 415, 422, 503),
    )
    async def post_disposition(request: Request, report_id: UUID) -> Response:
        """Record how the visit ended. A report has one disposition; the same again gets the same answer."""
        door: Door = door_of()
        bank = await door.banks.holder(request)
        body = parse(Disposition, await read_body(request, "application/json"))
        found, at, rows = await handlers.record_disposition(door.pool, bank, report_id, body, _now())
        if rows:
            door.metrics.dispositions.labels(bank, body.outcome.value).inc()
        door.relay.publish_soon(rows)
        answer = DispositionReceipt(id=found, report_id=report_id, recorded_at=at)
        return JSONResponse(answer.model_dump(mode="json"))

    @router.get("/orders", response_model=dict[str, list[BankOrder]], responses=problems_of(401, 403, 422, 503))
    async def get_orders(
        request: Request,
        status: OrderStatus | None = None,
        after: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        """Return the orders addressed to this bank, oldest first; `after` is the last id of the page before."""
        door: Door = door_of()
        bank = await door.banks.holder(request)
        found = await handlers.show_orders(door.pool, bank, status and status.value, after, limit)
        shown = [order.shown(one, door.privacy.identity).model_dump(mode="json") for one in found]
        return JSONResponse({"orders": shown})

    @router.get("/orders/{order_id}", response_model=BankOrder, responses=problems_of(401, 403, 404, 422, 503))
    async def get_order(request: Request, order_id: UUID) -> Response:
        """Return one order addressed to this bank."""
        door: Door = door_of()
        bank = await door.banks.holder(request)
        found = await handlers.show_order(door.pool, bank, order_id)
        return JSONResponse(order.shown(found, door.privacy.identity).model_dump(mode="json"))

    @router.post(
        "/orders/{order_id}/feedback",
        response_model=FeedbackReceipt,
        openapi_extra=body_of(Feedback),
        responses=problems_of(400, 401, 403, 404, 409, 413, 415, 422, 503),
    )
    async def post_feedback(request: Request, order_id: UUID) -> Response:
        """Say what was done with an order. The same again gets the same answer; another one is a 409."""
        door: Door = door_of()
        bank = await door.banks.holder(request)
        body = parse(Feedback, await read_body(request, "application/json"))
        keys = (door.privacy.tokens, door.privacy.identity)
        try:
            answer = await handlers.receive_feedback(door.pool, bank, order_id, body, keys, _now())
        except Refusal as refusal:
            if any(error.message == order.OVERSTATED for error in refusal.errors):
                door.metrics.overstated.labels(bank).inc()
            raise
        door.relay.publish_soon(answer.rows)
        if answer.refusal:
            door.metrics.contradictions.labels(bank).inc()
            raise answer.refusal
        if answer.rows:
            door.metrics.feedback.labels(bank, body.result.value).inc()
        receipt = FeedbackReceipt(id=answer.feedback_id, order_id=order_id)
        return JSONResponse(receipt.model_dump(mode="json"))

    return router


async def _status(door: Door, bank: str, report_id: UUID, wait: int) -> ReportStatus:
    row = await store.report_status(door.pool, bank, report_id)
    if row is not None and row["verdict"] is None and wait:
        await door.board.wait(report_id, wait)
        row = await store.report_status(door.pool, bank, report_id)
    if row is None:
        raise not_found("report")
    return status_of(row)


def _filing(door: Door, bank: str, key: str, body: Report, traceparent: str) -> Filing:
    now = _now()
    if errors := report.problems(body, bank, door.reference, now):
        raise invalid(*errors)
    event = report.filed(body, new_id(), bank, door.privacy, now)
    return Filing(key, body.bank_reference, report.fingerprint(body, door.privacy.tokens), event, traceparent)


def _accepted(door: Door, bank: str, outcome: FilingOutcome) -> UUID:
    match outcome:
        case Filed(report_id, fresh):
            (door.metrics.accepted if fresh else door.metrics.repeated).labels(bank).inc()
            return report_id
        case KeyReused():
            raise invalid(FieldProblem(field="Idempotency-Key", message="was used for a report that says otherwise"))
        case ReferenceTaken(report_id):
            raise conflict(
                "This bank_reference was reported before, under another Idempotency-Key.", existing_id=str(report_id)
            )


async def _file_lines(door: Door, bank: str, lines: Sequence[bytes], traceparent: str) -> list[dict[str, Any]]:
    """File each line by itself; a line that repeats an earlier one of the batch gets that one's answer."""
    filings: list[Filing | Refusal] = []
    for place, line in enumerate(lines):
        if place % BATCH_BREATHER_LINES == 0:
            await asyncio.sleep(0)
        filings.append(_read_line(door, bank, line, traceparent))
    first = {one.idempotency_key: one for one in reversed(filings) if isinstance(one, Filing)}
    tasks = {key: asyncio.create_task(door.desk.file(one)) for key, one in first.items()}
    await asyncio.wait(tasks.values()) if tasks else None

    def answer(one: Filing | Refusal) -> dict[str, Any]:
        if isinstance(one, Refusal):
            return {"code": one.status.value, "problem": one.document()}
        try:
            outcome = tasks[one.idempotency_key].result()
            if one.fingerprint != first[one.idempotency_key].fingerprint:
                outcome = KeyReused()
            report_id = _accepted(door, bank, outcome)
        except Refusal as refusal:
            code, document = refusal.status.value, refusal.document()
            return {"idempotency_key": one.idempotency_key, "code": code, "problem": document}
        return {"idempotency_key": one.idempotency_key, "code": 202, "id": str(report_id), "status": "received"}

    return [answer(one) for one in filings]


def _read_line(door: Door, bank: str, line: bytes, traceparent: str) -> Filing | Refusal:
    try:
        if len(line) > LINE_LIMIT_BYTES:
            return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The line is larger than {LINE_LIMIT_BYTES} bytes.")
        body = parse(BatchLine, line)
        return _filing(door, bank, _idempotency_key(body.idempotency_key), _without_key(body), traceparent)
    except Refusal as refusal:
        return refusal


def _without_key(line: BatchLine) -> Report:
    """Return the report alone, so that a batch line and a single post of the same facts are the same."""
    return Report.model_construct(**{name: getattr(line, name) for name in Report.model_fields})


def _idempotency_key(text: str | None) -> str:
    if text is None:
        raise Refusal(HTTPStatus.BAD_REQUEST, "Send an Idempotency-Key: the same for every try at this report.")
    match = IDEMPOTENCY_KEY.fullmatch(text.strip())
    if match is None:
        raise Refusal(
            HTTPStatus.BAD_REQUEST, "The Idempotency-Key must be 1 to 128 letters, digits or any of . _ : / + = -"
        )
    return match.group(1)


def _preferred_wait(request: Request) -> int:
    match = PREFERRED_WAIT.search(request.headers.get("prefer", ""))
    return min(int(match.group(1)), LONGEST_WAIT_SECONDS) if match else 0


def _traceparent(request: Request) -> str:
    given = request.headers.get("traceparent", "")
    if TRACEPARENT.fullmatch(given):
        return given
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


