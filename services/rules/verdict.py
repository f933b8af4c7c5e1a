"""The verdict: how findings add up. Pure: no clock, no I/O.

Weights are points. Independent evidence adds up, honest explanations take away, and the sum is cut to
0–100. An honest explanation outweighs small signs, never a sign that asks for caution by itself: such an
explanation does not count, and is not shown. A rule weighs less than the alert threshold unless it is
meant to make an alert alone.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from shared.events import Advice, Level, RuleFinding

ALERT_FROM: Final = 60
CAUTION_FROM: Final = 30
HIGHEST: Final = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that spoke: its weight in points, why, and what the teller should do about it."""

    rule: str
    weight: int
    why: str
    scam_type: str | None
    advice: Advice


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided of one report."""

    level: Level
    score: int
    scam_type: str | None
    findings: tuple[RuleFinding, ...]
    advice: Advice


def decide(findings: Sequence[Finding]) -> Verdict:
    """Add up the findings. The heaviest come first, in the findings and in the advice."""
    grave = any(finding.weight >= CAUTION_FROM for finding in findings)
    counted = [finding for finding in findings if finding.weight > 0 or not grave]
    ordered = sorted(counted, key=lambda finding: (-finding.weight, finding.rule))
    score = max(0, min(HIGHEST, sum(finding.weight for finding in ordered)))
    level = level_of(score)
    speaking = [finding for finding in ordered if finding.weight > 0] if level is not Level.CLEAR else []
    return Verdict(
        level=level,
        score=score,
        scam_type=_likeliest(speaking),
        findings=tuple(RuleFinding(rule=f.rule, weight=f.weight, why=f.why) for f in ordered),
        advice=_joined(GENERAL[level], speaking),
    )


def level_of(score: int) -> Level:
    """Return the level a score stands for."""
    if score >= ALERT_FROM:
        return Level.ALERT
    return Level.CAUTION if score >= CAUTION_FROM else Level.CLEAR


def _likeliest(findings: Iterable[Finding]) -> str | None:
    weights: Counter[str] = Counter()
    for finding in findings:
        if finding.scam_type:
            weights[finding.scam_type] += finding.weight
    return weights.most_common(1)[0][0] if weights else None


def _joined(general: Advice, findings: Iterable[Finding]) -> Advice:
    """The general advice of the level, then each finding's, each sentence once."""
    advices = [*(finding.advice for finding in findings), general]
    return Advice(
        ask=tuple(dict.fromkeys(line for advice in advices for line in advice.ask)),
        say=tuple(dict.fromkeys(line for advice in advices for line in advice.say)),
        do=tuple(dict.fromkeys(line for advice in advices for line in advice.do)),
    )


GENERAL: Final = {
    Level.CLEAR: Advice(ask=(), say=(), do=("按正常流程办理。",)),
    Level.CAUTION: Advice(
        ask=("您和收款人是什么关系？这笔钱作什么用？",),
        say=("为了您的资金安全，我们再核对一下，不会耽误太久。",),
        do=("请大堂经理到场，核实清楚后再办理。",),
    ),
    Level.ALERT: Advice(
        ask=("是谁让您来转这笔钱的？现在是不是有人在电话里教您怎么说？",),
        say=("这笔转账很像诈骗，钱一转出去就很难追回，请先等一等，民警马上和您联系。",),
        do=("暂缓办理，请客户到安静处坐下，挂断电话。", "留意接听辖区派出所来电，报告网点负责人。"),
    ),
}
