"""notifier, the police's door: wiring only."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from services.notifier import consumers, people_store
from services.notifier.clock import Deadlines
from services.notifier.delivery import Courier
from services.notifier.door import Door
from services.notifier.metrics import Metrics
from services.notifier.office import Office
from services.notifier.people_store import Officer
from services.notifier.routes import bodies, routes
from services.notifier.stream import AlertStream
from shared.access import BANK_KEY, OFFICER_TOKEN, Doorkeeper
from shared.chain import Chain, Handle, joined
from shared.events import DISPOSITIONS, FEEDBACK, VERDICTS
from shared.http import install_refusals
from shared.observe import Operations, Runtime
from shared.openapi import describe
from shared.postgres import Pool
from shared.protocol import Edge
from shared.settings import IdentitySettings


class Settings(IdentitySettings):
    """What notifier is told besides: the key of tokens, and above which amount (fen) a second officer approves."""

    second_officer_above_fen: int = 100_000_000


def build(settings: Settings | None = None) -> FastAPI:
    """Build the application. Without settings it can only describe itself."""
    metrics = Metrics()
    doors: list[Door] = []
    chains: list[Chain] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        assert settings is not None
        identity = settings.identity()
        parts: list[tuple[Office, AlertStream, Courier]] = []

        def handling(pool: Pool) -> Handle:
            office = Office(pool, identity, settings.tokens(), Deadlines, settings.second_officer_above_fen)
            stream, courier = AlertStream(pool, app.state.stopping), Courier(pool, identity, metrics)
            parts.append((office, stream, courier))

            async def alerted() -> None:
                courier.hurry()
                await stream.announce()

            return consumers.handling(office, metrics, alerted)

        async with AsyncExitStack() as stack:
            chain = await stack.enter_async_context(
                joined(settings, "notifier", (VERDICTS, DISPOSITIONS, FEEDBACK), handling, metrics.parked.inc)
            )
            office, stream, courier = parts[0]
            await stream.open()
            stack.push_async_callback(stream.close)
            courier.open()
            stack.push_async_callback(courier.close)

            async def look_up(sha256: bytes) -> Officer | None:
                return await people_store.officer_of_token(chain.pool, sha256)

            officers = Doorkeeper(look_up, OFFICER_TOKEN, BANK_KEY)
            doors.append(Door(office, chain.relay, officers, settings.narrative(), stream, metrics))
            chains.append(chain)
            yield

    app = FastAPI(
        title="lanjie notifier",
        version="1",
        description="The police's door: cases, alerts, acknowledgements, orders.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.stopping = lambda: False
    install_refusals(app, Edge(counted=lambda status: metrics.refused.labels(str(status)).inc()))
    app.include_router(routes(lambda: doors[0]))
    operations = Operations(
        registry=metrics.registry,
        runtime=lambda: Runtime(chains[0].pool, chains[0].consumer),
        refresh=lambda: metrics.refresh_all(Runtime(chains[0].pool, chains[0].consumer)),
    )
    app.router.routes.extend(operations.routes)
    describe(app, bodies(), "A token of the officer: lanjie_officer_…")
    return app
