"""intake, the banks' door: wiring only."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from pydantic import Field
from starlette.routing import Route

from services.intake import consumers, handlers, order_routes, reconciling, routes, store, upkeep
from services.intake.access import Allowance
from services.intake.answers import BatchAnswer
from services.intake.backlog import Backlog
from services.intake.batch import BatchLine
from services.intake.desk import FilingDesk, VerdictBoard
from services.intake.disposition import Disposition
from services.intake.door import Door
from services.intake.handlers import FilingOutcome
from services.intake.last_reports import LastReports
from services.intake.links import LINKS
from services.intake.metrics import Metrics
from services.intake.order import Feedback
from services.intake.report import Privacy, Report
from services.intake.store import Filing
from shared.access import BANK_KEY, OFFICER_TOKEN, Doorkeeper
from shared.chain import Chain, Handle, joined
from shared.events import CASES, ORDERS, TALLIES, VERDICTS
from shared.http import install_refusals
from shared.observe import Operations
from shared.openapi import describe, named
from shared.postgres import Pool
from shared.protocol import Edge
from shared.reconciling import Ear, reconciled
from shared.settings import IdentitySettings
from shared.tasks import forever
from shared.tracing_http import FRAMEWORKS_OWN
from shared.upkeep import every_hour

REFERENCE_EVERY_SECONDS: Final = 5.0
HEARS: Final = (VERDICTS, CASES, ORDERS, TALLIES)
EXAMPLES: Final = Path(__file__).with_name("examples.json")


class Settings(IdentitySettings):
    """The key of the tokens; how often one bank may post (reports a second, and at once); how slow a request may be.

    With `most_unanswered` reports and answers of banks waiting for the rest of the chain, no more reports are taken.
    What reports say is kept for ever, or for `reports_kept_days`.
    """

    rate_per_second: float = Field(default=5000, gt=0)
    rate_burst: float = Field(default=10000, ge=1)
    most_unanswered: int = Field(default=1_000_000, ge=1)
    head_seconds: float = Field(default=10, gt=0)
    body_seconds: float = Field(default=10, gt=0)
    reports_kept_days: int | None = Field(default=None, ge=31)

    def edge(self, metrics: Metrics) -> Edge:
        """Return the bounds of a request, with the count of those that are refused."""
        return Edge(self.head_seconds, self.body_seconds, lambda status: metrics.refused.labels(str(status)).inc())


def build(settings: Settings | None = None) -> FastAPI:
    """Build the application. Without settings it can only describe itself."""
    metrics = Metrics()
    chains: list[Chain] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        assert settings is not None
        async with AsyncExitStack() as stack:
            boards: list[VerdictBoard] = []
            ear = Ear()

            def handling(pool: Pool) -> Handle:
                boards.append(VerdictBoard(lambda ids: store.judged(pool, ids), app.state.stopping))
                return ear.hearing(consumers.handling(pool, boards[0], metrics))

            chain = await stack.enter_async_context(
                joined(
                    settings,
                    "intake",
                    HEARS,
                    handling,
                    metrics.parked.inc,
                    express={VERDICTS: consumers.since},
                )
            )
            door = await _open_door(settings, chain, boards[0], metrics)
            door.desk.open()
            stack.push_async_callback(door.desk.close)
            door.board.open()
            stack.push_async_callback(door.board.close)
            last_reports = LastReports(chain.pool, metrics.last_report)
            work = [_keep_reference_fresh(chain.pool, door), forever(door.backlog.look), forever(last_reports.look)]
            if settings.reports_kept_days:
                work.append(_keep_up(chain.pool, timedelta(days=settings.reports_kept_days)))
            for one in work:
                stack.callback(asyncio.create_task(one).cancel)
            await stack.enter_async_context(reconciled(chain, ear, reconciling.SHARE, settings, metrics.reconciling))
            app.state.door = door
            chains.append(chain)
            yield

    app = FastAPI(
        title="lanjie intake",
        version="1",
        description="The banks' door: reports, dispositions, orders, feedback.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=named,
        telemetry=FRAMEWORKS_OWN,
    )
    app.state.stopping = lambda: False
    install_refusals(app, settings.edge(metrics) if settings else None)
    app.include_router(routes.router)
    app.include_router(order_routes.router)
    # matched first, and without the dependencies FastAPI would look for: most requests are these
    app.router.routes[:0] = [
        Route("/v1/reports", routes.post_report, methods=["POST"]),
        Route("/v1/reports/batch", routes.post_batch, methods=["POST"]),
        Route("/v1/reports/batch", routes.get_batch, methods=["GET"], include_in_schema=False),
    ]
    operations = Operations(
        registry=metrics.registry,
        runtime=lambda: chains[0].runtime(),  # noqa: PLW0108 - there is no chain yet
        refresh=lambda: metrics.refresh(chains[0].runtime()),
        door_without_broker=True,
    )
    app.router.routes.extend(operations.routes)
    bodies = (Report, BatchLine, BatchAnswer, Disposition, Feedback)
    describe(app, bodies, "A key of the bank: lanjie_bank_…", links=LINKS, examples=EXAMPLES)
    return app


async def _open_door(settings: Settings, chain: Chain, board: VerdictBoard, metrics: Metrics) -> Door:
    async def look_up(sha256: bytes) -> str | None:
        return await store.bank_of_key(chain.pool, sha256)

    async def file(filings: Sequence[Filing]) -> list[FilingOutcome]:
        outcomes, rows = await handlers.file_reports(chain.pool, filings)
        chain.relay.publish_soon(rows)
        return outcomes

    return Door(
        pool=chain.pool,
        relay=chain.relay,
        banks=Doorkeeper(look_up, BANK_KEY, OFFICER_TOKEN),
        allowance=Allowance(settings.rate_per_second, settings.rate_burst),
        backlog=Backlog(chain.pool, settings.most_unanswered, metrics.unanswered),
        desk=FilingDesk(file),
        board=board,
        privacy=Privacy(settings.tokens(), settings.identity(), settings.narrative()),
        reference=await store.reference(chain.pool),
        metrics=metrics,
    )


async def _keep_up(pool: Pool, kept: timedelta) -> None:
    async def keep_up(now: datetime) -> int:
        return await upkeep.keep_up(pool, now - kept)

    await every_hour(keep_up)


async def _keep_reference_fresh(pool: Pool, door: Door) -> None:
    async def read() -> None:
        await asyncio.sleep(REFERENCE_EVERY_SECONDS)
        door.reference = await store.reference(pool)

    await forever(read)
