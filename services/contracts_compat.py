"""Whether a door still keeps what the last release promised: two OpenAPI documents in, sentences out. Pure.

Clients send what the old document took, and read what it showed. So a request may take more and must demand nothing
new; an answer may say more and must leave nothing out, and hold no value that a client cannot know.
"""

from collections.abc import Iterator
from typing import Any, Final

from services.contracts_schemas import Comparison, Schema, Way, breaches_of

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
WHOSE: Final = {"query": "query parameter", "header": "header", "path": "path parameter", "cookie": "cookie"}


def broken_promises(old: Schema, new: Schema) -> list[str]:
    """Return what the new document of a door takes away from clients of the old one, a sentence each."""
    return list(dict.fromkeys(_paths(old, new)))


def _paths(old: Schema, new: Schema) -> Iterator[str]:
    for path, calls in old["paths"].items():
        if path not in new["paths"]:
            yield f"{path}: the path is gone"
            continue
        for method in (one for one in METHODS if one in calls):
            call = f"{method.upper()} {path}"
            if method in new["paths"][path]:
                yield from _call(call, (old, calls[method]), (new, new["paths"][path][method]))
            else:
                yield f"{call}: the method is gone"


Described = tuple[Schema, Schema]
"""A whole document, and the part of it that is looked at."""


def _call(call: str, old: Described, new: Described) -> Iterator[str]:
    (old_document, old_call), (new_document, new_call) = old, new
    sent = Comparison(old_document, new_document, Way.SENT)
    shown = Comparison(old_document, new_document, Way.SHOWN)
    if _credential(new_document, new_call) and not _credential(old_document, old_call):
        yield f"{call}: a credential is now required"
    yield from _parameters(call, old_call, new_call, sent)
    yield from _body(call, old_call.get("requestBody"), new_call.get("requestBody"), sent)
    for status, answer in old_call["responses"].items():
        if status in new_call["responses"]:
            yield from _answer(f"{call}: answer {status}", answer, new_call["responses"][status], shown)
        else:
            yield f"{call}: the answer {status} is gone"


def _credential(document: Schema, call: Schema) -> bool:
    asked: list[Any] = call["security"] if "security" in call else document.get("security", [])
    return bool(asked) and {} not in asked


def _parameters(call: str, old: Schema, new: Schema, sent: Comparison) -> Iterator[str]:
    before, after = ({(one["in"], one["name"]): one for one in each.get("parameters", [])} for each in (old, new))
    for (place, name), one in before.items():
        if (place, name) in after:
            schemas = (one.get("schema", {}), after[place, name].get("schema", {}))
            yield from breaches_of(f"{call}: {WHOSE[place]} {name}", *schemas, sent)
        else:
            yield f"{call}: {WHOSE[place]} {name} is gone"
    for (place, name), one in after.items():
        if one.get("required") and not before.get((place, name), {}).get("required"):
            yield f"{call}: {WHOSE[place]} {name} is now required"


def _body(call: str, old: Schema | None, new: Schema | None, sent: Comparison) -> Iterator[str]:
    if new and new.get("required") and not (old and old.get("required")):
        yield f"{call}: a body is now required"
    if old and new:
        yield from _content(f"{call}: request", old, new, sent)
    elif old:
        yield f"{call}: the body is gone"


def _answer(where: str, old: Schema, new: Schema, shown: Comparison) -> Iterator[str]:
    for name in old.get("headers", {}):
        if name not in new.get("headers", {}):
            yield f"{where}: header {name} is gone"
    yield from _content(where, old, new, shown)


def _content(where: str, old: Schema, new: Schema, comparison: Comparison) -> Iterator[str]:
    offered: Schema = new.get("content", {})
    for media_type, one in old.get("content", {}).items():
        if media_type in offered:
            yield from breaches_of(where, one.get("schema", {}), offered[media_type].get("schema", {}), comparison)
        else:
            yield f"{where}: {media_type} is gone"
