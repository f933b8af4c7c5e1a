"""Words are found however they are written, and nothing of the customer's own is quoted."""

import time
from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rules.pack.compiled import CompiledPack
from services.rules.pack.lexicon import DENIAL_REACHES, NEAR, Lexicon, Phrase, text_of

DENIALS: Final = ("没有", "不是")
VARIANTS: Final = {"币": ("bi", "必"), "账": ("帐",)}
FILLER: Final = "鷵"
PATIENCE_SECONDS: Final = 0.005


def phrase(
    *ways: str | Sequence[str], denied: bool = True, unless: tuple[str, ...] = (), purpose_only: bool = False
) -> Phrase:
    """Return a phrase; words have `|` between them."""
    chains = tuple(tuple(tuple(group.split("|")) for group in ([way] if isinstance(way, str) else way)) for way in ways)
    return Phrase("it", "意思", chains, denied=denied, unless=unless, purpose_only=purpose_only)


def quoted(said: Phrase, note: str, purpose: str = "") -> str | None:
    """What of a phrase is quoted from a note; None where it was not said."""
    return Lexicon([said], DENIALS, VARIANTS).quotes(text_of(purpose, note)).get("it")


SAFE = phrase("安全账户|虚拟币|app")


@pytest.mark.parametrize(
    "note",
    [
        "转到安全账户",
        "安 全 账 户",
        "安-全*账_户",
        "安.全…账~户",
        "安\u200b全\u3000账\t户",
        "安，全。账！户",
        "安全帐户",
        "安全帳戶",
        "安全賬戶",
        "【安全账户】",
        "安\n全账户",
        "安\ufe0f全账户",
        "😀安全😀账户",
        "安\x00全账户",
        "安\ud800全账户",
    ],
)
def test_symbols_spaces_and_old_characters_do_not_hide_a_word(note: str) -> None:
    assert quoted(SAFE, note) in {"安全账户", "安全帐户"}


@pytest.mark.parametrize(
    ("note", "words"),
    [
        ("虚拟bi", "虚拟bi"),
        ("虚拟BI", "虚拟bi"),
        ("虚擬必", "虚拟必"),
        ("ＡＰＰ", "app"),
        ("A p P", "app"),
        ("ⓐⓟⓟ", "app"),
    ],
)
def test_variants_wide_letters_and_capitals_do_not_hide_a_word(note: str, words: str) -> None:
    assert quoted(SAFE, note) == words


@pytest.mark.parametrize("note", ["", "安全", "账户安全", "安全的账户", "虚拟", "必", "a pa p", "安全张户"])
def test_other_words_are_not_taken_for_it(note: str) -> None:
    assert quoted(SAFE, note) is None


def test_only_one_character_of_a_word_may_be_a_variant() -> None:
    assert quoted(phrase("币账"), "必账") == "必账"
    assert quoted(phrase("币账"), "必帐") is None


CHAIN = phrase(["老师|导师", "群|直播", "稳赚"])


@pytest.mark.parametrize(
    ("note", "words"),
    [
        ("老师在群里说稳赚", "老师…群…稳赚"),
        ("导师直播，稳赚！", "导师…直播…稳赚"),
        ("老师群稳赚", "老师…群…稳赚"),
        ("群里老师说稳赚", None),
        ("稳赚的群里有老师", None),
        ("老师在群里", None),
        (f"老师{FILLER * NEAR}群{FILLER * NEAR}稳赚", "老师…群…稳赚"),
        (f"老师{FILLER * (NEAR + 1)}群稳赚", None),
        (f"老师群{FILLER * (NEAR + 1)}稳赚", None),
        (f"老师{FILLER * 20}老师在群里稳赚", "老师…群…稳赚"),
    ],
)
def test_words_of_a_chain_follow_each_other_closely(note: str, words: str | None) -> None:
    assert quoted(CHAIN, note) == words


def test_a_nearer_word_that_leads_nowhere_does_not_hide_a_farther_one_that_does() -> None:
    assert quoted(CHAIN, f"老师群{FILLER * 7}直播{FILLER * 7}稳赚") == "老师…直播…稳赚"


def test_words_of_a_chain_do_not_share_characters() -> None:
    assert quoted(phrase(["银行", "行长"]), "银行长") is None
    assert quoted(phrase(["银行", "行长"]), "银行行长") == "银行…行长"


@pytest.mark.parametrize(
    ("note", "said"),
    [
        ("没有安全账户", False),
        ("不是转到安全账户", False),
        ("沒有，提到安全账户", True),
        ("不是。安全账户", True),
        ("安全账户没有", True),
        ("没有" + FILLER * (DENIAL_REACHES - 2) + "安全账户", False),
        ("没有" + FILLER * (DENIAL_REACHES - 1) + "安全账户", True),
        ("没有安全账户，后来说安全账户", True),
        ("沒 有 安全账户", False),
    ],
)
def test_a_denial_right_before_takes_back_within_its_clause(note: str, *, said: bool) -> None:
    assert (quoted(SAFE, note) is not None) is said


def test_a_denial_in_the_purpose_does_not_reach_into_the_note() -> None:
    assert quoted(SAFE, "安全账户", "没有") == "安全账户"


@pytest.mark.parametrize(
    ("note", "said"),
    [
        ("合同原件齐全", True),
        ("合同是群里发来的", False),
        ("群里发来的合同", False),
        ("合同原件齐全，群里发来的", True),
        ("群里发来，合同原件齐全", True),
        ("群里发来的合同，后来补了合同原件", True),
        ("合群，里发来", True),
        ("合同原件群，里发来的", True),
    ],
)
def test_an_excluded_word_takes_back_anywhere_in_the_clause_and_in_no_other(note: str, *, said: bool) -> None:
    assert (quoted(phrase("合同|合", unless=("群里", "假")), note) is not None) is said


def test_a_phrase_that_stands_denials_is_not_taken_back() -> None:
    assert quoted(phrase("没有合同|合同", denied=False), "没有合同") == "没有合同"


def test_a_chain_whose_first_word_is_denied_may_begin_at_another() -> None:
    assert quoted(CHAIN, "没有老师，是导师在群里说稳赚") == "导师…群…稳赚"


def test_a_phrase_of_the_purpose_does_not_look_at_the_note() -> None:
    only = phrase("货款", ["工程", "款"], purpose_only=True)
    assert quoted(only, "", "货款") == "货款"
    assert quoted(only, "货款", "转账") is None
    assert quoted(only, "尾款", "工程") is None
    assert quoted(only, "", "工程尾款") == "工程…款"


def test_a_word_does_not_run_from_the_purpose_into_the_note() -> None:
    assert quoted(SAFE, "账户", "安全") is None
    assert quoted(CHAIN, "群里说稳赚", "老师") == "老师…群…稳赚"


def test_any_of_several_ways_will_do() -> None:
    either = phrase(["甲", "乙"], "丙|丁")
    assert (quoted(either, "甲的乙"), quoted(either, "丁"), quoted(either, "乙的甲")) == ("甲…乙", "丁", None)


words = st.text("甲乙丙币账ab", min_size=1, max_size=3)
groups = st.lists(words, min_size=1, max_size=3, unique=True).map("|".join)
own = st.text("鷵鶵X9 ，。-没有", max_size=8)


@given(st.lists(groups, min_size=1, max_size=3), st.data())
def test_a_quote_holds_the_packs_words_only(chain: list[str], data: st.DataObject) -> None:
    said = [data.draw(st.sampled_from(group.split("|"))) for group in chain]
    pieces = [data.draw(own)] + [piece for word in said for piece in (word, data.draw(own))]
    note = "".join(pieces)
    lexicon = Lexicon([phrase(chain, denied=False)], DENIALS, VARIANTS)
    for text in (text_of("", note), text_of(note, note)):
        found = lexicon.quotes(text).get("it")
        if found is not None:
            spelt = [{form for word in group.split("|") for form in forms(word)} for group in chain]
            assert all(word in known for word, known in zip(found.split("…"), spelt, strict=True))


def forms(word: str) -> set[str]:
    """Return how a word may be written: with one character as a variant."""
    return {word} | {
        word[:at] + other + word[at + 1 :] for at, letter in enumerate(word) for other in VARIANTS.get(letter, ())
    }


@given(st.lists(groups, min_size=1, max_size=3), st.text("甲乙丙币账ab鷵", max_size=25))
def test_a_phrase_is_found_where_a_plain_search_finds_it(chain: list[str], note: str) -> None:
    assert (quoted(phrase(chain), note) is not None) is plainly(chain, note, 0, len(note))


def plainly(chain: list[str], note: str, begin: int, until: int) -> bool:
    """Search without an automaton: whether words of all groups follow each other, the first anywhere in the range."""
    if not chain:
        return True
    return any(
        note.startswith(form, at) and plainly(chain[1:], note, at + len(form), at + len(form) + NEAR)
        for word in chain[0].split("|")
        for form in forms(word)
        for at in range(begin, min(until, len(note)) + 1)
    )


@given(st.text(), st.text())
def test_any_text_can_be_searched(purpose: str, note: str) -> None:
    text = text_of(purpose, note)
    assert len(text.clause) == len(text.bare) >= text.purpose_length
    Lexicon([SAFE, CHAIN], DENIALS, VARIANTS).quotes(text)


def seconds(lexicon: Lexicon, note: str) -> float:
    """How much processor time a note takes, at best."""
    taken = []
    for _ in range(3):
        begun = time.process_time()
        lexicon.quotes(text_of("", note))
        taken.append(time.process_time() - begun)
    return min(taken)


def hostile(lexicon: Lexicon, length: int) -> dict[str, str]:
    """Return notes that keep a search busy."""
    ways = [way for one in lexicon.phrases.values() for way in one.ways]
    chains = ["".join(group[0] for group in way[:-1]) for way in ways if len(way) > 1]
    pieces = {
        "one character": "转",
        "chains without their end": "".join(chains)[:500],
        "the same, nearly out of reach": FILLER.join(chains)[:500],
        "a denial before each": "没有转",
        "an honest word in one endless clause": "合同" * 50 + "没",
        "all words": "".join(group[0] for way in ways for group in way)[:length],
    }
    return {name: (piece * (length // len(piece) + 1))[:length] for name, piece in pieces.items()}


def test_no_note_keeps_the_reference_pack_busy(reference_pack: CompiledPack) -> None:
    for note in hostile(reference_pack.lexicon, 2_000).values():
        assert seconds(reference_pack.lexicon, note) < PATIENCE_SECONDS


def test_time_grows_with_the_length_of_a_note_and_no_faster(reference_pack: CompiledPack) -> None:
    short, long = (hostile(reference_pack.lexicon, length) for length in (4_000, 64_000))
    for name, note in long.items():
        assert seconds(reference_pack.lexicon, note) < 64 * seconds(reference_pack.lexicon, short[name]) + 0.01, name
