"""notifier, the police's door: wiring only."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from pydantic import Field

from services.notifier import consumers, people_store, reconciling
from services.notifier.alerting.channels.sending import refuse_wrong
from services.notifier.alerting.channels.wires import ChannelSettings, wires_of
from services.notifier.alerting.delivery import Courier
from services.notifier.alerting.reader import Counts
from services.notifier.alerting.stream import AlertStream, Pace
from services.notifier.clock.house_time import HouseTime
from services.notifier.clock.watch import HouseRules, Watch
from services.notifier.door import Door
from services.notifier.duty.link_routes import routes as link_routes
from services.notifier.figures import counted
from services.notifier.links import LINKS
from services.notifier.metrics import Metrics
from services.notifier.office import Office
from services.notifier.people_store import Officer
from services.notifier.routes import bodies, routes
from services.notifier.upkeep import kept_up
from shared.access import BANK_KEY, OFFICER_TOKEN, Doorkeeper
from shared.chain import Chain, Handle, joined
from shared.events import DISPOSITIONS, FEEDBACK, TALLIES, VERDICTS
from shared.http import install_refusals
from shared.observe import Operations
from shared.openapi import describe, named
from shared.postgres import Pool
from shared.protocol import Edge
from shared.reconciling import Ear, reconciled
from shared.settings import IdentitySettings
from shared.tracing_http import FRAMEWORKS_OWN

HEARS: Final = (VERDICTS, DISPOSITIONS, FEEDBACK, TALLIES)
EXAMPLES: Final = Path(__file__).with_name("examples.json")


class Settings(IdentitySettings, ChannelSettings):
    """What notifier is told besides: the key of tokens, and above which amount (fen) a second officer approves.

    A screen on the alert stream gets a sign of life after `heartbeat` seconds of silence, and is hung up on when it
    takes nothing for `drain` seconds. Deliveries that were settled, deadlines that ended and alerts are kept for
    `settled_kept_days`.
    """

    second_officer_above_fen: int = 100_000_000
    stream_heartbeat_seconds: float = 15.0
    stream_drain_seconds: float = 10.0
    settled_kept_days: int = Field(default=90, ge=7)


def build(settings: Settings | None = None) -> FastAPI:
    """Build the application. Without settings it can only describe itself."""
    metrics, ear = Metrics(), Ear()
    doors: list[Door] = []
    chains: list[Chain] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        assert settings is not None
        refuse_wrong(settings)
        identity = settings.identity()
        parts: list[tuple[Office, AlertStream, Courier, HouseRules]] = []
        told: list[Callable[[], Awaitable[None]]] = []

        def handling(pool: Pool) -> Handle:
            rules = HouseRules(pool)
            above = settings.second_officer_above_fen
            office = Office(pool, identity, settings.tokens(), rules.now, above, HouseTime(pool).now)
            stream = AlertStream(
                pool,
                app.state.stopping,
                Pace(heartbeat=settings.stream_heartbeat_seconds, drain=settings.stream_drain_seconds),
                Counts(metrics.stage.labels("alert_to_stream").observe, metrics.count_dropped),
            )
            courier = Courier(pool, identity, settings.tokens(), metrics, wires_of(settings))
            parts.append((office, stream, courier, rules))

            async def alerted() -> None:
                courier.hurry()
                stream.announce()

            told.append(alerted)
            return ear.hearing(consumers.handling(office, metrics, alerted))

        async with AsyncExitStack() as stack:
            chain = await stack.enter_async_context(
                joined(
                    settings,
                    "notifier",
                    HEARS,
                    handling,
                    metrics.parked.inc,
                    express={VERDICTS: consumers.since},
                )
            )
            office, stream, courier, clock = parts[0]
            await stream.open()
            metrics.readers.set_function(stream.connected)
            stack.push_async_callback(stream.close)
            courier.open()
            stack.push_async_callback(courier.close)
            await clock.open()
            stack.push_async_callback(clock.close)
            watch = Watch(office, metrics, chain.relay.publish_soon, told[0])
            watch.open()
            stack.push_async_callback(watch.close)
            await stack.enter_async_context(kept_up(chain.pool, timedelta(days=settings.settled_kept_days)))
            await stack.enter_async_context(counted(chain.pool))
            await stack.enter_async_context(reconciled(chain, ear, reconciling.SHARE, settings, metrics.reconciling))

            async def look_up(sha256: bytes) -> Officer | None:
                return await people_store.officer_of_token(chain.pool, sha256)

            officers = Doorkeeper(look_up, OFFICER_TOKEN, BANK_KEY)
            doors.append(Door(office, chain.relay, officers, settings.narrative(), stream, metrics, told[0]))
            chains.append(chain)
            yield

    app = FastAPI(
        title="lanjie notifier",
        version="1",
        description="The police's door: cases, alerts, acknowledgements, orders.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=named,
        telemetry=FRAMEWORKS_OWN,
    )
    app.state.stopping = lambda: False
    install_refusals(app, Edge(counted=lambda status: metrics.refused.labels(str(status)).inc()))
    app.include_router(routes(lambda: doors[0]))
    app.include_router(link_routes(lambda: doors[0]))
    operations = Operations(
        registry=metrics.registry,
        runtime=lambda: chains[0].runtime(),  # noqa: PLW0108 - there is no chain yet
        refresh=lambda: metrics.refresh_all(chains[0].runtime()),
    )
    app.router.routes.extend(operations.routes)
    describe(app, bodies(), "A token of the officer: lanjie_officer_…", links=LINKS, examples=EXAMPLES)
    return app
