"""Judging one report: what is known of it goes in, the verdict and what is kept of it come out. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from services.rules.conditions import Condition, ConditionKind, Subject, applying
from services.rules.features import Facts, Value, facts, notable
from services.rules.pack.compiled import CompiledPack, Judgement, Visit
from services.rules.verdict import Verdict
from shared.events import ReportFiled
from shared.privacy import Seal

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Published:
    """A compiled pack and the version it was published as."""

    version: int
    pack: CompiledPack

    def label(self) -> str:
        """Name it as a verdict does: `reference@3`."""
        return f"{self.pack.common.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class InForce:
    """What judges, and what is tried beside it. One value, so that no report is judged by half of each."""

    live: Published
    shadow: Published | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """A verdict and what is kept beside it, so that it can be explained: facts, list entry, shadow (as JSON)."""

    judgement: Judgement
    facts: Mapping[str, Value]
    lists: dict[str, object] | None
    shadow: dict[str, object] | None

    @property
    def verdict(self) -> Verdict:
        return self.judgement.verdict


def visit_of(report: ReportFiled, narrative: Seal) -> Visit:
    """Open what the teller wrote. Raises `SealBrokenError`."""
    opened = json.loads(narrative.open(report.narrative, str(report.report_id)))
    return Visit(frozenset(report.cues), opened["purpose"], opened["note"], report.filed_at)


def reach(report: ReportFiled, visit: Visit, past: Facts, conditions: Sequence[Condition], packs: InForce) -> Reached:
    """Judge a report by the packs in force."""
    known = facts(report, past)
    condition = applying(conditions)
    judgement = packs.live.pack.judge(known, visit, condition)
    return Reached(
        judgement,
        notable(known),
        kept_condition(condition) if condition else None,
        _shadow(judgement, packs, known, visit, condition),
    )


def kept_condition(condition: Condition) -> dict[str, object]:
    """What is kept of the list entry that had the last word."""
    return {
        "entry": str(condition.id),
        "subject": condition.subject.value,
        "kind": condition.kind.value,
        "scam_type": condition.scam_type,
        "reason": condition.reason,
        "author": condition.author,
        "starts_at": condition.starts_at.isoformat(),
    }


def condition_kept(kept: Mapping[str, str]) -> Condition:
    """Read what was kept of a list entry."""
    return Condition(
        UUID(kept["entry"]),
        Subject(kept["subject"]),
        ConditionKind(kept["kind"]),
        kept["scam_type"],
        kept["reason"],
        kept["author"],
        datetime.fromisoformat(kept["starts_at"]),
        None,
    )


def _shadow(
    judgement: Judgement, packs: InForce, known: Facts, visit: Visit, condition: Condition | None
) -> dict[str, object] | None:
    """What shadow rules and the shadow pack would have made of it, if there is anything to say."""
    said: dict[str, object] = {}
    if judgement.shadow_verdict:
        would = judgement.shadow_verdict
        said["rules"] = [finding.rule for finding in judgement.shadow]
        said["level"], said["score"] = would.level.value, would.score
    if packs.shadow:
        said["pack"] = {"version": packs.shadow.version, **_tried(packs.shadow.pack, known, visit, condition)}
    return said or None


def _tried(pack: CompiledPack, known: Facts, visit: Visit, condition: Condition | None) -> dict[str, object]:
    """What a pack that is only tried says. Whatever goes wrong in it, the judgement stands."""
    try:
        verdict = pack.judge(known, visit, condition).verdict
    except Exception:
        log.exception("shadow_pack_failed", pack=pack.hash)
        return {"level": "failed", "score": 0, "rules": []}
    rules = [finding.rule for finding in verdict.findings]
    return {"level": verdict.level.value, "score": verdict.score, "rules": rules}
