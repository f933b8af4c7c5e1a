"""rules, the judge: wiring only. It has no door, but health and metrics."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fastapi import FastAPI
from pydantic import Field

from services.rules import consumers, handlers, reconciling, upkeep
from services.rules.handlers import Court
from services.rules.metrics import Metrics
from services.rules.packs import Packs
from shared.chain import Chain, Handle, joined
from shared.events import DISPOSITIONS, OUTCOMES, REPORTS
from shared.http import install_refusals
from shared.observe import Operations, Runtime
from shared.postgres import Pool
from shared.reconciling import Ear, reconciled
from shared.settings import Settings
from shared.tasks import forever
from shared.tracing_http import FRAMEWORKS_OWN
from shared.upkeep import every_hour

LISTS_EVERY_SECONDS = 1.0
HEARS = (REPORTS, OUTCOMES, DISPOSITIONS)


class RulesSettings(Settings):
    """What the judge needs besides: how long verdicts are kept, for ever unless told."""

    verdicts_kept_days: int | None = Field(default=None, ge=31)


@dataclass(slots=True)
class Parts:
    """What the service is made of while it runs."""

    chain: Chain | None = None
    packs: Packs | None = None

    def runtime(self) -> Runtime:
        """Return what health and metrics look at."""
        assert self.chain, "the service has started"
        return self.chain.runtime()

    def needs(self) -> dict[str, str]:
        """Say whether there are rules to judge by."""
        if self.packs is None or self.packs.now is None:
            refused = self.packs.refused if self.packs else 0
            return {"rule_pack": "none can be loaded, see the log" if refused else "none published"}
        return {"rule_pack": "ok"}


def build(settings: RulesSettings) -> FastAPI:
    """Build the application."""
    metrics = Metrics()
    parts = Parts()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await _start(stack, settings, metrics, parts)
            yield

    async def refresh() -> None:
        await metrics.refresh(parts.runtime())
        if parts.packs:
            metrics.show_packs(parts.packs.now, parts.packs.refused)

    app = FastAPI(title="lanjie rules", version="1", lifespan=lifespan, openapi_url=None, telemetry=FRAMEWORKS_OWN)
    install_refusals(app)
    operations = Operations(registry=metrics.registry, runtime=parts.runtime, refresh=refresh, needs=parts.needs)
    app.router.routes.extend(operations.routes)
    return app


async def _start(stack: AsyncExitStack, settings: RulesSettings, metrics: Metrics, parts: Parts) -> None:
    narrative = settings.narrative()

    def handling(pool: Pool) -> Handle:
        parts.packs = Packs(pool)
        parts.packs.start()
        return consumers.handling(pool, parts.packs, narrative, metrics)

    chain = await stack.enter_async_context(
        joined(settings, "rules", HEARS, handling, metrics.parked.inc, express={REPORTS: consumers.since})
    )
    parts.chain = chain
    packs = parts.packs
    assert packs, "the handler was made"
    stack.push_async_callback(packs.stop)
    await stack.enter_async_context(reconciled(chain, Ear(), reconciling.SHARE, settings, metrics.reconciling))

    async def apply_entries() -> None:
        court = Court(await packs.in_force(), narrative, datetime.now(UTC))
        taken = await handlers.apply_entries(chain.pool, court)
        metrics.count(taken)
        chain.relay.publish_soon(taken.rows)
        if not taken.more:
            await asyncio.sleep(LISTS_EVERY_SECONDS)

    kept = timedelta(days=settings.verdicts_kept_days) if settings.verdicts_kept_days else None

    for work in (forever(apply_entries), every_hour(lambda now: upkeep.keep_up(chain.pool, now, kept))):
        stack.callback(asyncio.create_task(work).cancel)
