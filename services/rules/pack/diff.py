"""What changes from one pack to another, in the order an analyst asks. Pure."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from services.rules.pack.source import Pack


@dataclass(frozen=True, slots=True)
class Difference:
    """One change: of what kind of thing, which one, and what it was and is (nothing: it was not there, or is gone)."""

    kind: str
    name: str
    before: str | None
    after: str | None


def differences(before: Pack, after: Pack) -> list[Difference]:
    """Return what changes, rules first."""
    return [
        *_between("rule", _rules(before), _rules(after)),
        *_between("phrase", _phrases(before), _phrases(after)),
        *_between("words", _words(before), _words(after)),
        *_between("common", _common(before), _common(after)),
        *_between("text model", _model(before), _model(after)),
    ]


def _between(kind: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Difference]:
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Difference(kind, name, before.get(name), after.get(name))


def _rules(pack: Pack) -> dict[str, str]:
    found = {}
    for file in pack.files.values():
        shared = f" [{file.scam_type or '-'}, {file.owner}]"
        found.update({rule.id: _shown(rule) + shared for rule in file.rules})
        found.update({table.id: _shown(table) + shared for table in file.tables})
    return found


def _phrases(pack: Pack) -> dict[str, str]:
    return {name: _shown(lines) for file in pack.files.values() for name, lines in file.phrases.items()}


def _words(pack: Pack) -> dict[str, str]:
    return {name: words for file in pack.files.values() for name, words in file.words.items()}


def _common(pack: Pack) -> dict[str, str]:
    return {name: str(value) for name, value in pack.common.model_dump(mode="json").items()}


def _model(pack: Pack) -> dict[str, str]:
    """Name the model's version and a digest of all it holds: its weights are too many to show."""
    if pack.model is None:
        return {}
    written = json.dumps(pack.model, ensure_ascii=False, sort_keys=True)
    return {
        "version": str(pack.model["version"]),
        "digest": hashlib.sha256(written.encode(errors="surrogatepass")).hexdigest()[:12],
    }


def _shown(lines: BaseModel) -> str:
    """Write what is said other than by default."""
    said = lines.model_dump(mode="json", exclude_defaults=True, exclude={"id"})
    return " · ".join(f"{field}: {value}" for field, value in said.items())
