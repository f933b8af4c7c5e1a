"""`python -m tests.migrations`: squawk over every migration, on its way up; exit 1 where it objects, or we do.

What is objected to is mended, or excused in `excused.toml` by rule and file with the reason. An excuse that nothing
needs any more is an objection too.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
EXCUSED: Final = Path(__file__).parent / "excused.toml"
OLDEST_POSTGRES: Final = "15"
"""docs/operations.md."""

OUTSIDE: Final = "transaction:false"
"""What dbmate calls a migration that runs in no transaction, as a concurrent index must."""

Excuses = Mapping[str, AbstractSet[str]]
"""By file, the rules that it may break; by `everywhere`, those that any may."""


def main() -> None:
    """Say what squawk objects to."""
    found = objections(ROOT, migrations(ROOT), excuses(EXCUSED))
    if found:
        sys.exit("\n".join(found))


def migrations(root: Path) -> list[Path]:
    """Return all migrations."""
    return sorted([*root.glob("shared/migrations/*.sql"), *root.glob("services/*/migrations/*.sql")])


def excuses(path: Path) -> Excuses:
    """Read what is excused, and check that a reason is given. Raises `KeyError` where there is none."""
    told = tomllib.loads(path.read_text(encoding="utf-8"))
    found: dict[str, set[str]] = defaultdict(set)
    for because in told["because"]:
        assert because["reason"].strip()
        for file, rules in because["files"].items():
            found[file].update(rules)
    return {"everywhere": set(told["everywhere"]), **found}


def objections(root: Path, files: Sequence[Path], excused: Excuses) -> list[str]:
    """Return a line for each objection that nothing excuses, and for each excuse of a file that nothing needs."""
    said = []
    used: dict[str, set[str]] = defaultdict(set)
    within, outside = ([one for one in files if _is_outside(one) is there] for there in (False, True))
    found = [*_squawked(root, within, False), *_squawked(root, outside, True), *_under_a_lock(root, within)]  # noqa: FBT003
    for name, line, rule, message in found:
        if rule in excused.get(name, ()):
            used[name].add(rule)
        elif rule not in excused["everywhere"]:
            said.append(f"{name}:{line}: {rule}: {message}")
    for name, rules in excused.items():
        if name != "everywhere":
            said += [f"{name}: nothing needs the excuse of {rule} any more" for rule in sorted(rules - used[name])]
    return sorted(said)


def _squawked(root: Path, files: Sequence[Path], outside: bool) -> list[tuple[str, int, str, str]]:  # noqa: FBT001
    """Return what squawk says of files' ways up: file, line, rule, message."""
    if not files:
        return []
    with tempfile.TemporaryDirectory() as folder:
        names = {}
        for number, path in enumerate(files):
            copy = Path(folder) / f"{number}.sql"
            copy.write_text(_up(path), encoding="utf-8")
            names[str(copy)] = str(path.relative_to(root))
        words = [str(Path(sys.executable).with_name("squawk")), "--reporter", "json", "--pg-version", OLDEST_POSTGRES]
        words += [] if outside else ["--assume-in-transaction"]
        done = subprocess.run([*words, *names], cwd=folder, capture_output=True, text=True, check=False)
    if done.stderr:
        raise RuntimeError(f"squawk: {done.stderr.strip()}")
    found = json.loads(done.stdout)
    return [(names[one["file"]], one["line"] + 1, one["rule_name"], one["message"]) for one in found]


def _under_a_lock(root: Path, files: Sequence[Path]) -> Iterator[tuple[str, int, str, str]]:
    """Return where rows are written in the transaction that altered a table, as squawk does."""
    for path in files:
        up = _up(path)
        words = ("alter table", "update|delete from")
        altered, written = (re.search(f"^({word}) ", up, re.MULTILINE) for word in words)
        if altered and written and altered.start() < written.start():
            line = up.count("\n", 0, written.start()) + 1
            message = "all who read the altered table wait until the rows are written: do it in a migration of its own"
            yield str(path.relative_to(root)), line, "rows-under-a-lock", message


def _up(path: Path) -> str:
    """Return what a migration does on its way up; the way down is for rehearsals."""
    return path.read_text(encoding="utf-8").partition("-- migrate:down")[0]


def _is_outside(path: Path) -> bool:
    return OUTSIDE in path.read_text(encoding="utf-8").partition("\n")[0]


if __name__ == "__main__":
    main()
