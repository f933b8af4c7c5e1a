"""Every metric of rules, and the question it answers."""

from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from typing import cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.rules.handlers import Taken
from services.rules.judging import InForce
from services.rules.store import Judged
from shared.observe import STAGE_BUCKETS, RuntimeMetrics


class Metrics(RuntimeMetrics):
    """Rule labels come from the packs, scam types from their vocabulary, so their number is bounded."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        super().__init__(self.registry)
        self._add_counters()
        self.batch = Histogram(
            "lanjie_judged_together",
            "Reports judged in one transaction: how full are the batches?",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
            registry=self.registry,
        )
        self.stage = Histogram(
            "lanjie_accepted_to_judged_seconds",
            "From the bank's 202 to the first verdict: is anyone kept waiting?",
            buckets=STAGE_BUCKETS,
            registry=self.registry,
        )
        self.pack = Gauge(
            "lanjie_rule_pack_version",
            "Version of the rule pack this replica uses, 0 for none: do all judge by the same?",
            ["role"],
            registry=self.registry,
        )
        self.refused = Gauge(
            "lanjie_rule_packs_refused",
            "Released packs this replica cannot load: is its software too old for the rules?",
            registry=self.registry,
        )

    def _add_counters(self) -> None:
        def counter(name: str, question: str, *labels: str) -> Counter:
            return Counter(name, question, labels, registry=self.registry)

        self.verdicts = counter(
            "lanjie_verdicts_total",
            "Reports judged: how many are alerts, and of which scam type?",
            "level",
            "scam_type",
        )
        self.judged_again = counter(
            "lanjie_judged_again_total", "Second verdicts: how often does later knowledge raise a level?", "level"
        )
        self.hits = counter("lanjie_rule_hits_total", "Times a rule spoke: which rules carry the verdicts?", "rule")
        self.failed = counter(
            "lanjie_rule_failures_total", "Times a rule had no answer, as for a division by zero: which one?", "rule"
        )
        self.conditions = counter(
            "lanjie_list_entries_applied_total", "Times a list entry had the last word: of which kind?", "kind"
        )
        self.shadow_hits = counter(
            "lanjie_shadow_rule_hits_total", "Times a shadow rule spoke: how often would it count?", "rule"
        )
        self.shadow_verdicts = counter(
            "lanjie_shadow_verdicts_total",
            "What shadow rules or the shadow pack would have said: what would change?",
            "of",
            "level",
            "would_be",
        )
        self.outcomes = counter(
            "lanjie_outcomes_applied_total", "Outcomes taken in: does the police's finding come back?"
        )

    def count(self, taken: Taken) -> None:
        """Count what a batch led to."""
        if taken.fresh:
            self.batch.observe(len(taken.fresh))
        for one in taken.fresh:
            event = one.event
            self.stage.observe(max(0.0, (event.judged_at - event.report.filed_at).total_seconds()))
            self._count_rules(one)
        events = [one.event for one in taken.fresh]
        _add(self.verdicts, [(event.level.value, event.scam_type or "none") for event in events])
        # a list entry speaks without weight, and is counted by its kind
        _add(self.hits, [(finding.rule,) for event in events for finding in event.findings if finding.weight])
        for one in taken.again:
            self.judged_again.labels(one.event.level.value).inc()

    def _count_rules(self, one: Judged) -> None:
        for rule in one.failed:
            self.failed.labels(rule).inc()
        if isinstance(one.lists, Mapping):
            self.conditions.labels(one.lists["kind"]).inc()
        if isinstance(one.shadow, Mapping):
            self._count_shadow(one, cast("Mapping[str, object]", one.shadow))

    def _count_shadow(self, one: Judged, shadow: Mapping[str, object]) -> None:
        level = one.event.level.value
        if "rules" in shadow:
            for rule in cast("list[str]", shadow["rules"]):
                self.shadow_hits.labels(rule).inc()
            self.shadow_verdicts.labels("rules", level, shadow["level"]).inc()
        if "pack" in shadow:
            self.shadow_verdicts.labels("pack", level, cast("Mapping[str, str]", shadow["pack"])["level"]).inc()

    def show_packs(self, in_force: InForce | None, refused: int) -> None:
        """Show which packs are in force."""
        shadow = in_force.shadow if in_force else None
        self.pack.labels("live").set(in_force.live.version if in_force else 0)
        self.pack.labels("shadow").set(shadow.version if shadow else 0)
        self.refused.set(refused)


def _add(counter: Counter, labels: Iterable[tuple[str, ...]]) -> None:
    """Count a batch at once: looking a counter up costs more than adding to it."""
    for values, times in Tally(labels).items():
        counter.labels(*values).inc(times)
