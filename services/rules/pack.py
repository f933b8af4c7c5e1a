"""What a rule is, and how a pack of them is asked. The rules themselves are in `talk` and `signs`.

A rule is a pure function of the facts that returns why it speaks, or nothing. The sentences are read by
tellers and police, so they name what made the rule speak.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from services.rules.features import Facts
from services.rules.verdict import Finding
from shared.events import Advice

GAP: Final = 10
"""How many characters may stand between the words of a phrase."""

When = Callable[[Facts], str | None]
"""Says why a rule speaks, or nothing."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `scam_type` is its own, or read from the facts where they know better."""

    id: str
    weight: int
    when: When
    scam_type: str | When | None = None
    ask: tuple[str, ...] = ()
    say: tuple[str, ...] = ()
    do: tuple[str, ...] = ()
    advice: Advice = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "advice", Advice(ask=self.ask, say=self.say, do=self.do))


def evaluate(facts: Facts, rules: Sequence[Rule]) -> list[Finding]:
    """Ask every rule; return those that speak."""
    findings = []
    for rule in rules:
        why = rule.when(facts)
        if why is not None:
            scam_type = rule.scam_type(facts) if callable(rule.scam_type) else rule.scam_type
            findings.append(Finding(rule.id, rule.weight, why, scam_type, rule.advice))
    return findings


class Phrases:
    """Phrases to look for. A phrase is words, or several that follow each other closely.

    Words are a regular expression without wildcards and without groups that capture: so a match can be
    quoted, and so the search takes time in proportion to the text.
    """

    def __init__(self, *phrases: str | tuple[str, ...]) -> None:
        self.chains = [(phrase,) if isinstance(phrase, str) else phrase for phrase in phrases]
        self._pattern = re.compile(
            "|".join(f".{{0,{GAP}}}?".join(f"({words})" for words in one) for one in self.chains)
        )

    def quoted(self, text: str) -> str | None:
        """Quote the words of the first phrase in `text`.

        What stands before, between and after the words is the customer's own and stays sealed.
        """
        found = self._pattern.search(text)
        return "…".join(words for words in found.groups() if words) if found else None


@dataclass(frozen=True, slots=True)
class Says:
    """Speaks when note or purpose hold one of the phrases, or when the teller ticked one of the cues.

    `cues` maps a cue's code to the words that name it.
    """

    phrases: Phrases
    why: str
    cues: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, facts: Facts) -> str | None:
        if quoted := self.phrases.quoted(facts.text):
            return f"{self.why}（备注或用途提到“{quoted}”）"
        ticked = [words for cue, words in self.cues.items() if cue in facts.cues]
        return f"{self.why}（柜员勾选“{'、'.join(ticked)}”）" if ticked else None


def ticked(cue: str, why: str) -> When:
    """Speak when the teller ticked a cue."""
    return lambda facts: why if cue in facts.cues else None
