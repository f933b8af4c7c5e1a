"""rules, the judge: wiring only. It has no door, but health and metrics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from services.rules import consumers
from services.rules.metrics import Metrics
from shared.chain import Chain, joined
from shared.events import OUTCOMES, REPORTS
from shared.http import install_refusals
from shared.observe import Operations, Runtime
from shared.settings import Settings


def build(settings: Settings) -> FastAPI:
    """Build the application."""
    metrics = Metrics()
    chains: list[Chain] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        narrative = settings.narrative()
        async with joined(
            settings,
            "rules",
            (REPORTS, OUTCOMES),
            lambda pool: consumers.handling(pool, narrative, metrics),
            metrics.parked.inc,
        ) as chain:
            chains.append(chain)
            yield

    app = FastAPI(title="lanjie rules", version="1", lifespan=lifespan, openapi_url=None)
    install_refusals(app)
    operations = Operations(
        registry=metrics.registry,
        runtime=lambda: Runtime(chains[0].pool, chains[0].consumer),
        refresh=lambda: metrics.refresh(Runtime(chains[0].pool, chains[0].consumer)),
    )
    app.router.routes.extend(operations.routes)
    return app
