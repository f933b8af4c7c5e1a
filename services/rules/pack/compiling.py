"""From a pack's files to a pack that judges, or to everything that is wrong with it."""

from collections import Counter
from collections.abc import Iterator
from typing import Final, cast

from services.rules.features import DEFAULTS, Value
from services.rules.pack.compiled import MODEL_WORDS, CompiledPack, Rule, Shown, Why
from services.rules.pack.contradictions import impossible
from services.rules.pack.expression import Condition, ExpressionError, Language
from services.rules.pack.files import COMMON, MODEL, Files, digest, parse
from services.rules.pack.lexicon import Lexicon
from services.rules.pack.phrases import BRACES, denials_of, phrases_of, variants_of, within
from services.rules.pack.positions import WHOLE, Fault, PackRefusedError, Place, Positions
from services.rules.pack.source import (
    MOST_RULES,
    AdviceLines,
    Common,
    Pack,
    RuleFile,
    Status,
    TableLines,
)
from services.rules.pack.tables import as_condition, as_input
from services.rules.pack.text_model import TextModel
from services.rules.verdict import Scale
from shared.events import Advice, Level

MOST_PARTS: Final = 30_000
"""All conditions of a pack together have no more parts than this: what a report costs stays bounded."""

MOST_PHRASES: Final = 2_000
FOUND_TYPES: Final = {"payee.scam_type", "text.scam_type"}
"""In place of a scam type: the one that was found out."""


def compile_pack(files: Files) -> CompiledPack:
    """Compile a pack. Raises `PackRefusedError` with all that is wrong with it: with its form, or else its content."""
    pack, positions = parse(files)
    return _Compiler(pack, positions).compile(digest(files))


def names_of(pack: Pack) -> dict[str, Value]:
    """Return every name that the conditions of a pack may use, with its default."""
    return {
        **DEFAULTS,
        **{f"cue.{cue}": False for cue in pack.common.cues},
        **{f"says.{name}": False for file in pack.files.values() for name in file.phrases},
        "text.points": 0,
        "text.scam_type": "",
        "text.note_length": 0,
    }


class _Compiler:
    """Walks through a pack once and collects what is wrong with it."""

    def __init__(self, pack: Pack, positions: Positions) -> None:
        self.pack = pack
        self.faults: list[Fault] = []
        self._positions = positions
        self._names = names_of(pack)
        self._language = Language(self._names)

    def compile(self, pack_hash: str) -> CompiledPack:
        common = self.pack.common
        if self._is_too_long():
            raise PackRefusedError(self.faults)
        advice = {level: _advice(lines) for level, lines in common.advice.items()}
        variants, denials = variants_of(self.pack, self._fault), denials_of(self.pack, self._fault)
        phrases = phrases_of(self.pack, variants, self._fault)
        rules = [rule for name, file in self.pack.files.items() for rule in self._rules(name, file)]
        self._refuse_together(rules)
        self._refuse_foreign_types()
        if self.faults:
            raise PackRefusedError(sorted(set(self.faults), key=lambda fault: (fault.file, fault.line, fault.column)))
        counted = [rule for rule in rules if rule.said.status is not Status.OFF]
        return CompiledPack(
            pack_hash,
            common,
            counted,
            self._language.together([rule.condition for rule in counted]),
            Lexicon(phrases, denials, variants),
            TextModel(self.pack.model) if self.pack.model else None,
            Scale(common.prior, common.alert_from, common.caution_from, advice),
            self._names,
        )

    def _refuse_foreign_types(self) -> None:
        """Refuse a text model that guesses at types the pack does not know."""
        types = cast("list[str]", self.pack.model["types"]) if self.pack.model else []
        if foreign := sorted(set(types) - self.pack.common.scam_types.keys()):
            self._fault(
                MODEL, (), f"the text model knows types that pack.yaml does not: {foreign[0]!r}", _types(self.pack)
            )

    def _is_too_long(self) -> bool:
        """Refuse what would take long to look at."""
        files = self.pack.files.values()
        if sum(len(file.rules) + sum(len(table.rows) for table in file.tables) for file in files) > MOST_RULES:
            self._fault(COMMON, (), f"the pack costs too much: it has more than {MOST_RULES} rules and rows")
        if sum(len(file.phrases) for file in files) > MOST_PHRASES:
            self._fault(COMMON, (), f"the pack costs too much: it has more than {MOST_PHRASES} phrases")
        return bool(self.faults)

    def _fault(self, file: str, place: Place, message: str, hint: str = "", within: tuple[int, int] = WHOLE) -> None:
        self.faults.append(self._positions.fault(file, place, message, hint, within))

    def _rules(self, name: str, file: RuleFile) -> Iterator[Rule]:
        for at, said in enumerate(file.rules):
            place: Place = ("rules", at)
            condition = self._condition(name, (*place, "when"), said.when)
            why = self._why(name, (*place, "why"), said.why)
            yield from self._rule(name, place, said, said.id, condition, said.weight, why, said.alone)
        for at, table in enumerate(file.tables):
            yield from self._rows(name, ("tables", at), table)
        for where, common in _placed(file):
            if common.scam_type and not self._known_type(common.scam_type):
                self._fault(name, (*where, "scam_type"), f"unknown scam type {common.scam_type}", _types(self.pack))

    def _rows(self, name: str, place: Place, table: TableLines) -> Iterator[Rule]:
        """Compile a table: a row speaks where it fits and no earlier row does."""
        earlier: list[str] = []
        inputs = [self._input(name, (*place, "inputs", at), one) for at, one in enumerate(table.inputs)]
        for at, row in enumerate(table.rows):
            where = (*place, "rows", at)
            if len(row.when) != len(table.inputs):
                self._fault(name, where, f"the row has {len(row.when)} cells for {len(table.inputs)} inputs")
            cells = [
                self._cell(name, (*where, "when", column), one, text)
                for column, (one, text) in enumerate(zip(inputs, row.when, strict=False))
                if one
            ]
            own = " && ".join(cell for cell in cells if cell) or "true"
            condition = None
            if None not in cells and len(cells) == len(row.when) == len(inputs):
                source = f"{own} && !({' || '.join(earlier)})" if earlier else own
                condition = self._condition(name, (*where, "when"), source, read_as=True)
                earlier.append(f"({own})")
            why_place, why = ((*where, "why"), row.why) if row.why else ((*place, "why"), table.why)
            number = f"{table.id}.{at + 1}"
            yield from self._rule(
                name, where, table, number, condition, row.weight, self._why(name, why_place, why), row.alone
            )

    def _input(self, name: str, place: Place, one: str) -> str | None:
        """Return a table's input as an expression of its own."""
        same = self._condition(name, place, f"({one}) == ({one})", shift=1)
        return as_input(one) if same else None

    def _cell(self, name: str, place: Place, one: str, text: str) -> str | None:
        """Return a cell as a condition on its input, empty where anything will do; None where it is refused."""
        source = as_condition(one, text)
        return source if not source or self._condition(name, place, source, read_as=True) else None

    def _condition(
        self, file: str, place: Place, source: str, *, read_as: bool = False, shift: int = 0
    ) -> Condition | None:
        """Check a condition; `read_as`: it is not written as such; `shift`: so many characters stand before it."""
        try:
            condition = self._language.condition(source)
        except ExpressionError as error:
            at = WHOLE if read_as else (error.line, error.column - (shift if error.line == 1 else 0))
            shown = f" (read as: {source})" if read_as else ""
            self._fault(file, place, f"{error.message}{shown}", error.hint, at)
            return None
        if excluded := impossible(condition):
            self._fault(file, place, f"the condition contradicts itself: nothing fits what it asks of {excluded}")
            return None
        return condition

    def _rule(  # noqa: PLR0913, PLR0917 - a row of a table is a rule with parts from both
        self,
        file: str,
        place: Place,
        said: Common,
        rule_id: str,
        condition: Condition | None,
        weight: int,
        why: Why,
        alone: bool,  # noqa: FBT001
    ) -> Iterator[Rule]:
        """Yield the rule if its condition can be asked; its other parts are looked at anyway."""
        common, source = self.pack.common, self.pack.files[file]
        if weight == 0:
            self._fault(file, (*place, "weight"), "a weight of 0 says nothing", "set status: off, or a weight")
        reaches = Scale(common.prior, common.alert_from, common.caution_from, {})
        if not alone and reaches.level(reaches.score(weight)) is Level.ALERT:
            hint = "say `alone: true` if that is meant, or weigh it less"
            self._fault(file, (*place, "weight"), f"{rule_id} would make an alert alone", hint)
        if condition is None:
            return
        scam_type = said.scam_type or source.scam_type
        shown = Shown(scam_type) if scam_type in FOUND_TYPES else scam_type
        owner = said.owner or source.owner
        yield Rule(rule_id, said, condition, weight, alone, why, shown, _advice(said.advice), owner, (file, place))

    def _why(self, file: str, place: Place, text: str) -> Why:
        parts: list[str | Shown] = []
        end = 0
        for found in BRACES.finditer(text):
            if found[1] != MODEL_WORDS and found[1] not in self._names:
                hint = "`lanjie rules names` lists them"
                self._fault(
                    file, place, f"the reason shows an unknown name {found[0]}", hint, within(text, found.start())
                )
            parts += [text[end : found.start()], Shown(found[1])]
            end = found.end()
        if not text.strip():
            self._fault(file, place[:-1], "there is no reason (why)", "say why, for the teller and the police")
        return tuple(part for part in (*parts, text[end:]) if part)

    def _known_type(self, scam_type: str) -> bool:
        return scam_type in self.pack.common.scam_types or scam_type in FOUND_TYPES

    def _refuse_together(self, rules: list[Rule]) -> None:
        """Refuse what only shows across the files: names used twice, the same condition twice, the whole cost."""
        for name, source in self.pack.files.items():
            if source.scam_type and not self._known_type(source.scam_type):
                self._fault(name, ("scam_type",), f"unknown scam type {source.scam_type}", _types(self.pack))
        ids = Counter(said.id for source in self.pack.files.values() for _, said in _placed(source))
        for name, source in self.pack.files.items():
            for place, said in _placed(source):
                if ids[said.id] > 1:
                    self._fault(name, (*place, "id"), f"the rule {said.id} is there more than once")
        conditions: dict[tuple[str, ...], Rule] = {}
        for rule in rules:
            file, place = rule.place
            same = conditions.setdefault(tuple(token.text for token in rule.condition.tokens), rule)
            if same is not rule and same.said.status is rule.said.status is Status.ACTIVE:
                message = f"{rule.id} has the same condition as {same.id}, so one piece of evidence counts twice"
                self._fault(file, (*place, "when"), message, "remove one")
        if sum(len(rule.condition.tokens) for rule in rules) > MOST_PARTS:
            self._fault(COMMON, (), f"the pack costs too much: its conditions have more than {MOST_PARTS} parts")


def _placed(file: RuleFile) -> Iterator[tuple[Place, Common]]:
    """Yield the rules and tables of a file, each with its place."""
    yield from ((("rules", at), said) for at, said in enumerate(file.rules))
    yield from ((("tables", at), said) for at, said in enumerate(file.tables))


def _advice(lines: AdviceLines) -> Advice:
    return Advice(ask=lines.ask, say=lines.say, do=lines.do)


def _types(pack: Pack) -> str:
    return f"there are {', '.join(pack.common.scam_types)}"
