"""What marks mean: a block of commands is run, or says why not, or is refused."""

from pathlib import Path

import pytest

from tests.docs.blocks import Block, Kind, blocks_of, page_of


def only(text: str) -> Block:
    (block,) = blocks_of(text)
    return block


@pytest.mark.parametrize("language", ["sh", "bash", "python", "sql"])
def test_a_block_without_a_mark_is_refused(language: str) -> None:
    assert only(f"```{language}\nmake run\n```\n").kind is Kind.UNMARKED


@pytest.mark.parametrize("info", ["sh not run", "sh not run:", "sh not run: ", "console run", "sh runs", ""])
def test_a_mark_without_a_reason_or_in_a_language_we_cannot_run_is_refused(info: str) -> None:
    assert only(f"```{info}\nmake run\n```\n").kind is Kind.UNMARKED


@pytest.mark.parametrize(
    "info", ["sh run untill", "sh run within", "sh run as", "sql run", "text ouput", "json output shpae", "json is It"]
)
def test_a_word_that_means_nothing_is_refused(info: str) -> None:
    assert only(f"```{info}\nls\n```\n").kind is Kind.UNMARKED


def test_a_block_that_is_never_closed_is_refused() -> None:
    assert only("text\n\n```sh run\nls\n").kind is Kind.UNMARKED


def test_a_block_that_is_not_run_says_why() -> None:
    block = only("```sh not run: needs a cluster\nkubectl get pods\n```\n")
    assert (block.kind, block.detail) == (Kind.NOT_RUN, "needs a cluster")


def test_a_block_that_is_run_may_say_how() -> None:
    block = only("text\n\n```sh run until within 90\ncurl\n```\n")
    assert (block.kind, block.line, block.seconds, "until" in block.words) == (Kind.RUN, 3, 90, True)


def test_a_block_in_a_list_is_dedented() -> None:
    block = only('1. Say it:\n\n   ```python run\n   if True:\n       print("it")\n   ```\n')
    assert block.text == 'if True:\n    print("it")\n'


def test_what_looks_like_a_fence_inside_a_longer_one_is_text() -> None:
    assert only("````text\n```sh\nmake\n```\n````\n").text == "```sh\nmake\n```\n"


def test_other_languages_are_only_shown() -> None:
    assert only("```yaml\na: 1\n```\n").kind is Kind.SHOWN


def test_a_page_that_hurts_its_run_asks_for_its_own(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("<!-- docs: a run of its own OPS=1 -->\n", encoding="utf-8")
    assert page_of(path).own_run == {"OPS": "1"}
