"""What tellers write: normalised, and searched for the phrases of a pack in one pass.

A phrase is words, or several groups of words that follow each other closely. Spaces and symbols between
characters, full-width and traditional forms do not hide a word; a denial right before it does.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import opencc
from ahocorasick_rs import AhoCorasick

NEAR: Final = 10
"""How many characters may stand between two words of a phrase."""

DENIAL_REACHES: Final = 6
"""How many characters before a word a denial may begin, within the same clause."""

SENTENCE_MARKS: Final = "，。；！？、,;!?\n"
_SIMPLIFIED: Final = opencc.OpenCC("t2s")
_CLAUSE_ENDS: Final = re.compile(f"[{SENTENCE_MARKS}]+")
_SYMBOLS: Final = re.compile(r"[^\w]|_")

Span = tuple[int, int]
"""Where a word stands in a text: start, and end, which is past it."""

Group = tuple[str, ...]
"""Words any of which will do."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """One thing that may be said. Each way is a chain of groups that follow each other closely.

    `denied` says whether a denial right before it takes it back, `unless` which words do so anywhere in the
    clause it begins in. `purpose_only`: the note does not count.
    """

    name: str
    means: str
    ways: tuple[tuple[Group, ...], ...]
    denied: bool = True
    unless: Group = ()
    purpose_only: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """What a teller wrote, ready to be searched: purpose, then note.

    `bare` has neither spaces nor symbols; `clause` tells for each of its characters in which clause it stands.
    """

    bare: str
    clause: tuple[int, ...]
    purpose_length: int


def text_of(purpose: str, note: str) -> Text:
    """Normalise purpose and note."""
    stated, written = _clauses(purpose), _clauses(note)
    clause = (number for number, letters in enumerate(stated + written) for _ in letters)
    return Text("".join(stated + written), tuple(clause), sum(map(len, stated)))


def _clauses(text: str) -> list[str]:
    whole = text.encode(errors="ignore").decode()  # half of a character is none
    plain = _SIMPLIFIED.convert(unicodedata.normalize("NFKC", whole)).lower()
    return [_SYMBOLS.sub("", clause) for clause in _CLAUSE_ENDS.split(plain)]


class Lexicon:
    """The phrases of a pack, compiled into one automaton."""

    def __init__(
        self,
        phrases: Sequence[Phrase],
        denials: Sequence[str] = (),
        variants: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.phrases = {phrase.name: phrase for phrase in phrases}
        groups = list({group: None for phrase in phrases for way in phrase.ways for group in way})
        number = {group: at for at, group in enumerate(groups)}
        self._ways = [(phrase, tuple(number[group] for group in way)) for phrase in phrases for way in phrase.ways]
        self._ways_of: list[list[int]] = [[] for _ in groups]
        """For each group: the ways to say something that are looked at once it is found, as it has the fewest words."""
        for at, (_, way) in enumerate(self._ways):
            self._ways_of[min(way, key=lambda group: len(groups[group]))].append(at)
        words: dict[str, dict[int, None]] = defaultdict(dict)
        for at, group in enumerate(groups):
            for written in (one for word in group for one in _written(word, variants or {})):
                words[written][at] = None
        self._groups_of = [tuple(found) for found in words.values()]
        """For each word: the groups it is in."""
        self._automaton = AhoCorasick(list(words))
        self._denials = re.compile("|".join(map(re.escape, denials)) or r"(?!)")

    def quotes(self, text: Text) -> dict[str, str]:
        """Return the phrases said, each with the words that said it, joined by "…".

        What stands between the words is the customer's own and stays sealed.
        """
        spans = self._spans(text)
        found: dict[int, list[int]] = {}
        for word in spans:
            for group in self._groups_of[word]:
                found.setdefault(group, []).append(word)
        said: dict[str, str] = {}
        for at in sorted([at for group in found for at in self._ways_of[group]]):
            phrase, way = self._ways[at]
            if phrase.name not in said and all(map(found.__contains__, way)):
                until = text.purpose_length if phrase.purpose_only else len(text.bare)
                if chain := self._chain(text, phrase, [_merged(spans, found[group], until) for group in way]):
                    said[phrase.name] = "…".join([text.bare[start:end] for start, end in chain])
        return said

    def _spans(self, text: Text) -> dict[int, list[Span]]:
        """Return where each word stands. A word does not run from the purpose to the note."""
        spans: dict[int, list[Span]] = {}
        purpose = text.purpose_length
        for word, start, end in self._automaton.find_matches_as_indexes(text.bare, overlapping=True):
            if end <= purpose or start >= purpose:
                spans.setdefault(word, []).append((start, end))
        return spans

    def _chain(self, text: Text, phrase: Phrase, groups: Sequence[Sequence[Span]]) -> list[Span]:
        """Return the first words that follow each other closely and are not denied; none: not said."""
        first, *others = _leading_on(groups)
        excluded = _clauses_with(phrase.unless, text) if first else ()
        for span in first:
            denied = phrase.denied and self._is_denied(text, span[0])
            if not denied and text.clause[span[0]] not in excluded:
                chain = [span]
                for spans in others:
                    chain.append(spans[bisect_left(spans, (chain[-1][1], 0))])
                return chain
        return []

    def _is_denied(self, text: Text, start: int) -> bool:
        begins = bisect_left(text.clause, text.clause[start])
        return self._denials.search(text.bare, max(begins, start - DENIAL_REACHES), start) is not None


def _clauses_with(words: Group, text: Text) -> set[int]:
    """Return the clauses in which any of the words stand."""
    clauses: set[int] = set()
    for word in words:
        at = text.bare.find(word)
        while at >= 0:
            ends = bisect_right(text.clause, text.clause[at])
            if at + len(word) <= ends:
                clauses.add(text.clause[at])
            at = text.bare.find(word, ends if at + len(word) <= ends else at + 1)
    return clauses


def _merged(spans: Mapping[int, Sequence[Span]], words: Sequence[int], until: int) -> list[Span]:
    return sorted([span for word in words for span in spans[word] if span[1] <= until])


def _leading_on(groups: Sequence[Sequence[Span]]) -> list[Sequence[Span]]:
    """Leave only the words from which a chain leads on to the last group, each near the one before it."""
    leading: list[Sequence[Span]] = [groups[-1]]
    for spans in reversed(groups[:-1]):
        goals = leading[-1]
        places = (bisect_left(goals, (end, 0)) for _, end in spans)
        near = (
            place < len(goals) and goals[place][0] <= end + NEAR for place, (_, end) in zip(places, spans, strict=True)
        )
        leading.append([span for span, leads in zip(spans, near, strict=True) if leads])
    return leading[::-1]


def _written(word: str, variants: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield a word as it may be written: with at most one of its characters in another form."""
    yield word
    for at, letter in enumerate(word):
        for other in variants.get(letter, ()):
            yield word[:at] + other + word[at + 1 :]
