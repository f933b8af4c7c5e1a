"""From the phrases a pack declares to those the lexicon searches for: spelt out, and in plain spelling."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Protocol

from services.rules.pack.files import COMMON
from services.rules.pack.lexicon import Group, Phrase, text_of
from services.rules.pack.positions import WHOLE, Place
from services.rules.pack.source import MOST_PHRASE_WORDS, Pack

LONGEST_WORD: Final = 60
MOST_WRITTEN: Final = 200_000
"""All words of a pack, in all their variants."""

LONGEST_VARIANT: Final = 10
NOTHING: Final = "\0"
"""A word no text holds, in place of none."""

BRACES: Final = re.compile(r"\{([^{}]*)\}")


class Report(Protocol):
    """Takes note of a fault: in which file, where, what, a hint, and line and column within a text."""

    def __call__(
        self, file: str, place: Place, message: str, hint: str = "", within: tuple[int, int] = WHOLE
    ) -> None: ...


def within(text: str, offset: int) -> tuple[int, int]:
    """Return line and column, from 1, of an offset in a text."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def phrases_of(pack: Pack, variants: Mapping[str, tuple[str, ...]], fault: Report) -> list[Phrase]:
    """Return the phrases of a pack; none where spelling them out would cost too much."""
    words = _words(pack, fault)
    lines = [one for file in pack.files.values() for one in file.phrases.values()]
    groups = [*(group for one in lines for _, group in _groups(one.any)), *(one.unless for one in lines)]
    if sum(_size(group, words) for group in groups) > MOST_PHRASE_WORDS:
        fault(COMMON, (), f"the pack costs too much: its phrases have more than {MOST_PHRASE_WORDS} words")
        return []
    phrases: dict[str, Phrase] = {}
    for name, file in pack.files.items():
        for phrase, said in file.phrases.items():
            place: Place = ("phrases", phrase)
            if phrase in phrases:
                fault(name, place, f"the phrase {phrase} is named in another file already")
            ways: list[list[Group]] = [[] for _ in said.any]
            for at, group in _groups(said.any):
                ways[at[0]].append(_group(name, (*place, "any", *at), group, words, fault))
            unless = _group(name, (*place, "unless"), said.unless, words, fault) if said.unless else ()
            phrases[phrase] = Phrase(
                phrase, said.means, tuple(map(tuple, ways)), said.denied, unless, purpose_only=said.where == "purpose"
            )
    if _written(phrases.values(), variants) > MOST_WRITTEN:
        fault(COMMON, ("variants",), f"the pack costs too much: its words have more than {MOST_WRITTEN} forms")
        return []
    return list(phrases.values())


def variants_of(pack: Pack, fault: Report) -> dict[str, tuple[str, ...]]:
    """Return how single characters may be written instead."""
    variants = {}
    for letter, others in pack.common.variants.items():
        found = tuple(text_of("", other).bare for other in others.split("|"))
        if len(letter) != 1 or not all(found) or max(map(len, found)) > LONGEST_VARIANT:
            hint = f"one character: others of at most {LONGEST_VARIANT} characters, with | between them"
            fault(COMMON, ("variants", letter), f"{letter}: is not a character and its variants", hint)
        variants[letter] = tuple(other for other in found if other)
    return variants


def denials_of(pack: Pack, fault: Report) -> list[str]:
    """Return the words that take back what follows them."""
    denials = [text_of("", denial).bare for denial in pack.common.denials]
    for at, denial in enumerate(denials):
        if not denial:
            fault(COMMON, ("denials", at), "an empty word would deny everything")
    return denials


def _words(pack: Pack, fault: Report) -> dict[str, str]:
    """Return the named sets of words of all files."""
    words: dict[str, str] = {}
    for name, file in pack.files.items():
        for word, spelt in file.words.items():
            if word in words:
                fault(name, ("words", word), f"the words {word} are named in another file already")
            if found := BRACES.search(spelt):
                fault(name, ("words", word), "words cannot stand for other words", "", within(spelt, found.start()))
            words[word] = "|".join(_short(name, ("words", word), spelt, fault))
    return words


def _groups(ways: tuple[str | tuple[str, ...], ...]) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yield each group of a phrase and its place: the way's number, and its number in a way that is a list."""
    for at, way in enumerate(ways):
        yield from [((at,), way)] if isinstance(way, str) else [((at, place), group) for place, group in enumerate(way)]


def _size(group: str, words: Mapping[str, str]) -> int:
    return 1 + group.count("|") + sum(words.get(name, "").count("|") for name in BRACES.findall(group))


def _group(file: str, place: Place, group: str, words: Mapping[str, str], fault: Report) -> Group:
    for found in BRACES.finditer(group):
        if found[1] not in words:
            hint = "name them under `words`"
            fault(file, place, f"unknown words {found[0]}", hint, within(group, found.start()))
    spelt = BRACES.sub(lambda found: words.get(found[1], "?"), group)
    bare = dict.fromkeys(text_of("", word).bare for word in _short(file, place, spelt, fault))
    if "" in bare and not BRACES.search(group):
        fault(file, place, "a phrase holds an empty word", "look for `||` or a `|` at an end")
    return tuple(word for word in bare if word) or (NOTHING,)


def _short(file: str, place: Place, spelt: str, fault: Report) -> list[str]:
    """Split words; what is too long to be one is refused and left out."""
    words = spelt.split("|")
    if long := next((word for word in words if len(word) > LONGEST_WORD), None):
        hint = f"a word has at most {LONGEST_WORD} characters"
        fault(file, place, f"{long[:10]}… is too long for a word", hint, within(spelt, spelt.index(long)))
    return [word for word in words if len(word) <= LONGEST_WORD]


def _written(phrases: Iterable[Phrase], variants: Mapping[str, tuple[str, ...]]) -> int:
    words = {word for one in phrases for way in one.ways for group in way for word in group}
    return sum(1 + sum(len(variants.get(letter, ())) for letter in word) for word in words)
