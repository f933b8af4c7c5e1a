"""Every metric of notifier, and the question it answers."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.notifier import alert_store, money_store
from shared.observe import STAGE_BUCKETS, Runtime, RuntimeMetrics
from shared.postgres import TRANSIENT, Pool

FEN_PER_YUAN = 100


class Metrics(RuntimeMetrics):
    """Bank and unit labels are codes from the reference data, so their number is bounded."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        super().__init__(self.registry)
        self.money = Gauge(
            "lanjie_money_yuan",
            "What the ledger holds, in yuan: how much was reported, averted, stopped, lost? The same on all replicas.",
            ["kind", "bank", "unit"],
            registry=self.registry,
        )
        self.reports = Counter(
            "lanjie_reports_counted_total", "Judged reports taken in, by level", ["level"], registry=self.registry
        )
        self.cases = Counter(
            "lanjie_case_reports_total",
            "Alert-level reports, by unit and by whether they opened a case or joined one",
            ["unit", "how"],
            registry=self.registry,
        )
        self.rejudged = Counter(
            "lanjie_case_reports_rejudged_total",
            "Those of them that were judged again to become alerts: what do later facts bring up?",
            ["unit", "how"],
            registry=self.registry,
        )
        self.acknowledgements = Counter(
            "lanjie_acknowledgements_total",
            "Cases taken on: who is in time?",
            ["unit", "in_time"],
            registry=self.registry,
        )
        self.orders = Counter(
            "lanjie_orders_total", "Orders given, by kind and bank", ["kind", "bank"], registry=self.registry
        )
        self.answers = Counter(
            "lanjie_order_answers_total",
            "Orders answered by the bank: executed or failed?",
            ["kind", "bank", "status"],
            registry=self.registry,
        )
        self.closed = Counter(
            "lanjie_cases_closed_total",
            "Cases closed, by finding: do the rules judge well?",
            ["unit", "finding"],
            registry=self.registry,
        )
        self.deliveries = Counter(
            "lanjie_deliveries_total",
            "Tries to deliver an alert to a webhook, by outcome",
            ["outcome"],
            registry=self.registry,
        )
        self.waiting = Gauge(
            "lanjie_deliveries_waiting", "Alerts not yet delivered to their webhooks", registry=self.registry
        )
        self.refused = Counter(
            "lanjie_requests_refused_total",
            "Requests refused, by status: who sends what we cannot take?",
            ["status"],
            registry=self.registry,
        )
        self.stage = Histogram(
            "lanjie_stage_seconds",
            "How long a stage of the chain took: where does the golden time go?",
            ["stage"],
            buckets=STAGE_BUCKETS,
            registry=self.registry,
        )

    async def refresh_all(self, runtime: Runtime) -> None:
        """Read every gauge anew. The money comes from the ledger, so that no restart and no retry shows in it."""
        await self.refresh(runtime)
        await self._refresh_money(runtime.pool)

    async def _refresh_money(self, pool: Pool) -> None:
        try:
            for row in await money_store.totals(pool):
                self.money.labels(row["kind"], row["bank"], row["unit"]).set(row["fen"] / FEN_PER_YUAN)
            self.waiting.set(await alert_store.waiting_deliveries(pool))
        except TRANSIENT:
            self.database_up.set(0)
