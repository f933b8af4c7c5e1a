"""Conditions are typed and cheap: what is broken or hostile is refused, or bounded."""

import time
from collections.abc import Callable, Mapping
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.rules.features import Value
from services.rules.pack.contradictions import impossible
from services.rules.pack.expression import Condition, ExpressionError, Language
from services.rules.pack.tokens import LONGEST_TEXT

NAMES: Final[dict[str, Value]] = {
    "payer.age": 40,
    "transfer.channel": "counter_cash",
    "text.scam_type": "impersonated_acquaintance",
    "says.threat": False,
    "cue.hurried": True,
}
LANGUAGE: Final = Language(NAMES)
PATIENCE_SECONDS: Final = 0.005
CHEAP_SECONDS: Final = 0.001


def answer(source: str, **values: Value) -> bool | None:
    """What a condition makes of the names; `payer_age=70` is `payer.age`."""
    asked = {**NAMES, **{name.replace("_", ".", 1): value for name, value in values.items()}}
    [found] = LANGUAGE.together([LANGUAGE.condition(source)]).evaluate(asked)
    return found


def refusal(source: str) -> ExpressionError:
    """Why a condition is refused."""
    with pytest.raises(ExpressionError) as refused:
        LANGUAGE.condition(source)
    return refused.value


def seconds(source: str) -> float:
    """How long a condition takes, at best."""
    together = LANGUAGE.together([LANGUAGE.condition(source)])
    taken = []
    for _ in range(5):
        begun = time.perf_counter()
        together.evaluate(NAMES)
        taken.append(time.perf_counter() - begun)
    return min(taken)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("payer.age > 39 && cue.hurried", True),
        ("payer.age in [1, 2, 3]", False),
        ("transfer.channel.contains('cash')", True),
        ("transfer.channel.startsWith('counter') && !says.threat", True),
        ("transfer.channel == 'counter_cash' // 现金", True),
        ("transfer.channel == '\\u4e2d\\\\' || says.threat", False),
        ("transfer.channel == '柜台😀' || cue.hurried", True),
        ("[1, 40].exists(x, x == payer.age)", True),
        ("[1, 40].all(x, x == payer.age) || [40].exists(x, x == payer.age)", True),
        ("says\n.threat || cue . hurried", True),
        ("payer.age > 50 ? says.threat : cue.hurried", True),
    ],
)
def test_a_condition_is_answered(source: str, *, expected: bool) -> None:
    assert answer(source) is expected


HOSTILE = {
    "a loop in a loop": "[1].all(x, [2].all(y, payer.age > x + y))",
    "a loop in brackets in a loop": "[1].all(x, (true && ([2].exists(y, payer.age > x + y))))",
    "a loop in a loop, with comments between": "[1].all // (\n(x, [2].exists // )\n (y, payer.age > x))",
    "a loop hidden in a text of three quotes": (
        "cue.hurried && '''it's''' == \"b\" && [1].all(x, [2].all(y, x == y)) && \"'\" != \"c\" // \""
    ),
    "bytes": "b'a' == b'a' && cue.hurried",
    "a loop hidden behind a raw text": r"r'\' == 'a' || [1].all(x, [2].all(y, cue.hurried)) || 'b' == '\'",
    "a regular expression": "transfer.channel.matches('(a+)+$')",
    "a list that is built": "[1, 2].map(x, x * 2) == [payer.age]",
    "a list that is filtered": "[1, 2].filter(x, x > payer.age).size() > 1",
    "types that are changed": "dyn(payer.age) == 'x'",
    "times": "timestamp('2020-01-01T00:00:00Z') < timestamp('2021-01-01T00:00:00Z') && cue.hurried",
    "brackets in brackets": "(" * 120 + "cue.hurried" + ")" * 120,
    "lists in lists": "[" * 120 + "cue.hurried" + "]" * 120 + " == []",
    "brackets without an end": "(" * 240,
    "choices in choices": "cue.hurried ? " * 80 + "cue.hurried" + " : cue.hurried" * 80,
    "comparisons of comparisons": "payer.age < " * 80 + "1",
    "more characters than anyone writes": "cue.hurried" + " " * 1_000,
    "more parts than anyone reads": "[" + "1," * 130 + "1].exists(x, x == payer.age)",
    "a text as long as a page": f"transfer.channel == '{'a' * (LONGEST_TEXT + 1)}'",
    "a text without an end": "transfer.channel == 'abc",
    "a number too large": "payer.age < 9223372036854775808",
    "a name of another script": "年龄 > 3",
    "look-alike letters": "pаyer.age > 3",
    "a control character": "cue.hurried\x00",
    "a closed bracket and another list": "cue.hurried]) || ([true",
    "a closed bracket and another condition": "cue.hurried) || (true",
    "an assignment": "payer.age = 1",
    "half a character": "transfer.channel == '\ud800'",
    "nothing": "",
    "a comment only": "// cue.hurried",
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE)
def test_a_broken_or_hostile_condition_is_refused_at_once(source: str) -> None:
    begun = time.perf_counter()
    assert refusal(source).message
    assert time.perf_counter() - begun < 0.1


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        ("payer.agee > 1", 1, 1),
        ("cue.hurried && payer.agee > 1", 1, 16),
        ("transfer.channel == '中文😀' && payer.agee > 1", 1, 30),
        ("cue.hurried\n  && payer.agee > 1", 2, 6),
        ("cue.hurried && // 中文\n transfer.channel > 1", 2, 19),
        ("cue.hurried &&\n [1].map(x, x) == [1]", 2, 6),
        ("[1].all(x,\n [2].all(y, cue.hurried))", 2, 6),
    ],
)
def test_a_refusal_names_line_and_column(source: str, line: int, column: int) -> None:
    found = refusal(source)
    assert (found.line, found.column) == (line, column)


@pytest.mark.parametrize(
    "source",
    ["1 / (payer.age - 40) > 0", "payer.age + 9223372036854775807 > 0", "[1][payer.age] == 1", "payer.age % 0 == 1"],
)
def test_a_condition_without_an_answer_leaves_the_others_theirs(source: str) -> None:
    three = LANGUAGE.together([LANGUAGE.condition(one) for one in ("cue.hurried", source, "says.threat")])
    assert three.evaluate(NAMES) == [True, None, False]


def test_conditions_too_long_for_one_call_are_asked_in_several() -> None:
    text = "x" * LONGEST_TEXT
    long = " || ".join([f"transfer.channel == '{text}'"] * 7)
    sources = [f"{long} || payer.age == {number}" for number in range(200)]
    assert sum(map(len, sources)) > 150_000
    together = LANGUAGE.together([LANGUAGE.condition(source) for source in sources])
    assert together.evaluate(NAMES) == [number == 40 for number in range(200)]


def test_more_conditions_than_fit_one_call_are_all_answered_in_their_order() -> None:
    together = LANGUAGE.together([LANGUAGE.condition(f"payer.age == {number}") for number in range(450)])
    assert together.evaluate(NAMES) == [number == 40 for number in range(450)]


@pytest.mark.parametrize(("begin", "end"), [("(", ")"), ("!", ""), ("[", "].size() > 0 && [true].exists(x, x)")])
def test_what_is_accepted_can_be_asked_however_deep_it_is(begin: str, end: str) -> None:
    for depth in range(1, 40):
        condition = checked(begin * depth + "cue.hurried" + end * depth)
        if not isinstance(condition, ExpressionError):
            assert LANGUAGE.together([condition]).evaluate(NAMES) != [None]


@pytest.mark.parametrize("variable", ["payer", "cue", "ints_"])
def test_a_loop_variable_hides_no_name(variable: str) -> None:
    assert "hides a name" in refusal(f"[1].exists({variable}, payer.age > 1)").message


def test_no_conditions_have_no_answers() -> None:
    assert LANGUAGE.together([]).evaluate(NAMES) == []


def listed(count: int, element: str = "1") -> str:
    return "[" + ",".join([element] * count) + "]"


def added(count: int) -> str:
    """`x + x + …`, so many times, without deep nesting."""
    return "x" if count == 1 else f"({added(count // 2)}+{added(count - count // 2)})"


DEAR = {
    "a sum for each of a list": f"{listed(60)}.all(x, x*x*x*x*x*x*x*x*x*x*x*x*x*x*x*x*x*x*x*x*x < 3 + payer.age)",
    "a list for each of a list": f"{listed(60)}.exists(x, x + payer.age in {listed(58, '7')})",
    "a built list for each of a list": f"{listed(60)}.exists(x, x + payer.age in {listed(55, 'x')})",
    "two lists compared for each of a list": f"{listed(56)}.exists(x, {listed(56)} == [x, 1] || says.threat)",
    "a map for each of a list": listed(40)
    + ".all(x, {"
    + ",".join(f"{key}:x" for key in range(20))
    + "}.size() > payer.age)",
    "choices for each of a list": f"{listed(60)}.exists(x, {' || '.join(['payer.age == x'] * 28)})",
    "a search for each of a list": f"{listed(90)}.exists(x, ('{'a' * 100}' + text.scam_type).contains('{'a' * 50}b'))",
    "texts added up and searched": f"['{'a' * 100}', '{'a' * 100}', '{'a' * 100}', '{'a' * 100}'].exists(x,"
    f" {added(28)}.contains({added(14)} + 'b' + text.scam_type))",
    "texts added up and searched for a long one": f"['{'a' * 100}', '{'a' * 99}'].exists(x,"
    f" {added(42)}.contains('{'a' * 100}' + '{'a' * 99}b' + text.scam_type))",
    "one loop after another": " || ".join([f"{listed(20)}.exists(x, x + payer.age == 0)"] * 4),
    "a long chain": " && ".join(["payer.age > 1"] * 58),
    "denials of denials": "!" * 200 + "cue.hurried",
}


@pytest.mark.parametrize("source", DEAR.values(), ids=DEAR)
def test_the_dearest_conditions_that_are_accepted_take_less_than_a_millisecond(source: str) -> None:
    assert seconds(source) < CHEAP_SECONDS


PIECES: Final = [
    *("payer.age", "transfer.channel", "cue.hurried", "says.threat", "text.scam_type", "x", "y", "payer", ".age"),
    *("==", "!=", "<", ">=", "&&", "||", "!", "?", ":", "+", "-", "*", "/", "%", " in ", "(", ")", "[", "]", "{", "}"),
    *(
        ".exists(x,",
        ".all(y,",
        ".exists_one(x,",
        ".map(x,",
        ".contains(",
        ".size()",
        "size(",
        "has(",
        "[1,2,3]",
        "['a']",
    ),
    *("1", "0", "-1", "9223372036854775807", "1.5", "2u", "0x1F", "1e400", "true", "null", "'a'", '"b"', "'''", '"""'),
    *("r'\\'", "b'a'", "`x`", "//", "\n", "\r", "\\", "'", '"', ",", ".", ";", "#", "中", "😀", "\u202e", "\x00"),
    *("google.protobuf.Any{}", "google.protobuf.Int32Value{value: 1}", "dyn(", "type(", "optional.of("),
]
sources = (
    st.text()
    | st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
    | st.lists(st.sampled_from(PIECES), max_size=20).map(" ".join)
)
conditions = st.recursive(
    st.sampled_from(["cue.hurried", "payer.age > 1", "says.threat", "transfer.channel != 'a'", "1 / payer.age == 1"]),
    lambda inner: st.one_of(
        st.builds("({} && {})".format, inner, inner),
        st.builds("{} || {}".format, inner, inner),
        st.builds("!({})".format, inner),
        st.builds("({} ? {} : {})".format, inner, inner, inner),
        st.builds("[1, 2, payer.age].exists(x, x > 1 && {})".format, inner),
    ),
)


@given(sources | conditions)
@example("'''it's''' == transfer.channel && [1].all(x, [2].all(y, cue.hurried)) && 'a' == 'a'")
@example("")
@example("\ud800")
def test_any_text_is_refused_or_answered_in_time(source: str) -> None:
    condition = checked(source)
    if isinstance(condition, ExpressionError):
        assert min(condition.line, condition.column) >= 1
        assert condition.message
        return
    assert condition.names
    impossible(condition)
    together = LANGUAGE.together([condition])
    assert together.evaluate(NAMES)[0] in {True, False, None}
    assert min(_timed(together.evaluate) for _ in range(3)) < PATIENCE_SECONDS


def checked(source: str) -> Condition | ExpressionError:
    """Return a condition, or why it is refused."""
    try:
        return LANGUAGE.condition(source)
    except ExpressionError as error:
        return error


def _timed(evaluate: Callable[[Mapping[str, Value]], object]) -> float:
    begun = time.perf_counter()
    evaluate(NAMES)
    return time.perf_counter() - begun


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("payer.age > 70 && payer.age < 60", "payer.age"),
        ("payer.age >= 5 && cue.hurried && payer.age == 4", "payer.age"),
        ("payer.age > -1 && payer.age < 0", "payer.age"),
        ("cue.hurried && !cue.hurried", "cue.hurried"),
        ("!says.threat && payer.age > 1 && says.threat", "says.threat"),
    ],
)
def test_a_condition_that_cannot_hold_is_found_out(source: str, name: str) -> None:
    assert impossible(LANGUAGE.condition(source)) == name


@pytest.mark.parametrize(
    "source",
    [
        "payer.age >= 5 && payer.age <= 5",
        "payer.age > 70 || payer.age < 60",
        "cue.hurried && !says.threat",
        "payer.age > 70 ? payer.age > 1 : payer.age < 60",
        "payer.age > 70 && cue.hurried ? says.threat : cue.hurried && payer.age < 60",
        "cue.hurried && (payer.age > 70 || payer.age < 60)",
        "payer.age > 70 == false && payer.age < 60",
        "payer.age > 70 - 60 && payer.age < 60",
        "transfer.channel.size() > 70 && transfer.channel.size() < 80",
    ],
)
def test_a_condition_that_can_hold_is_left_alone(source: str) -> None:
    assert impossible(LANGUAGE.condition(source)) is None


@given(
    st.lists(st.tuples(st.sampled_from(["<", "<=", ">", ">=", "=="]), st.integers(-3, 3)), min_size=1, max_size=4),
    st.integers(-5, 5),
)
def test_nothing_that_holds_for_some_number_is_called_impossible(asked: list[tuple[str, int]], number: int) -> None:
    source = " && ".join(f"payer.age {sign} {bound}" for sign, bound in asked)
    if answer(source, payer_age=number):
        assert impossible(LANGUAGE.condition(source)) is None
