"""Tokens to join on, seals to travel in, masks to be seen."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.privacy import Seal, SealBrokenError, Tokens, mask_name, mask_number

KEY, OTHER_KEY = bytes(range(32)), bytes(range(32, 64))
ACCOUNT = "6222020000000001024"
SECRET = "梁惠珍，电话 13900000002"
TOKENS = Tokens(KEY)
SEAL = Seal({"k2": KEY})

# --- tokens


def test_equal_numbers_have_equal_tokens_in_every_process() -> None:
    assert TOKENS.of("account", ACCOUNT) == Tokens(KEY).of("account", ACCOUNT) == "79ASg8nJ_i-Hf6gNmdFzHFS9"


@given(st.text(), st.text())
def test_tokens_meet_only_where_the_numbers_do(one: str, two: str) -> None:
    assert (TOKENS.of("account", one) == TOKENS.of("account", two)) == (one == two)


def test_tokens_of_different_kinds_never_meet() -> None:
    assert TOKENS.of("account", ACCOUNT) != TOKENS.of("person", ACCOUNT)
    assert TOKENS.of("a", "bc") != TOKENS.of("ab", "c")


def test_tokens_under_different_keys_never_meet() -> None:
    assert TOKENS.of("account", ACCOUNT) != Tokens(OTHER_KEY).of("account", ACCOUNT)


def test_a_token_shows_nothing_of_its_number_and_has_one_length() -> None:
    tokens = [TOKENS.of("account", number) for number in ("1", ACCOUNT, "9" * 500)]
    assert {len(token) for token in tokens} == {24}
    assert all(token.replace("-", "").replace("_", "").isalnum() for token in tokens)
    assert ACCOUNT[-4:] not in tokens[1]


def test_digests_compare_bodies_under_the_key() -> None:
    assert TOKENS.digest(b"body") == Tokens(KEY).digest(b"body")
    assert TOKENS.digest(b"body") not in (TOKENS.digest(b"bodY"), Tokens(OTHER_KEY).digest(b"body"))


# --- seals


@given(st.text(), st.text(max_size=40))
@settings(deadline=None)
def test_what_is_sealed_is_opened_again(text: str, about: str) -> None:
    assert SEAL.open(SEAL.seal(text, about), about) == text


def test_a_sealed_text_shows_its_key_id_and_nothing_of_the_text() -> None:
    sealed = SEAL.seal(SECRET, "report-1")
    key_id, _, data = sealed.partition(".")
    assert key_id == "k2"
    assert SECRET.encode() not in base64.b64decode(data)
    assert sealed.isascii()


def test_the_same_text_is_never_sealed_the_same_way_twice() -> None:
    assert len({SEAL.seal(SECRET, "report-1") for _ in range(100)}) == 100


def test_a_seal_moved_to_another_record_is_refused() -> None:
    with pytest.raises(SealBrokenError):
        SEAL.open(SEAL.seal(SECRET, "report-1"), "report-2")


def test_a_seal_altered_anywhere_is_refused() -> None:
    raw = base64.b64decode(SEAL.seal("abc", "report-1").partition(".")[2])
    for place in range(len(raw)):
        altered = bytearray(raw)
        altered[place] ^= 1
        with pytest.raises(SealBrokenError):
            SEAL.open(f"k2.{base64.b64encode(altered).decode()}", "report-1")


@pytest.mark.parametrize("length", [0, 1, 7, 8, 12, 27, 28])
def test_a_seal_cut_short_is_refused(length: int) -> None:
    raw = base64.b64decode(SEAL.seal("abc", "report-1").partition(".")[2])
    with pytest.raises(SealBrokenError):
        SEAL.open(f"k2.{base64.b64encode(raw[:length]).decode()}", "report-1")


@pytest.mark.parametrize(
    "sealed", ["", ".", "k2", "k2.", "k2.***", "k2.AAA", "k2.字", "k2. AAAA", "nobody.AAAA", "K2.AAAA"]
)
def test_what_is_no_seal_is_refused(sealed: str) -> None:
    with pytest.raises(SealBrokenError):
        SEAL.open(sealed, "report-1")


def test_a_text_sealed_under_another_key_of_the_same_name_is_refused() -> None:
    with pytest.raises(SealBrokenError):
        SEAL.open(Seal({"k2": OTHER_KEY}).seal(SECRET, "report-1"), "report-1")


def test_a_text_under_a_retired_key_is_opened_and_new_texts_are_sealed_under_the_first() -> None:
    sealed_before = Seal({"k1": OTHER_KEY}).seal(SECRET, "report-1")
    rotated = Seal({"k2": KEY, "k1": OTHER_KEY})
    assert rotated.open(sealed_before, "report-1") == SECRET
    assert rotated.seal(SECRET, "report-1").startswith("k2.")


def test_a_text_whose_key_was_dropped_is_refused_by_the_keys_name() -> None:
    with pytest.raises(SealBrokenError, match="k1"):
        SEAL.open(Seal({"k1": OTHER_KEY}).seal(SECRET, "report-1"), "report-1")


def test_a_refusal_says_nothing_of_the_text() -> None:
    with pytest.raises(SealBrokenError) as refused:
        SEAL.open(SEAL.seal(SECRET, "report-1"), "report-2")
    assert SECRET not in f"{refused.value!r} {refused.value.__cause__!r}"


# --- masks


@pytest.mark.parametrize(
    ("name", "mask"),
    [
        ("王小明", "王**"),
        ("王明", "王*"),
        ("欧阳娜娜", "欧***"),
        ("古丽米娜·买买提", "古***"),
        ("深圳市启帆澜贸易有限公司", "深***"),
        ("", "*"),
    ],
)
def test_a_masked_name_shows_its_first_character(name: str, mask: str) -> None:
    assert mask_name(name) == mask


@pytest.mark.parametrize(
    ("number", "mask"),
    [("6222021234567890", "****7890"), ("13900000002", "****0002"), ("44030119530314902X", "****902X")],
)
def test_a_masked_number_shows_its_last_four_and_not_its_length(number: str, mask: str) -> None:
    assert mask_number(number) == mask
