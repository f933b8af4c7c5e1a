"""`make bench-rules`: what judging a report by one hundred rules costs, and what it costs other rule engines.

On one core, in one run, the same hundred conditions and the same visits: our engine alone, our whole judgement (text,
conditions, findings, verdict), and each other engine in the fastest of its forms. All answer alike, or nothing is
timed. Processor time is counted, so that neighbours on the machine disturb less. The run fails where the bar is missed.

`--json PATH` keeps the figures, `--write` puts them into docs/performance.md.
"""

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from rich.console import Console

from tests.bench import engines, rules_report
from tests.bench.rules_pack import Subject, Values, subject
from tests.bench.rules_report import BAR_MICROSECONDS, OURS, WHOLE, Figure, Result
from tests.bench.rules_translation import flat

CHECKS: Final = 500
ROUNDS: Final = 7
EVALUATIONS: Final = 2_000
TRIAL: Final = 50
LEAST_HELD: Final = 95
"""So many conditions hold for some of the facts and not for others, or agreeing would prove little."""

console = Console(highlight=False, width=110)


@dataclass(frozen=True, slots=True)
class Contestant:
    """Something to time: `ask` judges the visit of that number."""

    engine: str
    form: str
    ask: Callable[[int], object]


def main() -> None:
    """Check, time, report; leave with 1 where the bar is missed."""
    options = _options()
    pinned = _pin()
    found = subject(CHECKS)
    others = engines.forms(found.conditions)
    held = _agree(found, others)
    console.print(f"{len(others) + 1} ways of asking gave the same answers on {len(found.checked)} fact sets")
    tried, fastest = _fastest(found, others)
    figures = _rounds([*_ours(found), *fastest], len(found.visits))
    result = Result(figures, tried, found.own, held, has_model=found.pack.model is not None, pinned=pinned)
    console.print(rules_report.table(result))
    if options.json:
        options.json.write_text(json.dumps(result.as_json(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    if options.write:
        rules_report.write(result)
    missed = result.missed()
    for line in missed:
        console.print(f"missed: {line}", style="red")
    sys.exit(1 if missed else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-rules", description=f"Bar: {BAR_MICROSECONDS} µs a report.")
    parser.add_argument("--json", type=Path, metavar="PATH", help="keep the figures as JSON")
    parser.add_argument("--write", action="store_true", help=f"write the section in {rules_report.DOCUMENT}")
    return parser.parse_args()


def _pin() -> bool:
    """Stay on one core; tell whether that is possible here."""
    try:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    except (AttributeError, OSError) as error:
        console.print(f"warning: not pinned to one core ({error})", style="yellow")
        return False
    return True


def _agree(found: Subject, others: Sequence[engines.Form]) -> int:
    """Return how many conditions hold for some facts and not for others. Stops the run where engines disagree."""
    answers = [found.pack.together.evaluate(facts) for facts in found.checked]
    for facts, expected in zip(found.checked, answers, strict=True):
        theirs = flat(facts)
        for other in others:
            for condition, ours, said in zip(found.conditions, expected, other.ask(theirs), strict=True):
                if ours is not said:
                    sys.exit(f"{other.engine} ({other.form}) says {said}, not {ours}: {condition.source}")
    held = sum(len(set(column)) > 1 for column in zip(*answers, strict=True))
    if held < LEAST_HELD:
        sys.exit(f"only {held} conditions hold now and then: the facts do not try them")
    return held


def _ours(found: Subject) -> list[Contestant]:
    pack, visits, known = found.pack, found.visits, found.known
    return [
        Contestant(OURS, "conditions alone", lambda at: pack.together.evaluate(known[at])),
        Contestant(WHOLE, "text, conditions, findings", lambda at: pack.judge(visits[at].facts, visits[at].visit)),
    ]


def _fastest(found: Subject, others: Sequence[engines.Form]) -> tuple[list[Figure], list[Contestant]]:
    """Try every form shortly; return what each took, and the fastest of each engine."""
    known = [flat(facts) for facts in found.known]
    contestants = [Contestant(one.engine, one.form, _asking(one, known)) for one in others]
    took = [(_timed(one, len(known), TRIAL), one) for one in contestants for _ in range(2)][1::2]
    tried = [Figure(one.engine, one.form, (microseconds,)) for microseconds, one in took]
    best: dict[str, Contestant] = {}
    for _, one in sorted(took, key=lambda pair: pair[0]):
        best.setdefault(one.engine, one)
    return tried, list(best.values())


def _asking(form: engines.Form, known: Sequence[Values]) -> Callable[[int], object]:
    return lambda at: form.ask(known[at])


def _rounds(contestants: Sequence[Contestant], visits: int) -> list[Figure]:
    """Time all of them in turn, round by round."""
    taken = [[_timed(one, visits, EVALUATIONS) for one in contestants] for _ in range(ROUNDS)]
    return [
        Figure(one.engine, one.form, times) for one, times in zip(contestants, zip(*taken, strict=True), strict=True)
    ]


def _timed(one: Contestant, visits: int, evaluations: int) -> float:
    """Return microseconds a report."""
    order = list(islice(cycle(range(visits)), evaluations))
    gc.collect()
    began = time.process_time_ns()
    for at in order:
        one.ask(at)
    return (time.process_time_ns() - began) / evaluations / 1_000


if __name__ == "__main__":
    main()
