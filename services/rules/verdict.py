"""The verdict: how findings add up. Pure: no clock, no I/O.

A weight is a weight of evidence in decibans: ten times the decimal logarithm of how much likelier the
finding is in a scam than in an honest visit. Independent evidence adds up (Bayes' rule in logarithms), and
the sum with the pack's prior is the logarithm of the odds, so the score is a probability in percent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from services.rules.conditions import Condition, ConditionKind
from shared.events import Advice, Level, RuleFinding

HIGHEST: Final = 100
GUESS: Final = 2
KNOWN: Final = 5
MOST_POINTS: Final = 100
"""Beyond this a score does not change any more."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A pack's prior in points, the scores its levels begin at, and what is advised at each level anyway."""

    prior: int
    alert_from: int
    caution_from: int
    advice: dict[Level, Advice]

    def score(self, points: int) -> int:
        """Return the probability of a scam in percent after so many points of evidence."""
        decibans = max(-MOST_POINTS, min(MOST_POINTS, self.prior + points))
        return round(HIGHEST / (1 + 10 ** (-decibans / 10)))

    def level(self, score: int) -> Level:
        """Return the level a score stands for."""
        if score >= self.alert_from:
            return Level.ALERT
        return Level.CAUTION if score >= self.caution_from else Level.CLEAR


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that spoke: its weight in points, why, and what the teller should do about it.

    `guess`: its scam type is the text model's guess.
    """

    rule: str
    weight: int
    why: str
    scam_type: str | None
    advice: Advice
    guess: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided of one report. `condition` is the list entry that had the last word."""

    level: Level
    score: int
    scam_type: str | None
    findings: tuple[RuleFinding, ...]
    advice: Advice
    condition: Condition | None = None


def decide(findings: Sequence[Finding], scale: Scale, condition: Condition | None = None) -> Verdict:
    """Add up the findings; a condition has the last word.

    In findings and advice the heaviest come first, but what only reads like a scam comes after what is one.
    """
    ordered = sorted(findings, key=_place)
    score = _bounded(scale.score(sum(finding.weight for finding in ordered)), scale, condition)
    level = scale.level(score)
    speaking = [finding for finding in ordered if finding.weight > 0] if level is not Level.CLEAR else []
    said = [_last_word(condition)] if condition else []
    return Verdict(
        level=level,
        score=score,
        scam_type=_likeliest(speaking) or (condition.scam_type if condition and level is Level.ALERT else None),
        findings=(*said, *[RuleFinding(rule=f.rule, weight=f.weight, why=f.why) for f in ordered]),
        advice=_joined(scale.advice[level], speaking),
        condition=condition,
    )


def _place(one: Finding) -> tuple[bool, bool, int, str]:
    return one.weight <= 0, one.guess and one.weight > 0, -one.weight, one.rule


def _bounded(score: int, scale: Scale, condition: Condition | None) -> int:
    if condition is None:
        return score
    if condition.kind is ConditionKind.OVERRIDE:
        return min(score, scale.alert_from - 1)
    return max(score, scale.alert_from)


def _last_word(condition: Condition) -> RuleFinding:
    account = "收款账户" if condition.subject == "payee" else "付款账户"
    listed = "在信任名单" if condition.kind is ConditionKind.OVERRIDE else "在关注名单"
    return RuleFinding(
        rule=f"list-{condition.kind.value.replace('_', '-')}", weight=0, why=f"{account}{listed}：{condition.reason}"
    )


def _likeliest(findings: Iterable[Finding]) -> str | None:
    """Return the scam type with the most points; a guess counts less than half."""
    weights: dict[str, int] = {}
    for one in findings:
        if one.scam_type:
            weights[one.scam_type] = weights.get(one.scam_type, 0) + one.weight * (GUESS if one.guess else KNOWN)
    return max(weights, key=weights.__getitem__, default=None)


def _joined(general: Advice, findings: Iterable[Finding]) -> Advice:
    """The general advice of the level, then each finding's, each sentence once."""
    advices = [*[finding.advice for finding in findings], general]
    return Advice(
        ask=tuple(dict.fromkeys([line for advice in advices for line in advice.ask])),
        say=tuple(dict.fromkeys([line for advice in advices for line in advice.say])),
        do=tuple(dict.fromkeys([line for advice in advices for line in advice.do])),
    )
