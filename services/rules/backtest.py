"""Backtesting: what a pack would have said of reports that were judged before, by the facts as they were then.

Pure. The facts are those kept with each verdict, so nothing that became known later is used; what became of
a report (its label) is only compared with.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from services.rules.verdict import Verdict
from shared.events import Level

MOST_NAMED: Final = 200
UNTYPED: Final = "(type unknown)"


@dataclass(frozen=True, slots=True)
class Label:
    """What a report was in truth, as far as anybody knows: a scam of a type, honest, or unknown (None)."""

    scam: bool | None
    scam_type: str | None = None


def label_of(finding: str | None, disposition: str | None, scam_type: str | None) -> Label:
    """The police's finding counts; else giving the transfer up speaks for a scam, going ahead against one."""
    if finding is not None:
        return Label(finding == "confirmed", scam_type if finding == "confirmed" else None)
    if disposition is not None:
        return Label(disposition != "proceeded", None)
    return Label(None)


@dataclass(slots=True)
class _Side:
    """What one pack said: alerts among scams and honest visits, by scam type."""

    caught: Counter[str] = field(default_factory=Counter)
    false_alerts: int = 0
    named: Counter[str] = field(default_factory=Counter)
    """Alerts of which the truth is known, by the scam type they named."""

    named_rightly: Counter[str] = field(default_factory=Counter)

    def add(self, label: Label, level: Level, scam_type: str | None) -> None:
        if level is not Level.ALERT:
            return
        if scam_type and label.scam is not None and (label.scam_type or not label.scam):
            self.named[scam_type] += 1
            self.named_rightly[scam_type] += label.scam_type == scam_type
        if label.scam:
            self.caught[label.scam_type or UNTYPED] += 1
        elif label.scam is False:
            self.false_alerts += 1


class Tally:
    """Adds up verdicts, old and new, report by report; `result` is the same for the same reports in the same order."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._weights = weights
        self._reports = 0
        self._levels: Counter[tuple[str, str]] = Counter()
        self._scams: Counter[str] = Counter()
        self._honest = 0
        self._then, self._now = _Side(), _Side()
        self._spoke: dict[str, Counter[bool | None]] = defaultdict(Counter)
        self._changed: list[dict[str, Any]] = []

    def add(  # a report then and now, and the truth
        self, report_id: str, then: Level, then_score: int, now: Verdict, label: Label, then_type: str | None = None
    ) -> None:
        """Take in one report."""
        self._reports += 1
        self._levels[then.value, now.level.value] += 1
        if label.scam:
            self._scams[label.scam_type or UNTYPED] += 1
        elif label.scam is False:
            self._honest += 1
        self._then.add(label, then, then_type)
        self._now.add(label, now.level, now.scam_type)
        for finding in now.findings:
            self._spoke[finding.rule][label.scam] += 1
        if now.level is not then and len(self._changed) < MOST_NAMED:
            scores = {"score_then": then_score, "score_now": now.score}
            self._changed.append({"report": report_id, "then": then.value, "now": now.level.value, **scores})

    def result(self) -> dict[str, Any]:
        """Return everything as JSON."""
        return {
            "reports": self._reports,
            "labelled": {"scams": self._scams.total(), "honest": self._honest},
            "levels": [
                {"then": then, "now": now, "reports": count} for (then, now), count in sorted(self._levels.items())
            ],
            "then": self._judged(self._then),
            "now": self._judged(self._now),
            "types": [
                {
                    "scam_type": kind,
                    "scams": scams,
                    "recall_then": _share(self._then.caught[kind], scams),
                    "recall_now": _share(self._now.caught[kind], scams),
                    "precision_then": _share(self._then.named_rightly[kind], self._then.named[kind]),
                    "precision_now": _share(self._now.named_rightly[kind], self._now.named[kind]),
                }
                for kind, scams in sorted(self._scams.items())
            ],
            "rules": [self._rule(rule, counts) for rule, counts in sorted(self._spoke.items())],
            "changed": self._changed,
        }

    def _judged(self, side: _Side) -> dict[str, Any]:
        caught = side.caught.total()
        return {
            "recall": _share(caught, self._scams.total()),
            "precision": _share(caught, caught + side.false_alerts),
            "false_alerts": side.false_alerts,
        }

    def _rule(self, rule: str, counts: Counter[bool | None]) -> dict[str, Any]:
        return {
            "rule": rule,
            "weight": self._weights.get(rule),
            "spoke": counts.total(),
            "in_scams": counts[True],
            "in_honest": counts[False],
            "observed_weight": self._observed(counts[True], counts[False]),
        }

    def _observed(self, in_scams: int, in_honest: int) -> float | None:
        """The weight of evidence that these reports show, in decibans: what the rule's weight should be near."""
        if not self._scams or not self._honest:
            return None
        scams = (in_scams + 0.5) / (self._scams.total() + 1)
        honest = (in_honest + 0.5) / (self._honest + 1)
        return round(10 * math.log10(scams / honest), 1)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def weights_of(rules: Iterable[Any]) -> dict[str, int]:
    """Return the weights of compiled rules by id."""
    return {rule.id: rule.weight for rule in rules}
