"""What operations see of a service: JSON logs, health, metrics.

Logs hold no personal data. An exception's own words may quote what it choked on, so a log line names its
type and the way it took, never its message.
"""

import asyncio
import logging
import sys
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.consumer import Consumer
from shared.kafka import Publisher
from shared.postgres import TRANSIENT, Pool
from shared.tracing import add_trace_id

WITH_BROKER: Final = frozenset({"ok", "standby"})
WITHOUT_BROKER: Final = WITH_BROKER | {"joining", "unreachable"}
DATABASE_SECONDS: Final = 2.0
SCRAPE_SECONDS: Final = 4.0
"""So long a scrape waits for the database: less than Prometheus waits for the scrape."""
FAILING_SECONDS: Final = 15.0
"""A producer that fails for longer than a broker takes to come back is no passing matter."""


def configure_logging(service: str) -> None:
    """Send every log line, ours and the libraries', to standard output as one JSON object."""
    processors: list[Any] = [
        structlog.stdlib.add_log_level,
        add_trace_id,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_the_exception,
        _leave_judging_to_us,
    ]
    structlog.configure(
        processors=[*processors, structlog.processors.JSONRenderer(ensure_ascii=False)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=processors,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("aiokafka").setLevel(logging.ERROR)  # it repeats every attempt, and every rebalance, as a warning
    structlog.contextvars.clear_contextvars()
    structlog.get_logger().info("starting", service=service)


def _name_the_exception(_logger: object, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    info = line.pop("exc_info", None)
    if not info:
        return line
    error = info if isinstance(info, BaseException) else _current(info)
    if error is not None:
        frames = traceback.extract_tb(error.__traceback__)
        line["exception"] = type(error).__name__
        line["way"] = [f"{frame.filename.rsplit('/', 2)[-1]}:{frame.lineno} {frame.name}" for frame in frames]
    return line


def _leave_judging_to_us(_logger: object, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Call a warning what aiokafka calls an error: it goes on by itself; where it does not, our watchdogs say so."""
    record = line.get("_record")
    if record is not None and record.name.startswith("aiokafka"):
        line["level"] = "warning"
    return line


def _current(info: object) -> BaseException | None:
    if isinstance(info, tuple):
        return cast("BaseException | None", info[1])
    return sys.exc_info()[1]


@dataclass(frozen=True, slots=True)
class Runtime:
    """The moving parts that health and metrics look at."""

    pool: Pool
    consumer: Consumer
    publisher: Publisher


@dataclass(slots=True)
class Operations:
    """The routes for operations. `door_without_broker`: whether the service is of use while the broker is away.

    `needs` names what else the service needs, each "ok" or what is wrong with it.
    """

    registry: CollectorRegistry
    runtime: Callable[[], Runtime]
    refresh: Callable[[], Awaitable[None]]
    door_without_broker: bool = False
    needs: Callable[[], dict[str, str]] = dict
    routes: list[Route] = field(init=False)
    _refreshing: asyncio.Future[None] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.routes = [
            Route("/health/live", self._live),
            Route("/health/ready", self._ready),
            Route("/metrics", self._metrics),
        ]

    async def _live(self, _request: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def _ready(self, _request: Request) -> Response:
        runtime = self.runtime()
        try:
            async with asyncio.timeout(DATABASE_SECONDS):
                await runtime.pool.fetchval("select 1")
            database = "ok"
        except TRANSIENT:
            database = "away"
        consumer = runtime.consumer.progress.state()
        failing = runtime.publisher.failing_seconds()
        enough = WITHOUT_BROKER if self.door_without_broker else WITH_BROKER
        needs = self.needs()
        heard = consumer in enough and (self.door_without_broker or failing < FAILING_SECONDS)
        ready = database == "ok" and heard and set(needs.values()) <= {"ok"}
        body = {
            "status": "ready" if ready else "not ready",
            "database": database,
            "consumer": consumer,
            "lag": runtime.consumer.progress.lag,
            "producer": f"failing for {failing:.0f} s" if failing else "ok",
            **needs,
        }
        return JSONResponse(body, 200 if ready else 503)

    async def _metrics(self, _request: Request) -> Response:
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.ensure_future(self.refresh())
        # not cancelled when time is up: a query that is cancelled waits for a silent database to say so
        ended, _ = await asyncio.wait({self._refreshing}, timeout=SCRAPE_SECONDS)
        for one in ended:
            one.result()
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)
