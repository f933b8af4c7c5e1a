"""A labelled corpus: visits to counters, made of invented stories, with the noise of real counters.

The stories are split by author: nothing of the pack was written or trained on the unseen author's.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import opencc
import yaml

from services.rules.features import Value
from services.rules.pack.compiled import Visit

STORIES: Final = Path(__file__).parent / "stories"
TRAINING: Final = ("a", "b", "c", "f", "g", "h", "i", "j", "k", "l", "m", "n")
TUNING: Final = ("d",)
"""Looked at while the pack's words and weights were chosen."""

UNSEEN: Final = ("e", "z")

MONDAY: Final = datetime(2026, 11, 16, 1, 0, tzinfo=UTC)
ALL_CUES_DROPPED: Final = 0.5
CUE_DROPPED: Final = 0.5
HOMOPHONES: Final = (
    "的得地",
    "在再",
    "做作",
    "她他",
    "帐账",
    "那哪",
    "以已",
    "己已",
    "象像",
    "坐座",
    "完玩",
    "办半",
    "钱前",
    "转赚",
    "是事",
    "说书",
    "还环",
    "给个",
    "要药",
    "里理",
)
TRADITIONAL: Final = opencc.OpenCC("s2t")


@dataclass(frozen=True, slots=True)
class Case:
    """A visit, what it was in truth, and who wrote the story."""

    kind: str
    scam: bool
    author: str
    visit: Visit
    facts: Mapping[str, Value]


@cache
def _groups(author: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((STORIES / f"{author}.yaml").read_text(encoding="utf-8"))
    return found


def cases(authors: Sequence[str], seed: int = 1, *, noisy: bool = True) -> list[Case]:
    """Make one case of each story. Equal seeds make equal cases."""
    return [
        _case(group, story, author, random.Random(f"{seed}/{author}/{group['kind']}/{at}"), noisy=noisy)  # noqa: S311 - not a secret
        for author in authors
        for group in _groups(author)
        for at, story in enumerate(group["visits"])
    ]


def streamed(authors: Sequence[str], count: int, seed: int = 1) -> Iterator[Case]:
    """Yield honest transfers as a bank streams them for screening: hardly anybody writes a note."""
    rng = random.Random(f"{seed}/streamed")  # noqa: S311 - not a secret
    honest = [case for case in cases(authors, seed) if not case.scam]
    for _ in range(count):
        case = rng.choice(honest)
        note = case.visit.note if rng.random() < NOTE_IN_STREAM else ""
        visit = Visit(frozenset(), case.visit.purpose, note, case.visit.filed_at)
        yield Case(case.kind, False, case.author, visit, case.facts)  # noqa: FBT003 - honest


NOTE_IN_STREAM: Final = 0.1


def _case(group: dict[str, Any], story: dict[str, Any], author: str, rng: random.Random, *, noisy: bool) -> Case:
    told = {**group.get("defaults", {}), **story}
    low, high = told.get("amount_yuan", [2_000, 80_000])
    scam = bool(group["scam"])
    filed_at = MONDAY + timedelta(days=rng.randrange(5), minutes=rng.randrange(8 * 60))
    note, purpose = str(told["note"]), str(told["purpose"])
    cues = frozenset(_ticked(told.get("cues") or (), rng))
    age = rng.randint(*told.get("age", [25, 60]))
    facts: dict[str, Value] = {
        "transfer.amount_yuan": _amount(low, high, rng),
        "transfer.channel": told.get("channel", "counter_transfer"),
        "transfer.cash": told.get("channel") in {"counter_cash", "atm"},
        "payee.personal": told.get("payee", "personal") == "personal",
        "payer.age": age,
        "transfer.other_bank": rng.random() < 0.6,
        "time.hour": filed_at.hour + 8,
        **_past(rng, scam=scam),
    }
    return Case(
        group["kind"], scam, author, Visit(cues, purpose, _noisy(note, rng) if noisy else note, filed_at), facts
    )


def _amount(low: int, high: int, rng: random.Random) -> int:
    amount = low * (max(high, low + 1) / max(low, 1)) ** rng.random() if low else rng.uniform(low, high)
    return max(1, round(amount, -3 if rng.random() < 0.6 and amount > 2_000 else 0).__int__())


def _ticked(cues: Sequence[str], rng: random.Random) -> list[str]:
    """Busy tellers tick nothing, or half of it."""
    if rng.random() < ALL_CUES_DROPPED:
        return []
    return [cue for cue in cues if rng.random() >= CUE_DROPPED]


def _past(rng: random.Random, *, scam: bool) -> dict[str, Value]:
    """What the bank's reports of the last days know: mostly nothing."""
    dice = rng.random()
    if scam and dice < 0.06:
        return {"payee.reports_7d": 2, "payee.reports_24h": 1, "payee.alerts_7d": 1, "payee.other_branches_7d": 1}
    if scam and dice < 0.10:
        return {"payer.reports_24h": 1, "payer.suspected_elsewhere_24h": 1, "payer.branches_24h": 1}
    if not scam and dice < 0.12:
        return {"payer.reports_30d": 4, "payer.to_payee_30d": 3, "payee.reports_30d": 5, "payee.proceeded_30d": 2}
    if not scam and dice < 0.15:
        return {"payee.reports_7d": 40, "payee.reports_24h": 8, "payee.payers_24h": 7, "payee.banks_24h": 2}
    return {}


def _noisy(note: str, rng: random.Random) -> str:
    """Write as at a busy counter: slips, lost ends, traditional characters, symbols in between."""
    if rng.random() < 0.10:
        sets = {letter: group for group in HOMOPHONES for letter in group}
        places = [at for at, letter in enumerate(note) if letter in sets]
        if places:
            at = rng.choice(places)
            note = note[:at] + rng.choice(sets[note[at]]) + note[at + 1 :]
    if rng.random() < 0.05 and len(note) > 8:
        at = rng.randrange(1, len(note))
        note = note[: at - 1] + note[at:]
    if rng.random() < 0.08 and "，" in note:
        note = note[: note.rindex("，")]
    if rng.random() < 0.03:
        note = TRADITIONAL.convert(note)
    if rng.random() < 0.04 and len(note) > 4:
        at = rng.randrange(1, len(note))
        note = note[:at] + rng.choice(" *.-_") + note[at:]
    return note
