"""Every metric of rules, and the question it answers."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from shared.observe import STAGE_BUCKETS, RuntimeMetrics


class Metrics(RuntimeMetrics):
    """Rule labels come from the pack, scam types from the vocabulary, so their number is bounded."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        super().__init__(self.registry)
        self.verdicts = Counter(
            "lanjie_verdicts_total",
            "Reports judged: how many are alerts, and of which scam type?",
            ["level", "scam_type"],
            registry=self.registry,
        )
        self.hits = Counter(
            "lanjie_rule_hits_total",
            "Times a rule spoke: which rules carry the verdicts?",
            ["rule"],
            registry=self.registry,
        )
        self.outcomes = Counter(
            "lanjie_outcomes_applied_total",
            "Outcomes taken in: does the police's finding come back?",
            registry=self.registry,
        )
        self.batch = Histogram(
            "lanjie_judged_together",
            "Reports judged in one transaction: how full are the batches?",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
            registry=self.registry,
        )
        self.stage = Histogram(
            "lanjie_accepted_to_judged_seconds",
            "From the bank's 202 to the verdict: is anyone kept waiting?",
            buckets=STAGE_BUCKETS,
            registry=self.registry,
        )
