"""A small linear model of what scam visits read like: one more piece of evidence, with its reasons.

It looks at which short runs of characters (grams) occur in a note. Each gram has a weight of evidence for
a scam, and weights for the scam types. It is trained by `make train`; its weights are part of a pack.
"""

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
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
        self._notes_from = len(data[PARTS[0]])
        rows = [row for part in PARTS for row in data[part].values()]
        self._evidence = array("l", (row[0] for row in rows))
        self._bits = 1 + (len(rows) * max((abs(weight) for row in rows for weight in row), default=0)).bit_length()
        self._tells = [sum(weight << self._bits * at for at, weight in enumerate(row[1:])) for row in rows]
        """For each gram: its weights for the types side by side in one number, so that one sum adds up all of them."""
        grams = [gram for part in PARTS for gram in data[part]]
        order = sorted(range(len(grams)), key=lambda at: (-self._evidence[at], grams[at]))
        shown = [grams[at] for at in order if self._evidence[at] > 0]
        # the grams that speak for a scam, those that weigh most first: one text, as thousands take much room
        self._shown, self._ends = "".join(shown), array("l", accumulate(map(len, shown), initial=0))
        self._places = array("l", bytes(self._evidence.itemsize * len(grams)))
        """For each gram: its place in that order."""
        for place, at in enumerate(order):
            self._places[at] = place

    def read(self, purpose: str, note: str) -> Impression:
        """Weigh purpose and note, both without spaces and symbols."""
        found = {one[0] for one in self._texts[0].find_matches_as_indexes(purpose, overlapping=True)}
        in_note = self._texts[1].find_matches_as_indexes(note, overlapping=True)
        found.update([self._notes_from + one[0] for one in in_note])
        if not found:
            return Impression(0, "", ())
        norm = math.sqrt(len(found) + self._length)
        total = self._bias + sum(map(self._evidence.__getitem__, found)) / SCALE / norm
        points = max(-MOST_POINTS, min(MOST_POINTS, round(total * POINTS_PER_NAT)))
        if points <= 0:
            return Impression(points, "", ())
        sums = self._parted(sum(map(self._tells.__getitem__, found)))
        likely = [one / SCALE / norm + bias for one, bias in zip(sums, self._type_bias, strict=True)]
        return Impression(points, self._types[likely.index(max(likely))], self._strongest(found))

    def _parted(self, tells: int) -> Iterator[int]:
        """Part a sum into its sums of each type, all of which may be negative."""
        half = 1 << self._bits - 1
        for _ in self._types:
            one = (tells + half & 2 * half - 1) - half
            yield one
            tells = tells - one >> self._bits

    def _strongest(self, found: set[int]) -> tuple[str, ...]:
        """Return the grams that weigh most, leaving out what is part of one already named."""
        named: list[str] = []
        for place in sorted(map(self._places.__getitem__, found)):
            if place >= len(self._ends) - 1:
                break
            gram = self._shown[self._ends[place] : self._ends[place + 1]]
            if len(gram) >= SHORTEST_SHOWN and not any(gram in other or other in gram for other in named):
                named.append(gram)
            if len(named) == WORDS_SHOWN:
                break
        return tuple(named)
