"""Whatever is in a pack's files: it is a pack or it is refused, in bounded time and without another exception."""

import json
import time
from pathlib import Path
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.rules.pack.compiled import CompiledPack
from services.rules.pack.compiling import compile_pack
from services.rules.pack.files import Fault, PackRefusedError, read_folder
from tests.unit.rules.builders import COMMON, HEAD, dumped, faults_of, rule_lines

PATIENCE_SECONDS: Final = 5.0

HOSTILE: Final = {
    "lists in lists": "words: " + "[" * 100_000,
    "mappings in mappings": "{a: " * 100_000,
    "lists in lines": "- " * 100_000,
    "a billion laughs": "a: &a [x, x]\n"
    + "".join(f"{n}: &{n} [*{p}, *{p}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)),
    "an alias of itself": "words: &a {b: *a}",
    "a number of minutes and hours": "title: 1" + ":01" * 100_000,
    "a number without an end": "title: " + "9" * 100_000,
    "thousands of unknown keys": "".join(f"k{number}: 1\n" for number in range(30_000)),
    "thousands of equal keys": "k: 1\n" * 30_000,
    "thousands of faulty rules": "rules:\n" + "- {id: A}\n" * 20_000,
    "a key of its own kind": "? [a, b]\n: c\n",
    "a key that is a mapping": "{{a: b}: c}",
    "something to run": "title: !!python/object/apply:os.system ['true']",
    "bytes": "title: !!binary aGk=",
    "a control character": "title: \x07",
    "nothing": "",
    "a text": "words",
    "a list": "- a",
    "a byte order mark": "\ufefftitle: a\nowner: b\n",
    "half a character": "title: \ud800",
    "carriage returns": "title: a\r\nowner: b\r\nwords: {aa: '\r\n\r\n甲', bb: 乙||}\r\n",
    "a merged mapping": "title: a\nowner: b\n<<: {words: {aa: 甲}}\n",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_in_bounded_time(text: str) -> None:
    begun = time.perf_counter()
    for files in ({"pack.yaml": COMMON, "rules.yaml": text}, {"pack.yaml": text}):
        assert all(fault.line >= 1 and fault.column >= 1 and fault.message for fault in faults_of(files))
    assert time.perf_counter() - begun < PATIENCE_SECONDS


yaml_pieces = st.sampled_from(
    [
        "title: a\n",
        "owner: b\n",
        "rules:\n",
        "  - id: a-rule\n",
        "    when: ",
        "cue.hurried",
        "\n    ",
        "weight: 5",
        "why: ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        ": ",
        "- ",
        "|\n",
        ">-\n",
        '"',
        "'",
        "&a ",
        "*a ",
        "!!int ",
        "? ",
        "#",
        "\t",
        "\\",
        "phrases:\n",
        "means: m",
        "any: ",
        "甲|乙",
        "||",
        "{words}",
        "tables:\n",
        "inputs: [payer.age]",
        "rows: ",
        "valid_from: 2026-11-22",
        "~",
        "---\n",
        "%YAML 9",
    ]
)
files = st.text() | st.lists(yaml_pieces, max_size=30).map("".join)


@given(files, st.sampled_from(["rules.yaml", "pack.yaml", "text-model.json"]))
@example('words: "\\', "rules.yaml")
@example("tables: [{id: ab, title: t, inputs: [''], rows: [{when: [''], weight: 1}]}]", "rules.yaml")
def test_any_text_is_a_pack_or_is_refused(text: str, name: str) -> None:
    for body in (text, HEAD + text):
        for fault in faults_of({"pack.yaml": COMMON, "rules.yaml": HEAD, name: body}):
            assert fault.line >= 1
            assert fault.column >= 1


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_any_condition_reason_word_or_cell_is_accepted_or_refused_in_its_place(
    when: str, why: str, word: str, cell: str
) -> None:
    row = {"when": [cell], "weight": 1}
    body = {
        "words": {"some_words": word},
        "phrases": {"some_phrase": {"means": "m", "any": [word, [word, "{some_words}"]]}},
        "rules": [rule_lines(when, why=why)],
        "tables": [{"id": "some-table", "title": "t", "why": "w", "inputs": ["payer.age"], "rows": [row]}],
    }
    text = dumped(body)
    for fault in faults_of({"pack.yaml": COMMON, "rules.yaml": text}):
        assert fault.file == "rules.yaml"
        assert 1 <= fault.line <= text.count("\n") + 1


def faults_in(folder: Path) -> list[Fault]:
    """Return what is wrong with a folder."""
    try:
        return faults_of(read_folder(folder))
    except PackRefusedError as error:
        return error.faults


@given(st.binary(max_size=60))
def test_any_bytes_in_a_folder_are_a_pack_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("pack", numbered=True)
    (folder / "pack.yaml").write_text(COMMON, encoding="utf-8")
    (folder / "rules.yaml").write_bytes(content)
    assert all(fault.message for fault in faults_in(folder))


@pytest.mark.parametrize("place", ["nowhere", "."])
def test_a_folder_that_is_no_pack_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(PackRefusedError, match="is not a pack"):
        read_folder(tmp_path / place)


@pytest.mark.parametrize("name", ["notes.txt", "rules.yml", "other-model.json"])
def test_a_file_that_would_be_passed_over_in_silence_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "pack.yaml").write_text(COMMON, encoding="utf-8")
    (tmp_path / name).write_text("not of the pack", encoding="utf-8")
    with pytest.raises(PackRefusedError, match=f"{name}:1:1: is not part of a pack"):
        read_folder(tmp_path)


@pytest.mark.parametrize("why", ["长" * 301, "a\0b", "a\u0085b"], ids=["too long", "a NUL", "a control character"])
def test_what_no_screen_shows_and_no_database_keeps_is_refused(why: str) -> None:
    rule = f"{{id: r-1, title: t, when: payee.personal, weight: 3, why: {json.dumps(why)}}}"
    text = f"title: t\nowner: o\nrules:\n  - {rule}\n"
    with pytest.raises(PackRefusedError, match=r"rules\.yaml:4:"):
        compile_pack({"pack.yaml": COMMON, "rules.yaml": text})


def test_a_folder_reads_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "pack.yaml").write_text(COMMON, encoding="utf-8")
    (tmp_path / ".swp").write_text("an editor's", encoding="utf-8")
    assert read_folder(tmp_path) == {"pack.yaml": COMMON}
    assert isinstance(compile_pack(read_folder(tmp_path)), CompiledPack)
