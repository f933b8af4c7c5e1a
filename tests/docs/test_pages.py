"""What the README and the docs tell a reader to type works, and prints what they say."""

from pathlib import Path

import pytest

from tests.docs.blocks import Block, Kind, Page, pages, run_and_all
from tests.docs.playing import play, silent, with_output
from tests.docs.workplace import a_run

PAGES = pages()
TYPED = [page for page in PAGES if page.of(Kind.RUN)]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", TYPED, ids=lambda page: page.path.stem)
def test_a_page_does_what_it_says(page: Page, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if page.own_run is None:
        play(page, request.getfixturevalue("shared_run"), tmp_path)
    else:
        with a_run(tmp_path / "run", page.own_run) as run:
            play(page, run, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.stem)
def test_every_command_of_a_page_is_run_or_says_why_not(page: Page) -> None:
    unmarked = [f"{page.name}:{block.line}: {block.detail}" for block in page.of(Kind.UNMARKED)]
    assert unmarked == [], "mark it as tests/docs/blocks.py says"


@pytest.mark.parametrize("page", TYPED, ids=lambda page: page.path.stem)
def test_a_file_that_a_page_shows_is_used_by_a_later_block(page: Page) -> None:
    assert [file.detail for file in page.of(Kind.FILE) if not _used(file, page)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.stem)
def test_what_is_printed_stands_under_what_prints_it(page: Page) -> None:
    assert len(list(with_output(page))) >= len(page.of(Kind.RUN, Kind.FILE))


@pytest.mark.parametrize("page", TYPED, ids=lambda page: page.path.stem)
def test_what_must_fail_or_runs_beside_the_others_shows_what_it_prints(page: Page) -> None:
    """Else a door that is away would be as good as a refusal, and a program that ended as one that works."""
    assert [block.line for block in silent(page)] == []


def test_nearly_all_commands_are_run() -> None:
    run, there = run_and_all(PAGES)
    assert run / there > 0.75, f"only {run} of {there}: `python -m tests.docs` lists the others"


def test_a_block_that_a_test_tries_elsewhere_names_a_test_that_is_there() -> None:
    named = [word for page in PAGES for block in page.of(Kind.NOT_RUN) for word in block.detail.split()]
    root = Path(__file__).parent.parent.parent
    assert [word for word in named if word.startswith("tests/") and not (root / word.rstrip(".,;")).exists()] == []


def _used(file: Block, page: Page) -> bool:
    name = Path(file.detail).stem
    return any(name in block.text for block in page.of(Kind.RUN, Kind.FILE) if block.line > file.line)
