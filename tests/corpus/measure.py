"""`make judgement`: how well the reference pack judges; written to docs/judgement.md."""

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from services.rules.pack.compiled import CompiledPack, Visit
from services.rules.pack.compiling import compile_pack
from services.rules.pack.files import read_folder
from shared.events import Level
from tests.corpus.generate import TRAINING, TUNING, UNSEEN, Case, cases, streamed

REFERENCE: Final = Path("deploy/reference/rules")
PAGE: Final = Path("docs/judgement.md")
SEEDS: Final = (11, 12, 13, 14, 15)
SCAM_SHARE: Final = 0.3
"""Three reports in ten are scams: the share that precision is stated for."""

STREAMED: Final = 10_000
BANDS: Final = ((0, 9), (10, 29), (30, 59), (60, 79), (80, 94), (95, 100))
MARKS: Final = ("<!-- measured: begin -->", "<!-- measured: end -->")


@dataclass(frozen=True, slots=True)
class Judged:
    """A case and what the pack made of it."""

    case: Case
    level: Level
    score: int
    scam_type: str | None


def judge(pack: CompiledPack, found: Iterable[Case]) -> list[Judged]:
    """Judge cases."""
    judged = []
    for case in found:
        verdict = pack.judge(case.facts, case.visit).verdict
        judged.append(Judged(case, verdict.level, verdict.score, verdict.scam_type))
    return judged


def share(judged: Sequence[Judged], *levels: Level) -> float:
    """Return the share of cases at these levels; nothing is no share."""
    return sum(one.level in levels for one in judged) / len(judged) if judged else float("nan")


def scams(judged: Iterable[Judged]) -> list[Judged]:
    """Return the scams."""
    return [one for one in judged if one.case.scam]


def honest(judged: Iterable[Judged]) -> list[Judged]:
    """Return the honest visits."""
    return [one for one in judged if not one.case.scam]


def by_kind(judged: Iterable[Judged]) -> dict[str, list[Judged]]:
    """Sort cases by kind."""
    sorted_: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        sorted_[one.case.kind].append(one)
    return dict(sorted(sorted_.items()))


def precision(judged: Sequence[Judged]) -> float:
    """Return the precision at alert level where three reports in ten are scams."""
    caught = SCAM_SHARE * share(scams(judged), Level.ALERT)
    false = (1 - SCAM_SHARE) * share(honest(judged), Level.ALERT)
    return caught / (caught + false) if caught + false else float("nan")


def reference() -> CompiledPack:
    """Compile the reference pack."""
    return compile_pack(read_folder(REFERENCE))


def unseen(authors: Sequence[str] = UNSEEN, seeds: Sequence[int] = SEEDS) -> list[Case]:
    """Make the cases of stories the pack was not written on, with several draws of noise."""
    return [case for seed in seeds for case in cases(authors, seed)]


def variants() -> dict[str, list[Case]]:
    """Make the unseen cases poorer: what is left when tellers and banks give less."""
    found = unseen()
    said = {"transfer.amount_yuan", "transfer.channel", "transfer.cash", "payee.personal", "payer.age", "time.hour"}

    def told(case: Case, *, purpose: str | None = None) -> Visit:
        stated = case.visit.purpose if purpose is None else purpose
        return Visit(frozenset(), stated, case.visit.note, case.visit.filed_at)

    bare = [
        replace(case, visit=told(case), facts={name: case.facts[name] for name in said & case.facts.keys()})
        for case in found
    ]
    return {
        "as it is": found,
        "nothing ticked": [replace(case, visit=told(case)) for case in found],
        "nothing ticked, nothing known of the past": bare,
        "and no purpose stated": [replace(case, visit=told(case, purpose="")) for case in bare],
        "and every payee a person": [replace(case, facts={**case.facts, "payee.personal": True}) for case in bare],
    }


def main() -> None:
    """Measure and write."""
    pack = reference()
    sets = {
        "training": judge(pack, unseen(TRAINING, SEEDS[:1])),
        "tuning": judge(pack, unseen(TUNING)),
        "unseen": judge(pack, unseen()),
    }
    stream = judge(pack, streamed(UNSEEN, STREAMED))
    poorer = {name: judge(pack, found) for name, found in variants().items()}
    unseen_ones = sets["unseen"]
    text = "\n".join([*_sets(sets, stream), *_variants(poorer), *_kinds(unseen_ones), *_calibration(unseen_ones)])
    page = PAGE.read_text(encoding="utf-8")
    marked = re.compile(f"{MARKS[0]}.*{MARKS[1]}", re.DOTALL)
    PAGE.write_text(marked.sub(lambda _: f"{MARKS[0]}\n{text}\n{MARKS[1]}", page), encoding="utf-8")
    sys.stdout.write(text + "\n")


def _sets(sets: dict[str, list[Judged]], stream: Sequence[Judged]) -> list[str]:
    lines = [
        "| stories | scams | honest | recall at alert | at caution or above | false alerts | precision (30% scams) |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, judged in sets.items():
        bad, good = scams(judged), honest(judged)
        above = share(bad, Level.ALERT, Level.CAUTION)
        lines.append(
            f"| {name} | {len(bad)} | {len(good)} | {share(bad, Level.ALERT):.1%} | {above:.1%} |"
            f" {share(good, Level.ALERT):.2%} | {precision(judged):.1%} |"
        )
    per_thousand = 1_000 * share(stream, Level.ALERT)
    lines += ["", f"Streamed honest transfers ({len(stream):,}): {per_thousand:.1f} false alerts in a thousand.", ""]
    return lines


def _variants(poorer: dict[str, list[Judged]]) -> list[str]:
    lines = ["| unseen stories | recall at alert | false alerts | precision (30% scams) |", "|---|--:|--:|--:|"]
    for name, judged in poorer.items():
        recall, false = share(scams(judged), Level.ALERT), share(honest(judged), Level.ALERT)
        lines.append(f"| {name} | {recall:.1%} | {false:.2%} | {precision(judged):.1%} |")
    return [*lines, ""]


def _kinds(judged: Sequence[Judged]) -> list[str]:
    lines = ["| scam type (unseen) | visits | recall at alert | type named rightly |", "|---|--:|--:|--:|"]
    for kind, ones in by_kind(scams(judged)).items():
        alerts = [one for one in ones if one.level is Level.ALERT]
        named = sum(one.scam_type == kind for one in alerts) / len(alerts) if alerts else float("nan")
        lines.append(f"| {kind} | {len(ones)} | {share(ones, Level.ALERT):.1%} | {named:.0%} |")
    lines += ["", "| honest (unseen) | visits | false alerts | cautions |", "|---|--:|--:|--:|"]
    for kind, ones in by_kind(honest(judged)).items():
        lines.append(f"| {kind} | {len(ones)} | {share(ones, Level.ALERT):.1%} | {share(ones, Level.CAUTION):.1%} |")
    return [*lines, ""]


def _calibration(judged: Sequence[Judged]) -> list[str]:
    """Compare scores with the share of scams, weighed as if three reports in ten were scams."""
    weight = {True: SCAM_SHARE / len(scams(judged)), False: (1 - SCAM_SHARE) / len(honest(judged))}
    lines = ["| score (unseen) | visits | mean score | scams among them |", "|---|--:|--:|--:|"]
    for low, high in BANDS:
        ones = [one for one in judged if low <= one.score <= high]
        total = sum(weight[one.case.scam] for one in ones)
        if ones:
            mean = sum(one.score * weight[one.case.scam] for one in ones) / total
            truly = sum(weight[True] for one in ones if one.case.scam) / total
            lines.append(f"| {low}–{high} | {len(ones)} | {mean:.0f} | {truly:.0%} |")
    return lines


if __name__ == "__main__":
    main()
