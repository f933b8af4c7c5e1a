"""Type a page's blocks, one after the other, and compare what is printed with what the page shows."""

import time
from collections.abc import Iterator
from pathlib import Path

from tests.docs.blocks import Block, Kind, Page
from tests.docs.comparing import difference
from tests.docs.shell import Ended, PageShell
from tests.docs.workplace import Run, checkout, environment

LOOK_AGAIN_SECONDS = 0.2


class UntrueError(AssertionError):
    """A page's block does not do what the page says."""

    def __init__(self, page: Page, block: Block, why: str) -> None:
        super().__init__(f"{page.name}:{block.line}: {why}")


def play(page: Page, run: Run, scratch: Path) -> int:
    """Type a page from top to bottom; return how many of its blocks were run."""
    folder, notes = checkout(scratch, run.stack), scratch / "notes"
    notes.mkdir()
    with PageShell(folder, notes, environment(scratch, folder, run.stack)) as shell:
        for block, shown in with_output(page):
            text = run.addresses.real(block.text)
            if block.service:
                shell.tell(run.told(block.service))
            match block.kind:
                case Kind.FILE:
                    (folder / block.detail).write_text(text, encoding="utf-8")
                case Kind.RUN if "background" in block.words:
                    shell.start(block, text)
                    _await(page, shown, run, shell)
                case Kind.RUN if "until" in block.words:
                    _until(page, block, shown, run, shell)
                case Kind.RUN:
                    _once(page, block, shown, run, shell)
                case Kind.OUTPUT:
                    _await(page, block, run, shell)
    return len(page.of(Kind.RUN, Kind.FILE))


def with_output(page: Page) -> Iterator[tuple[Block, Block | None]]:
    """Yield the blocks that are typed, each with the block that shows what it prints."""
    blocks = page.of(Kind.RUN, Kind.FILE, Kind.OUTPUT)
    for before, block, after in zip([None, *blocks], blocks, [*blocks[1:], None], strict=False):
        if block.kind is Kind.OUTPUT:
            if "background" in block.words:
                yield block, None
            elif before is None or before.kind is not Kind.RUN:
                raise UntrueError(page, block, "what is printed stands under no block that is run")
        else:
            shown = after if after and after.kind is Kind.OUTPUT and "background" not in after.words else None
            yield block, shown


def silent(page: Page) -> list[Block]:
    """Return the blocks that must fail, or go on beside the others, and whose output nobody looks at."""
    found: list[Block] = []
    running: Block | None = None
    for block, shown in with_output(page):
        if block.kind is Kind.OUTPUT:
            running = None
        elif "background" in block.words:
            found += [running] if running else []
            running = None if shown else block
        elif "fails" in block.words and shown is None:
            found.append(block)
    return found + ([running] if running else [])


def _once(page: Page, block: Block, shown: Block | None, run: Run, shell: PageShell) -> None:
    fails = "fails" in block.words
    ended = shell.run(block, run.addresses.real(block.text), apart=fails)
    if why := _wrong(ended, shown, run, fails=fails):
        raise UntrueError(page, block, why)


def _until(page: Page, block: Block, shown: Block | None, run: Run, shell: PageShell) -> None:
    """Repeat a block that only looks; its last time is in the page's shell, so that its variables stay."""
    deadline, fails = time.monotonic() + block.seconds, "fails" in block.words
    while why := _wrong(shell.run(block, run.addresses.real(block.text), apart=True), shown, run, fails=fails):
        if time.monotonic() > deadline:
            raise UntrueError(page, block, why)
        time.sleep(LOOK_AGAIN_SECONDS)
    _once(page, block, shown, run, shell)


def _await(page: Page, shown: Block | None, run: Run, shell: PageShell) -> None:
    """Wait until what runs in the background has printed what is shown."""
    if shown is None:
        return
    deadline = time.monotonic() + shown.seconds
    while why := _differs(shown, shell.background(), run):
        if time.monotonic() > deadline:
            raise UntrueError(page, shown, why)
        time.sleep(LOOK_AGAIN_SECONDS)


def _wrong(ended: Ended, shown: Block | None, run: Run, *, fails: bool = False) -> str | None:
    if ended.code is None:
        return f"was not done in time; it printed:\n{ended.printed}"
    if (ended.code != 0) is not fails:
        return f"ended with {ended.code}; it printed:\n{ended.printed}"
    return _differs(shown, ended.printed, run) if shown else None


def _differs(shown: Block, printed: str, run: Run) -> str | None:
    return difference(shown.language, shown.text, run.addresses.usual(printed), shape="shape" in shown.words)
