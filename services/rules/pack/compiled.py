"""A pack ready to judge: its rules are asked together, in one call, about the facts and the text."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import compress
from typing import Final

from services.rules.conditions import Condition
from services.rules.features import DEFAULTS, UNKNOWN, Facts, Value
from services.rules.pack.expression import Condition as Expression
from services.rules.pack.expression import Together
from services.rules.pack.lexicon import Lexicon, text_of
from services.rules.pack.source import Common, PackFile, Status
from services.rules.pack.text_model import TextModel
from services.rules.verdict import Finding, Scale, Verdict, decide
from shared.events import Advice

GUESS: Final = "text.scam_type"
"""Where a rule's scam type comes from here, it is a guess."""

EMPTY: Final = re.compile("（[“”]*）|“”")
"""What is left of a quote in a reason where nothing was said: the rule spoke for something else."""

MODEL_WORDS: Final = "text.words"
"""Shown in reasons only: the grams that weighed most."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A value shown in a reason."""

    name: str


Why = tuple[str | Shown, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule ready to be asked; a table's row is a rule of its own."""

    id: str
    said: Common
    condition: Expression
    weight: int
    alone: bool
    why: Why
    scam_type: str | Shown | None
    advice: Advice
    owner: str
    place: tuple[str, tuple[str | int, ...]]
    """The file and the place in it where the condition stands."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What a report says, besides the facts: ticked cues, stated purpose and note, and when it was filed."""

    cues: frozenset[str]
    purpose: str
    note: str
    filed_at: datetime


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict of a pack, and what its shadow rules would have made of it, if any spoke.

    `failed` names rules that had no answer, as for a division by zero; they count as silent.
    """

    verdict: Verdict
    shadow: tuple[Finding, ...]
    shadow_verdict: Verdict | None
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CompiledPack:
    """A pack, compiled. Immutable: a report is judged by one pack from beginning to end."""

    hash: str
    common: PackFile
    rules: Sequence[Rule]
    together: Together
    lexicon: Lexicon
    model: TextModel | None
    scale: Scale
    names: Mapping[str, Value]
    """The names that conditions and reasons may use, with their defaults."""

    def judge(self, facts: Facts, visit: Visit, condition: Condition | None = None) -> Judgement:
        """Judge one report by what is known of it, by its text, and by the list entry that applies."""
        if condition and condition.scam_type not in self.common.scam_types:
            condition = replace(condition, scam_type=None)
        values, quotes = self.look(facts, visit)
        answers = self.together.evaluate(values)
        spoke = [rule for rule in compress(self.rules, answers) if rule.said.valid_at(visit.filed_at)]
        found = [self._finding(rule, values, quotes) for rule in spoke if rule.said.status is Status.ACTIVE]
        shadow = [self._finding(rule, values, quotes) for rule in spoke if rule.said.status is Status.SHADOW]
        return Judgement(
            decide(found, self.scale, condition),
            tuple(shadow),
            decide([*found, *shadow], self.scale, condition) if shadow else None,
            self._without(answers) if None in answers else (),
        )

    def look(self, facts: Facts, visit: Visit) -> tuple[dict[str, Value], dict[str, str]]:
        """Return the value of every name, and how names are quoted in reasons."""
        text = text_of(visit.purpose, visit.note)
        said = self.lexicon.quotes(text)
        known = facts if facts.keys() <= DEFAULTS.keys() else {name: facts[name] for name in facts if name in DEFAULTS}
        values: dict[str, Value] = {**self.names, **known}
        values.update([(f"says.{name}", True) for name in said])
        values.update([(f"cue.{cue}", True) for cue in visit.cues if cue in self.common.cues])
        values["text.note_length"] = len(text.bare) - text.purpose_length
        quotes = {f"says.{name}": words for name, words in said.items()}
        if self.model:
            impression = self.model.read(text.bare[: text.purpose_length], text.bare[text.purpose_length :])
            values["text.points"] = impression.points
            values["text.scam_type"] = impression.scam_type
            quotes[MODEL_WORDS] = "、".join([f"“{word}”" for word in impression.words])
        return values, quotes

    def _without(self, answers: Sequence[bool | None]) -> tuple[str, ...]:
        """Return the rules that have no answer."""
        return tuple(rule.id for rule, answer in zip(self.rules, answers, strict=True) if answer is None)

    def _finding(self, rule: Rule, values: Mapping[str, Value], quotes: Mapping[str, str]) -> Finding:
        shown = rule.scam_type.name if isinstance(rule.scam_type, Shown) else None
        scam_type = values[shown] if shown else rule.scam_type
        named = str(scam_type) if scam_type in self.common.scam_types else None
        why = "".join([part if isinstance(part, str) else self._shown(part.name, values, quotes) for part in rule.why])
        return Finding(rule.id, rule.weight, EMPTY.sub("", why), named, rule.advice, guess=shown == GUESS)

    def _shown(self, name: str, values: Mapping[str, Value], quotes: Mapping[str, str]) -> str:
        """Write a value as a teller reads it: only a pack's own words are quoted, never the customer's."""
        if name in quotes or name.startswith("says."):
            return quotes.get(name, "")
        if name.startswith("cue."):
            return self.common.cues[name.removeprefix("cue.")]
        value = values.get(name, "")
        if isinstance(value, bool):
            return "是" if value else "否"
        if isinstance(value, int):
            return "未知" if value == UNKNOWN and self.names.get(name) == UNKNOWN else f"{value:,}"
        return self.common.scam_types.get(value, value)
