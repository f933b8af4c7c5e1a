"""The fenced blocks of a page, and what their marks say.

A mark stands in the fence's info string, after the language; GitHub shows the language's colours and nothing of the
mark. Every block in a language of commands has one of these, and each that has none is refused:

    sh run               bash, one shell a page, in order; must end well (set -euo pipefail)
    sh run fails         must end with an error
    sh run until         is repeated until it ends well and prints what is shown; for what only looks
    sh run background    goes on beside the next blocks, until the page's end
    sh run within 90     may take so many seconds (120)
    sh run as rules      with what that service is told (DATABASE_URL, keys), as in a shell opened where it runs
    python run           a script, with the shell's exported variables; the same words as above
    python file=a.py     is saved under that name; a later block that is run names it
    sql run intake       by psql, on that service's database
    sh not run: why      what a reader types elsewhere

What a block prints stands right under it and is compared (`comparing`): `text output`, `json output`, `json output
shape`. `output background` compares what the last background block has printed by then. A block that must fail, and
one in the background, must show something. Words that mean nothing here are refused, and blocks that never end.

`json as Feedback` is a body that a reader would send, and is compared with the doors' OpenAPI.

`<!-- docs: a run of its own -->` gives a page a run that it may hurt; words in capitals behind it go to `make run`
(`OPS=1`). Without it all pages share one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
COMMANDS: Final = frozenset({"sh", "bash", "shell", "console", "python", "py", "sql"})
RUN_BY_US: Final = frozenset({"sh", "bash", "python", "sql"})
SECONDS: Final = 120
HOW: Final = re.compile(r"run(?: fails| until| background| within \d+| as \w+)*")
FENCE: Final = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<info>[^`]*)$")
OWN_RUN: Final = re.compile(r"<!-- docs: a run of its own((?: [A-Z_]+=\w+)*) -->")


class Kind(StrEnum):
    """What becomes of a block."""

    RUN = "run"
    FILE = "saved, and run by a later block"
    NOT_RUN = "not run"
    OUTPUT = "compared with what was printed"
    SHOWN = "only shown"
    UNMARKED = "has no mark"


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `line` is its fence's; `detail` the reason, file name or database; `words` what else it says."""

    line: int
    language: str
    kind: Kind
    text: str
    detail: str = ""
    words: tuple[str, ...] = ()

    @property
    def seconds(self) -> int:
        """How long it may take."""
        return int(self.words[self.words.index("within") + 1]) if "within" in self.words else SECONDS

    @property
    def service(self) -> str | None:
        """Whose shell it is typed in; None for the reader's own."""
        return self.words[self.words.index("as") + 1] if "as" in self.words else None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the docs. `own_run`: the variables of the run it needs for itself; None where it shares one."""

    path: Path
    blocks: tuple[Block, ...]
    own_run: dict[str, str] | None

    @property
    def name(self) -> str:
        """Its path in the checkout."""
        return str(self.path.relative_to(ROOT))

    def commands(self, *kinds: Kind) -> list[Block]:
        """Return the blocks of these kinds that are commands, which other files that are saved are not."""
        return [block for block in self.of(*kinds) if block.language in COMMANDS]

    def of(self, *kinds: Kind) -> list[Block]:
        """Return the blocks of these kinds."""
        return [block for block in self.blocks if block.kind in kinds]


def pages() -> list[Page]:
    """Return the pages whose commands are for readers: the READMEs and docs/, without records and contracts."""
    return [page_of(path) for path in (*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "docs").glob("*.md")))]


def run_and_all(these: list[Page]) -> tuple[int, int]:
    """Return how many blocks of commands are run, and how many there are."""
    run = sum(len(page.commands(Kind.RUN, Kind.FILE)) for page in these)
    return run, run + sum(len(page.of(Kind.NOT_RUN, Kind.UNMARKED)) for page in these)


def page_of(path: Path) -> Page:
    """Read a page."""
    text = path.read_text(encoding="utf-8")
    own = OWN_RUN.search(text)
    told = dict(word.split("=", 1) for word in own.group(1).split()) if own else None
    return Page(path, tuple(blocks_of(text)), told)


def blocks_of(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a text, dedented as far as their fence is."""
    opened: tuple[int, re.Match[str]] | None = None
    inside: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if opened is None:
            opened, inside = ((number, fence), []) if fence else (None, [])
        elif fence and not fence["info"].strip() and len(fence["ticks"]) >= len(opened[1]["ticks"]):
            yield _block(opened[0], opened[1]["info"].strip(), inside)
            opened = None
        else:
            inside.append(line.removeprefix(opened[1]["indent"]))
    if opened:
        yield Block(opened[0], "", Kind.UNMARKED, "", "is never closed")


def _block(line: int, info: str, inside: list[str]) -> Block:
    language, _, mark = info.partition(" ")
    kind, detail, words = _meaning(language, mark.strip())
    return Block(line, language, kind, "\n".join(inside) + "\n", detail, words)


def _meaning(language: str, mark: str) -> tuple[Kind, str, tuple[str, ...]]:
    words = tuple(mark.split())
    if words[:1] == ("output",) and {*words[1:]} <= {"shape", "background"}:
        return Kind.OUTPUT, "", words[1:]
    if language and mark.startswith("file="):
        return Kind.FILE, words[0].removeprefix("file="), ()
    if language not in COMMANDS:
        return _shown(language, words)
    return _typed(language, mark, words)


def _shown(language: str, words: tuple[str, ...]) -> tuple[Kind, str, tuple[str, ...]]:
    if not language:
        return Kind.UNMARKED, "names no language", ()
    if words and (words[0] != "as" or len(words) != 2):
        return Kind.UNMARKED, f"is marked with what means nothing: {' '.join(words)}", ()
    return Kind.SHOWN, "", words


def _typed(language: str, mark: str, words: tuple[str, ...]) -> tuple[Kind, str, tuple[str, ...]]:
    if mark.startswith("not run:") and (reason := mark.removeprefix("not run:").strip()):
        return Kind.NOT_RUN, reason, ()
    if language not in RUN_BY_US:
        return Kind.UNMARKED, f"is in {language}: write sh, without prompts, or python", ()
    if language == "sql" and len(words) == 2 and words[0] == "run":
        return Kind.RUN, words[1], ()
    if language != "sql" and HOW.fullmatch(" ".join(words)):
        return Kind.RUN, "", words[1:]
    return Kind.UNMARKED, "says neither how it is run nor why not", ()
