"""The text model: bounded points, and the words that weighed most, none of them the customer's own."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rules.pack.text_model import MOST_POINTS, TextModel
from tests.unit.rules.builders import COMMON, faults_of

DATA: dict[str, Any] = {
    "version": "1",
    "types": ["romance", "fake_loan"],
    "bias": -100,
    "type_bias": [0, 0],
    "length": 3,
    "purpose": {"借款": [400, 0, 300]},
    "note": {
        "网恋": [900, 500, 0],
        "没见过": [700, 400, 0],
        "见过": [600, 400, 0],
        "贷款": [650, 0, 600],
        "合同": [-900, 0, 0],
    },
}
MODEL = TextModel(DATA)


def test_a_text_is_weighed_by_the_grams_it_holds() -> None:
    assert (
        MODEL.read("", "网恋对象没见过").points > MODEL.read("", "网恋对象").points > 0 > MODEL.read("", "合同").points
    )


def test_a_text_of_unknown_grams_says_nothing() -> None:
    assert MODEL.read("", "鷵鷵鷵") == MODEL.read("", "")
    assert (MODEL.read("", "").points, MODEL.read("", "").scam_type) == (0, "")


def test_a_gram_of_the_purpose_counts_in_the_purpose_only() -> None:
    assert MODEL.read("借款", "").points != 0
    assert MODEL.read("", "借款").points == 0


def test_the_likeliest_type_is_named_where_the_text_speaks_for_a_scam() -> None:
    assert MODEL.read("", "网恋").scam_type == "romance"
    assert MODEL.read("", "贷款").scam_type == "fake_loan"
    assert MODEL.read("", "合同").scam_type == ""


def test_the_strongest_grams_are_shown_without_their_parts_and_without_what_speaks_against() -> None:
    assert MODEL.read("", "网恋没见过合同").words == ("网恋", "没见过")


@pytest.mark.parametrize(("weight", "points"), [(90_000, MOST_POINTS), (-90_000, -MOST_POINTS)])
def test_a_text_is_worth_no_more_than_its_bound_however_sure_it_is(weight: int, points: int) -> None:
    assert TextModel({**DATA, "note": {"网恋": [weight, 0, 0]}}).read("", "网恋").points == points


@given(st.text("网恋没见过贷款合同鷵", max_size=200), st.text("借款鷵", max_size=20))
def test_points_are_bounded_and_words_are_grams_of_the_model(note: str, purpose: str) -> None:
    found = MODEL.read(purpose, note)
    assert abs(found.points) <= MOST_POINTS
    assert set(found.words) <= DATA["note"].keys() | DATA["purpose"].keys()


def model_file(**changes: Any) -> str:  # noqa: ANN401
    return json.dumps({**DATA, **changes})


BROKEN = {
    "nothing": "",
    "a list": "[]",
    "a text without an end": '"',
    "brackets without an end": "[" * 200_000,
    "no version": model_file(version=None),
    "no types": model_file(types=[]),
    "types that are numbers": model_file(types=[1, 2]),
    "a bias past all measure": model_file(bias=10**400),
    "a negative length": model_file(length=-1),
    "weights that do not match the types": model_file(note={"网恋": [1, 2]}),
    "weights that are texts": model_file(note={"网恋": [1, 2, "3"]}),
    "weights that are not a list": model_file(note={"网恋": 3}),
    "weights past all measure": model_file(note={"网恋": [10**400, 1, 1]}),
    "an empty gram": model_file(purpose={"": [1, 2, 3]}),
    "half a character": model_file(purpose={"\ud800": [1, 2, 3]}),
    "no grams": model_file(note=None),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_model_is_refused_with_a_hint(text: str) -> None:
    [fault] = faults_of({"pack.yaml": COMMON, "text-model.json": text})
    assert (fault.file, fault.hint) == ("text-model.json", "`make train` writes it")


def test_a_sound_model_is_accepted() -> None:
    assert not faults_of({"pack.yaml": COMMON, "text-model.json": model_file()})


def test_an_empty_model_is_accepted_and_says_nothing() -> None:
    assert TextModel({**DATA, "purpose": {}, "note": {}}).read("借款", "网恋").points == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"length": 10**400},
        {"type_bias": [0]},
        {"type_bias": [10**30, 0]},
        {"types": ["romance", "no_such_type"]},
        {"types": ["romance", "a\0b"]},
    ],
    ids=[
        "an endless length",
        "too few biases",
        "an endless bias",
        "a type the pack has not",
        "a type no database keeps",
    ],
)
def test_a_text_model_that_would_stop_the_judge_is_refused(changes: dict[str, Any]) -> None:
    assert faults_of({"pack.yaml": COMMON, "text-model.json": json.dumps({**DATA, **changes})})


def test_a_text_model_from_before_biases_of_types_is_still_read() -> None:
    old = {name: value for name, value in DATA.items() if name != "type_bias"}
    assert TextModel(old).read("", "网恋对象没见过") == MODEL.read("", "网恋对象没见过")
