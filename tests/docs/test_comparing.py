"""What counts as the same: ids, times and tokens may differ, everything else may not."""

import pytest

from tests.docs.comparing import difference

SAME = [
    ("text", "3 files\n", "3 files\n"),
    ("text", "id 01a20150-9d8f-751c-a451-d0290e188e10\n", "id ffffffff-9d8f-751c-a451-d0290e188e10\n"),
    ("text", "secret whsec_…\n", "secret whsec_b2xkIHNl/cmV0+w==\n"),
    ("text", "at 2026-11-22T03:33:10Z, in 5 ms\n", "at 2027-01-02T03:04:05.678+08:00, in 1,234.5 ms\n"),
    ("text", "first …, last\n", "first second third, last\n"),
    ("text", "one\n…\nfour\n", "one\ntwo\nthree\nfour\n"),
    ("text", "one\n…\n", "one\n"),
    ("json", '{"a": 1, "…": null}', '{"b": 2, "a": 1}'),
    ("json", '["a", "…"]', '["a", "b", "c"]'),
    ("json", '{"why": "付到…账户"}', '{"why":"付到安全账户"}'),
    ("json", '{"n": 1}\n{"n": 2}', '{"n":1}\n{"n":2}\n'),
]
DIFFERENT = [
    ("text", "3 files\n", "4 files\n", "-3 files"),
    ("text", "one\n", "one\ntwo\n", "+two"),
    ("text", "one\n…\nfour\n", "one\ntwo\n", "-four"),
    ("json", '{"a": 1}', '{"a": 1, "b": 2}', "not on the page: b"),
    ("json", '{"a": 1, "b": 2}', '{"a": 1}', "not printed: b"),
    ("json", '{"a": {"b": [1]}}', '{"a": {"b": [2]}}', "answer[0].a.b[0]: the page has 1, printed was 2"),
    ("json", "[1]", "[1, 2]", "1 elements, printed were 2"),
    ("json", '{"a": true}', '{"a": 1}', "the page has True"),
    ("json", "{}", "no such file", "no JSON was printed"),
]


@pytest.mark.parametrize(("language", "shown", "printed"), SAME)
def test_what_differs_every_time_matches_any_of_its_kind(language: str, shown: str, printed: str) -> None:
    assert difference(language, shown, printed) is None


@pytest.mark.parametrize(("language", "shown", "printed", "why"), DIFFERENT)
def test_a_difference_is_named(language: str, shown: str, printed: str, why: str) -> None:
    assert why in (difference(language, shown, printed) or "")


def test_a_shape_is_names_and_types() -> None:
    shown = '{"cases": [{"id": "x", "due": null, "fen": 5}]}'
    same = '{"cases": [{"id": "y", "due": "2026", "fen": 6}, {"id": "z", "due": null, "fen": 7}]}'
    assert difference("json", shown, same, shape=True) is None
    assert "fen" in (difference("json", shown, same.replace("7", '"7"'), shape=True) or "")
    assert "not printed: id" in (difference("json", shown, same.replace("id", "new", 1), shape=True) or "")
