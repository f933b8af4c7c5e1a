"""Every metric of rules, and the question it answers."""

from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from typing import cast

from prometheus_client import Counter

from services.rules.conditions import ConditionKind
from services.rules.handlers import Taken
from services.rules.judging import InForce
from services.rules.reconciling import SHARE
from services.rules.store import Judged
from shared.events import DispositionOutcome, Finding, Level
from shared.metrics import RULES, SCAM_TYPES, Bound, Question, one_of
from shared.runtime_metrics import RuntimeMetrics
from shared.share import ReconcilingMetrics

LEVELS = one_of(Level)
TOGETHER = (1, 2, 5, 10, 20, 50, 100, 200, 500)


class Metrics(RuntimeMetrics):
    """Rule labels come from the packs, scam types from their vocabulary, so their number is bounded."""

    def __init__(self) -> None:
        super().__init__("rules")
        self.reconciling = ReconcilingMetrics(self.shelf, SHARE)
        self._add_verdicts()
        self._add_rules()
        self._add_truth()
        self.batch = self.shelf.histogram(
            "lanjie_judged_together",
            "Reports judged in one transaction",
            "how full are the batches?",
            Question.TRAFFIC,
            buckets=TOGETHER,
        )
        self.stage = self.shelf.histogram(
            "lanjie_accepted_to_judged_seconds",
            "From the bank's 202 to the first verdict",
            "is anyone kept waiting?",
            Question.TIME,
        )
        self.pack = self.shelf.gauge(
            "lanjie_rule_pack_version",
            "Version of the rule pack this replica uses, 0 for none",
            "do all judge by the same?",
            Question.RULES,
            role=one_of(("live", "shadow")),
        )
        self.refused = self.shelf.gauge(
            "lanjie_rule_packs_refused",
            "Released packs this replica cannot load; it goes on with the one before",
            "is its software too old for the rules?",
            Question.RULES,
        )

    def _counter(self, name: str, meaning: str, asks: str, **labels: Bound) -> Counter:
        return self.shelf.counter(name, meaning, asks, Question.RULES, **labels)

    def _add_verdicts(self) -> None:
        self.verdicts = self._counter(
            "lanjie_verdicts_total",
            "Reports judged for the first time",
            "how many are alerts, and of which scam type?",
            level=LEVELS,
            scam_type=SCAM_TYPES,
        )
        self.judged_again = self._counter(
            "lanjie_judged_again_total",
            "Second verdicts, by the level they reach",
            "how often does later knowledge raise a level?",
            level=LEVELS,
        )
        self.conditions = self._counter(
            "lanjie_list_entries_applied_total",
            "Times an entry of a list had the last word",
            "how often are the rules overruled, and how?",
            kind=one_of(ConditionKind),
        )

    def _add_rules(self) -> None:
        self.hits = self._counter(
            "lanjie_rule_hits_total", "Times a rule spoke", "which rules carry the verdicts?", rule=RULES
        )
        self.failed = self._counter(
            "lanjie_rule_failures_total",
            "Times a rule had no answer, as for a division by zero; it counts as silent",
            "which rule must be mended?",
            rule=RULES,
        )
        self.shadow_hits = self._counter(
            "lanjie_shadow_rule_hits_total", "Times a shadow rule spoke", "how often would it count?", rule=RULES
        )
        self.shadow_verdicts = self._counter(
            "lanjie_shadow_verdicts_total",
            "What shadow rules (`of` is `rules`) or the shadow pack (`pack`) would have said beside the level that was",
            "what would change?",
            of=one_of(("rules", "pack")),
            level=LEVELS,
            would_be=LEVELS,
        )

    def _add_truth(self) -> None:
        self.outcomes = self._counter(
            "lanjie_outcomes_applied_total", "The police's findings taken in", "do findings come back at all?"
        )
        self.against_dispositions = self._counter(
            "lanjie_dispositions_against_verdict_total",
            "How visits ended, by the level that the teller was told; of reports of the last 35 days, each once",
            "do tellers heed the advice?",
            level=LEVELS,
            outcome=one_of(DispositionOutcome),
        )
        self.against_findings = self._counter(
            "lanjie_findings_against_verdict_total",
            "Reports in cases that were closed, by their level and the finding; of the last 35 days. "
            "What is found anew counts again, and reopening takes none back",
            "how many alerts were right, and how many held a customer up for nothing?",
            level=LEVELS,
            finding=one_of(Finding),
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
        _add(self.against_findings, [(level.value, finding) for level, finding in taken.found])

    def count_dispositions(self, ended: Iterable[tuple[Level, str]]) -> None:
        """Count how visits ended: each by the level of the report's newest verdict and its outcome."""
        _add(self.against_dispositions, [(level.value, outcome) for level, outcome in ended])

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
