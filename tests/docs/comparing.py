"""Compare what a page says is printed with what was.

In a text `…` stands for anything within a line, and a line of `…` alone for any number of lines. In JSON, a key `…`
stands for further keys, a last element `…` for further elements, and `…` within a text for anything. What differs every
time (ids, times, tokens, milliseconds) matches any of its kind.
"""

import difflib
import json
import re
from typing import Any, Final

VARYING: Final = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\b00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\b"), "<trace>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b(lanjie_bank|lanjie_officer|whsec)_[\w+/=…-]+"), r"<\1>"),
    (re.compile(r"\b[\d,]+(?:\.\d+)? (ms|s)\b"), r"<n> \1"),
)
ANY_LINES: Final = r"(?:.*\n)*?"
REST: Final = "…"


def difference(language: str, expected: str, printed: str, *, shape: bool = False) -> str | None:
    """Return what differs, None where nothing does. `shape`: names and types of JSON count, values do not."""
    if language == "json":
        return json_difference(expected, printed, shape=shape)
    return text_difference(expected, printed)


def text_difference(expected: str, printed: str) -> str | None:
    """Compare line by line."""
    wanted, got = _lines(expected), _lines(printed)
    pattern = "".join(ANY_LINES if line == REST else _pattern(line) + r"\n" for line in wanted)
    if re.fullmatch(pattern, "".join(f"{line}\n" for line in got)):
        return None
    return "\n".join(difflib.unified_diff(wanted, got, "the page", "printed", lineterm="", n=99))


def json_difference(expected: str, printed: str, *, shape: bool = False) -> str | None:
    """Compare JSON documents, one or several after the other; name the place of the first difference."""
    wanted = _documents(expected)
    try:
        got = _documents(printed)
    except ValueError as error:
        return f"no JSON was printed ({error}):\n{printed}"
    found = _at("answer", wanted, got, shape=shape)
    return found and f"{found}\nprinted:\n{printed}"


def _at(place: str, wanted: Any, got: Any, *, shape: bool) -> str | None:  # noqa: ANN401 - any JSON value
    match wanted, got:
        case (dict(), dict()):
            return _objects(place, wanted, got, shape=shape)
        case (list(), list()):
            return _lists(place, wanted, got, shape=shape)
    if shape and (wanted is None or got is None or type(wanted) is type(got)):
        return None
    if isinstance(wanted, str) and isinstance(got, str) and re.fullmatch(_pattern(_plain(wanted)), _plain(got)):
        return None
    same = type(wanted) is type(got) and wanted == got
    return None if same else f"{place}: the page has {wanted!r}, printed was {got!r}"


def _objects(place: str, wanted: dict[str, Any], got: dict[str, Any], *, shape: bool) -> str | None:
    if missing := wanted.keys() - got.keys() - {REST}:
        return f"{place}: not printed: {', '.join(sorted(missing))}"
    if REST not in wanted and (more := got.keys() - wanted.keys()):
        return f"{place}: not on the page: {', '.join(sorted(more))}"
    found = (_at(f"{place}.{key}", value, got[key], shape=shape) for key, value in wanted.items() if key != REST)
    return next(filter(None, found), None)


def _lists(place: str, wanted: list[Any], got: list[Any], *, shape: bool) -> str | None:
    if open_end := wanted[-1:] == [REST]:
        wanted = wanted[:-1]
    if shape and wanted and got:
        ways = [[_at(f"{place}[{i}]", one, other, shape=True) for one in wanted] for i, other in enumerate(got)]
        return next((way[0] for way in ways if None not in way), None)
    if len(got) < len(wanted) or (len(got) > len(wanted) and not open_end):
        return f"{place}: the page has {len(wanted)} elements, printed were {len(got)}"
    found = (_at(f"{place}[{i}]", *pair, shape=shape) for i, pair in enumerate(zip(wanted, got, strict=False)))
    return next(filter(None, found), None)


def _lines(text: str) -> list[str]:
    return [_plain(line).rstrip() for line in text.strip("\n").splitlines()]


def _plain(text: str) -> str:
    for varying, name in VARYING:
        text = varying.sub(name, text)
    return text


def _pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split(REST))


def _documents(text: str) -> list[Any]:
    decoder, found, text = json.JSONDecoder(), [], text.strip()
    while text:
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:].strip()
    return found
