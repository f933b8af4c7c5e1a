"""A reason quotes the rule's own words and nothing else; and no text keeps a rule busy."""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle, islice
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.rules import signs
from services.rules.pack import GAP, Phrases, Rule, Says
from tests.unit.rules.builders import RULES, facts_with, why
from tests.unit.rules.test_rules import SPEAKS

CANARY: Final = "鵷鶵鸑鷟"
PATIENCE_SECONDS: Final = 0.005
LONGEST_TEXT: Final = 4_000
PLAIN_WORDS: Final = re.compile(r"(?:[一-鿿a-z|]|\[[一-鿿]+\]|\(\?:[一-鿿|]+\)|(?<=[一-鿿])\?)+")
"""What words may be written with: text, choices, one of several characters, a character that may be missing."""

TALKING: Final = {rule.id: rule.when.phrases for rule in RULES.values() if isinstance(rule.when, Says)}
ALL_PHRASES: Final = {**TALKING, "invests-with-a-person": signs.INVESTING, "ordinary-purpose": signs.HONEST}
CHAINS: Final = [(rule, chain) for rule, phrases in ALL_PHRASES.items() for chain in phrases.chains]


def examples_of(words: str) -> st.SearchStrategy[str]:
    return st.from_regex(words, fullmatch=True)


@pytest.mark.parametrize(("rule", "chain"), CHAINS)
def test_words_have_no_wildcards(rule: str, chain: tuple[str, ...]) -> None:
    assert rule in RULES
    assert all(PLAIN_WORDS.fullmatch(words) for words in chain)


@settings(deadline=None)
@given(st.data())
def test_a_reason_never_quotes_what_stands_before_between_or_after_the_words(data: st.DataObject) -> None:
    rule, chain = data.draw(st.sampled_from(CHAINS))
    said = [data.draw(examples_of(words)) for words in chain]
    quoted = ALL_PHRASES[rule].quoted(CANARY + CANARY.join(said) + CANARY)
    assert quoted
    assert not set(CANARY) & set(quoted)


@settings(deadline=None)
@given(st.data())
def test_words_further_apart_than_a_phrase_reaches_do_not_belong_together(data: st.DataObject) -> None:
    chain = data.draw(st.sampled_from([chain for _, chain in CHAINS if len(chain) > 1]))
    said = [data.draw(examples_of(words)) for words in chain]
    near, far = ("雀" * gap for gap in (GAP, GAP + 1))
    assert Phrases(chain).quoted(near.join(said))
    assert Phrases(chain).quoted(far.join(said)) is None


@pytest.mark.parametrize("rule", [rule for rule in RULES.values() if rule.id in SPEAKS], ids=lambda rule: rule.id)
def test_a_reason_is_the_same_whatever_else_the_note_says(rule: Rule) -> None:
    for facts in SPEAKS[rule.id]:
        assert why(rule, replace(facts, text=f"{CANARY}{facts.text}{CANARY}")) == why(rule, facts)


def test_a_ticked_cue_is_named_by_its_words() -> None:
    reason = why(RULES["remote-control"], facts_with("reads_from_screen", "on_phone_throughout", "safe_account"))
    assert reason == "客户疑似受人遥控（柜员勾选“全程通话或戴耳机、照着屏幕念或共享屏幕”）"


def test_what_the_note_says_is_quoted_rather_than_the_cue() -> None:
    reason = why(RULES["safe-account"], facts_with("safe_account", text="要把钱转到安全账户"))
    assert reason == "要求把钱转入“安全账户”（备注或用途提到“安全账户”）"


def first_words(chain: tuple[str, ...]) -> list[str]:
    """One spelling of each choice of each of the words."""
    plain = [
        re.sub(r"\[([一-鿿])[一-鿿]*\]|\(\?:([一-鿿]+)[一-鿿|]*\)|(?<=[一-鿿])\?", r"\1\2", words) for words in chain
    ]
    return [choice for words in plain for choice in words.split("|")]


def filled(pieces: list[str], apart: str = "") -> str:
    return "".join(islice(cycle([piece + apart for piece in pieces]), LONGEST_TEXT))[:LONGEST_TEXT]


HOSTILE: Final[dict[str, Callable[[Phrases], list[str]]]] = {
    "all but the last words, over and over": lambda phrases: [
        filled(first_words(chain[:-1])) for chain in phrases.chains if len(chain) > 1
    ],
    "the same, nearly a gap apart": lambda phrases: [
        filled(first_words(chain[:-1]), "雀" * (GAP // 2)) for chain in phrases.chains if len(chain) > 1
    ],
    "the first characters of all words": lambda phrases: [
        filled([words[0] for chain in phrases.chains for words in first_words(chain)])
    ],
    "one character": lambda _: ["雀" * LONGEST_TEXT, "解" * LONGEST_TEXT, "a" * LONGEST_TEXT],
}


@pytest.mark.parametrize("rule", ALL_PHRASES)
@pytest.mark.parametrize("kind", HOSTILE)
def test_no_text_keeps_a_rule_busy_for_more_than_a_few_milliseconds(rule: str, kind: str) -> None:
    for text in HOSTILE[kind](ALL_PHRASES[rule]):
        taken = min(_seconds(ALL_PHRASES[rule], text) for _ in range(3))
        assert taken < PATIENCE_SECONDS, f"{taken * 1000:.1f} ms on {text[:30]}…"


def _seconds(phrases: Phrases, text: str) -> float:
    begun = time.perf_counter()
    phrases.quoted(text)
    return time.perf_counter() - begun
