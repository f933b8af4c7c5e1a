"""What `make bench-rules` asks about: one hundred rules, visits to judge by them, and facts to check answers on.

Eighty conditions are the reference pack's own, taken evenly from all of it; twenty are made from the same names
with a fixed seed, for what the pack uses little: texts, `in` and longer mixtures of `&&` and `||`.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

import yaml

from services.rules.features import FEATURES, Value
from services.rules.pack.compiled import CompiledPack, Rule
from services.rules.pack.compiling import compile_pack
from services.rules.pack.expression import Condition, Language
from services.rules.pack.files import read_folder
from tests.bench.rules_translation import translatable
from tests.corpus.generate import TRAINING, Case, cases

REFERENCE: Final = Path("deploy/reference/rules")
RULES, OWN = 100, 80
VISITS: Final = 100
MADE_FILE: Final = "made-for-the-bench.yaml"
NUMBERS: Final = tuple(name for name, one in FEATURES.items() if type(one.default) is int)
SWITCHES: Final = tuple(name for name, one in FEATURES.items() if type(one.default) is bool)
TEXTS: Final = {
    "transfer.channel": ("counter_transfer", "counter_cash", "atm", "mobile_bank"),
    "payee.scam_type": ("", "fake_loan", "romance", "brushing_rebates"),
    "text.scam_type": ("", "fake_investment", "impersonated_authority", "game_trading"),
}

Values = dict[str, Value]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Subject:
    """The pack of one hundred rules, visits, what is known of each of them, and the facts to check answers on.

    `own` says how many of the rules are the reference pack's.
    """

    pack: CompiledPack
    own: int
    visits: Sequence[Case]
    known: Sequence[Values]
    checked: Sequence[Values]

    @property
    def conditions(self) -> list[Condition]:
        """The conditions of the hundred rules."""
        return [rule.condition for rule in self.pack.rules]


def subject(checks: int) -> Subject:
    """Put together the rules, the visits and so many fact sets to check. Every call returns the same."""
    files = read_folder(REFERENCE)
    pack = compile_pack({**files, MADE_FILE: _made_file(RULES)})
    is_made = {rule.id: rule.place[0] == MADE_FILE for rule in pack.rules}
    own = _evenly(
        [rule for rule in pack.rules if not is_made[rule.id] and translatable(rule.condition, pack.names)], OWN
    )
    made = [rule for rule in pack.rules if is_made[rule.id]]
    pack = _reduced(pack, [*own, *made[: RULES - len(own)]])
    visits = _evenly(cases(TRAINING), VISITS)
    known = [pack.look(case.facts, case.visit)[0] for case in visits]
    return Subject(pack, len(own), visits, known, [*known, *_drawn(pack, checks)])


def _reduced(pack: CompiledPack, rules: Sequence[Rule]) -> CompiledPack:
    together = Language(pack.names).together([rule.condition for rule in rules])
    return replace(pack, rules=rules, together=together)


def _evenly(whole: Sequence[T], count: int) -> list[T]:
    return [whole[at * len(whole) // count] for at in range(min(count, len(whole)))]


def _made_file(count: int) -> str:
    """Write a rule file with so many conditions, each on names of its own, so that none contradicts itself."""
    draw = random.Random("bench-rules")  # noqa: S311 - no secret
    rules = [
        {"id": f"made-{at}", "title": "made", "when": _made(draw), "weight": 1, "why": "made for the bench"}
        for at in range(count)
    ]
    return yaml.safe_dump({"title": "made for the bench", "owner": "bench", "rules": rules}, width=1_000)


def _made(draw: random.Random) -> str:
    """Return a condition like `time.hour in [9, 10] && (payee.watched || text.scam_type != "romance")`."""
    numbers, switch, text = draw.sample(NUMBERS, 2), draw.choice(SWITCHES), draw.choice(tuple(TEXTS))
    some = sorted(draw.sample(range(24), draw.randint(2, 6)))
    words = ", ".join(f'"{word}"' for word in draw.sample(TEXTS[text], 2))
    atoms = [
        f"{numbers[0]} {draw.choice(('>=', '<', '==', '!='))} {draw.randint(0, 30)}",
        f"{numbers[1]} in {some}",
        f"{draw.choice(('', '!'))}{switch}",
        draw.choice((f'{text} != "{draw.choice(TEXTS[text])}"', f"{text} in [{words}]")),
    ]
    draw.shuffle(atoms)
    first, second, third, last = atoms
    return draw.choice(
        (
            f"{first} && ({second} || {third}) && {last}",
            f"({first} || {second}) && ({third} || {last})",
            f"{first} && {second} || {third} && {last}",
        )
    )


def _drawn(pack: CompiledPack, count: int) -> list[Values]:
    """Draw facts around what the conditions compare with, so that each of them holds now and then."""
    draw = random.Random("facts")  # noqa: S311 - no secret
    tokens = [token for rule in pack.rules for token in rule.condition.tokens]
    numbers = sorted({int(token.text) for token in tokens if token.kind == "number"})
    texts = sorted({token.text[1:-1] for token in tokens if token.kind == "text"})

    def value(default: Value) -> Value:
        if isinstance(default, bool):
            return draw.random() < 0.4
        return draw.choice(numbers) + draw.choice((-1, 0, 1)) if isinstance(default, int) else draw.choice(texts)

    return [{name: value(default) for name, default in pack.names.items()} for _ in range(count)]
