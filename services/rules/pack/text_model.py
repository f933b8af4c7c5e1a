"""A small linear model of what scam visits read like: one more piece of evidence, with its reasons.

It looks at which short runs of characters (grams) occur in a note. Each gram has a weight of evidence for
a scam, and weights for the scam types. It is trained by `make train`; its weights are part of a pack.
"""

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ahocorasick_rs import AhoCorasick

MOST_POINTS: Final = 30
"""However sure the text is, it is worth no more than this, either way."""

WORDS_SHOWN: Final = 3
SHORTEST_SHOWN: Final = 2
POINTS_PER_NAT: Final = 10 / math.log(10)
PARTS: Final = ("purpose", "note")
SCALE: Final = 100
"""Weights are kept as whole hundredths."""


@dataclass(frozen=True, slots=True)
class Impression:
    """What the model makes of a text: points of evidence for a scam, the likeliest type, the strongest grams."""

    points: int
    scam_type: str
    words: tuple[str, ...]


class TextModel:
    """The model as trained: `data` is JSON: `version`, `types`, `bias`, `type_bias`, `length`, `purpose`, `note`.

    The last two hold the grams of either text with their weights. A gram's first weight is evidence for a
    scam; the others, one a type, tell the types apart. Sums are divided by the square root of the number of
    grams found plus `length`, so that long notes do not shout.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.version = str(data["version"])
        self._types: Sequence[str] = data["types"]
        self._bias = data["bias"] / SCALE
        self._type_bias = [bias / SCALE for bias in data.get("type_bias", [0] * len(data["types"]))]
        self._length = data["length"]
        self._texts = [AhoCorasick(list(data[part])) for part in PARTS]
        self._grams = [gram for part in PARTS for gram in data[part]]
        rows = [row for part in PARTS for row in data[part].values()]
        self._evidence = array("l", (row[0] for row in rows))
        self._tells = [array("l", column) for column in zip(*(row[1:] for row in rows), strict=True)]
        self._notes_from = len(data[PARTS[0]])

    def read(self, purpose: str, note: str) -> Impression:
        """Weigh purpose and note, both without spaces and symbols."""
        found = {index for index, _, _ in self._texts[0].find_matches_as_indexes(purpose, overlapping=True)}
        in_note = self._texts[1].find_matches_as_indexes(note, overlapping=True)
        found |= {self._notes_from + index for index, _, _ in in_note}
        if not found:
            return Impression(0, "", ())
        norm = math.sqrt(len(found) + self._length)
        total = self._bias + sum([self._evidence[index] for index in found]) / SCALE / norm
        points = max(-MOST_POINTS, min(MOST_POINTS, round(total * POINTS_PER_NAT)))
        if points <= 0:
            return Impression(points, "", ())
        sums = (sum([tells[index] for index in found]) for tells in self._tells)
        likely = [one / SCALE / norm + bias for one, bias in zip(sums, self._type_bias, strict=True)]
        return Impression(points, self._types[likely.index(max(likely))], self._strongest(found))

    def _strongest(self, found: set[int]) -> tuple[str, ...]:
        """Return the grams that weigh most, leaving out what is part of one already named."""
        named: list[str] = []
        for index in sorted(found, key=lambda index: (-self._evidence[index], self._grams[index])):
            gram = self._grams[index]
            if self._evidence[index] <= 0:
                break
            if len(gram) >= SHORTEST_SHOWN and not any(gram in other or other in gram for other in named):
                named.append(gram)
            if len(named) == WORDS_SHOWN:
                break
        return tuple(named)
