"""Three services on their own databases, whose events are carried by hand: the real handlers, and no broker."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prometheus_client import CollectorRegistry

from services.intake import consumers as intake_consumers
from services.intake import handlers as intake_handlers
from services.intake import reconciling as intake_reconciling
from services.intake import store as intake_store
from services.intake.desk import VerdictBoard
from services.intake.metrics import Metrics as IntakeMetrics
from services.intake.store import Filing
from services.notifier import consumers as notifier_consumers
from services.notifier import reconciling as notifier_reconciling
from services.notifier.metrics import Metrics as NotifierMetrics
from services.rules import consumers as rules_consumers
from services.rules import reconciling as rules_reconciling
from services.rules.metrics import Metrics as RulesMetrics
from services.rules.packs import Packs
from shared.chain import Handle
from shared.events import (
    CASES,
    DISPOSITIONS,
    EVENTS,
    FEEDBACK,
    ORDERS,
    OUTCOMES,
    REPORTS,
    VERDICTS,
    ReportFiled,
    TallyTaken,
)
from shared.metrics import Shelf
from shared.outbox import Outgoing
from shared.postgres import Pool, open_pool
from shared.reconciling import Ear, Reconciler
from shared.records import Received
from shared.settings import Settings
from shared.share import ReconcilingMetrics
from tests.parts import KEY_BYTES, NARRATIVE, NOWHERE, DatabaseServer
from tests.service.notifier.builders import a_report_filed, office

HEARS = {
    "intake": (VERDICTS, CASES, ORDERS),
    "rules": (REPORTS, OUTCOMES, DISPOSITIONS),
    "notifier": (VERDICTS, DISPOSITIONS, FEEDBACK),
}
SHARES = {
    "intake": intake_reconciling.SHARE,
    "rules": rules_reconciling.SHARE,
    "notifier": notifier_reconciling.SHARE,
}


@dataclass(slots=True)
class OnTheWire:
    """What a record tells besides its event; no handler looks at it."""

    topic: str
    partition: int = 0
    offset: int = 0
    key: bytes | None = None
    value: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()


@dataclass(slots=True)
class Town:
    """Services by name. `carried` counts events by type."""

    dsns: dict[str, str]
    pools: dict[str, Pool]
    handles: dict[str, Handle]
    reconcilers: dict[str, Reconciler] = field(default_factory=dict)
    registries: dict[str, CollectorRegistry] = field(default_factory=dict)
    said: list[Outgoing] = field(default_factory=list)
    carried: list[str] = field(default_factory=list)

    def say(self, rows: Sequence[Outgoing]) -> None:
        """Take what a reconciler repeats."""
        self.said += rows

    async def carry(self, rows: Sequence[Outgoing]) -> None:
        """Deliver events to all who hear them, and what follows from them, until nothing more does."""
        while rows:
            self.carried += [row.type for row in rows]
            following: list[Outgoing] = []
            for service, handle in self.handles.items():
                heard = [_received(row) for row in rows if row.topic in HEARS[service]]
                following += await handle(heard) if heard else []
            rows = following
        for pool in self.pools.values():
            await pool.execute("delete from outbox where not awaits_answer")

    async def file(self, *reports: ReportFiled) -> None:
        """Have a bank file reports, and the chain answer them."""
        filings = [Filing(str(one.report_id), str(one.report_id), b"", one, "") for one in reports]
        _, rows = await intake_handlers.file_reports(self.pools["intake"], filings)
        await self.carry(rows)

    async def round(self) -> None:
        """Let every service say its tally and all compare, and carry what is repeated."""
        for speaker, reconciler in self.reconcilers.items():
            said = await reconciler.taken(datetime.now(UTC) + timedelta(seconds=1))
            tally = TallyTaken.model_validate_json(said.payload)
            for listener in self.reconcilers:
                if any(one.speaker == speaker for one in SHARES[listener].compared):
                    await self.reconcilers[listener].compare(tally)
            rows, self.said = self.said, []
            await self.carry(rows)

    def gaps(self) -> dict[str, float]:
        """The gauges that are not 0."""
        found: dict[str, float] = {}
        for registry in self.registries.values():
            for family in registry.collect():
                if family.name == "lanjie_reconciliation_gaps":
                    found |= {
                        f"{sample.labels['between']} {sample.labels['of']}": sample.value
                        for sample in family.samples
                        if sample.value
                    }
        return found

    async def promised(self, service: str) -> list[Outgoing]:
        """What a service has in its outbox."""
        rows = await self.pools[service].fetch(
            "select id, topic, key, type, payload, traceparent, awaits_answer, reason from outbox order by id"
        )
        return [Outgoing(**dict(row)) for row in rows]

    async def owed(self) -> int:
        """How many obligations are open, in all outboxes."""
        counts = [await pool.fetchval("select count(*) from outbox") for pool in self.pools.values()]
        return sum(counts)


def _received(row: Outgoing) -> Received:
    return Received(EVENTS[row.type].model_validate_json(row.payload), row.id, row.traceparent, OnTheWire(row.topic))


def reports_of(number: int, account: str = "6217000000000002026") -> list[ReportFiled]:
    """Return reports on one account, at alert level by the reference rules."""
    return [a_report_filed(account, "ICBC-SZ-LH-001", 1000 + place, datetime.now(UTC)) for place in range(number)]


def ids(reports: Sequence[ReportFiled]) -> list[UUID]:
    return [one.report_id for one in reports]


@asynccontextmanager
async def a_town(server: DatabaseServer, most: int = 5000) -> AsyncIterator[Town]:
    """Open a town; its tallies go back an hour and count whatever is there. `most` is repeated in a round."""
    async with AsyncExitStack() as stack:
        dsns, pools = {}, {}
        for service in HEARS:
            dsns[service] = await server.clone(service)
            pools[service] = await open_pool(dsns[service], service, most=4)
            stack.push_async_callback(pools[service].close)
        town = Town(dsns, pools, await _handles(pools, stack))
        for service, pool in pools.items():
            shelf = Shelf(service)
            town.registries[service] = shelf.registry
            metrics = ReconcilingMetrics(shelf, SHARES[service])
            town.reconcilers[service] = Reconciler(pool, town.say, Ear(), SHARES[service], _settings(most), metrics)
        yield town


async def _handles(pools: dict[str, Pool], stack: AsyncExitStack) -> dict[str, Handle]:
    async def alerted() -> None:
        """Nobody waits."""

    packs = Packs(pools["rules"])
    packs.start()
    stack.push_async_callback(packs.stop)
    board = VerdictBoard(lambda ids: intake_store.judged(pools["intake"], ids), lambda: False)
    return {
        "intake": intake_consumers.handling(pools["intake"], board, IntakeMetrics()),
        "rules": rules_consumers.handling(pools["rules"], packs, NARRATIVE, RulesMetrics()),
        "notifier": notifier_consumers.handling(office(pools["notifier"]), NotifierMetrics(), alerted),
    }


def _settings(most: int) -> Settings:
    return Settings(
        database_url="",
        kafka_bootstrap_servers=NOWHERE,
        port=0,
        narrative_keys=f"n1:{KEY_BYTES}",
        reconcile_after_seconds=0.001,
        reconcile_hours=2,
        reconcile_most=most,
    )
