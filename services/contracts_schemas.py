"""Whether one JSON Schema keeps what another promised, for what clients send or for what they are shown. Pure.

Of patterns and formats it says that they changed, not whether the new one takes more: nobody can tell in general.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf
from typing import Any, Final

Schema = dict[str, Any]


class Way(StrEnum):
    """Which way the values travel: clients send them, or are shown them."""

    SENT = "sent"
    SHOWN = "shown"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two documents, the way their values travel, and the pairs of schemas (by `id`) being compared already."""

    old: Schema
    new: Schema
    way: Way
    seen: frozenset[tuple[int, int]] = frozenset()


ANY: Final = "any"
LOWER: Final = {"minimum": -inf, "exclusiveMinimum": -inf, "minLength": 0, "minItems": 0, "minProperties": 0}
"""Lower bounds, and what each is where none is given."""
UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
KINDS: Final[Mapping[type, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
    list: "array",
    dict: "object",
}


def breaches_of(where: str, old: Schema, new: Schema, comparison: Comparison) -> Iterator[str]:
    """Yield what the new schema takes away; `where` is the place to name."""
    before, after = _alternatives(old, comparison.old), _alternatives(new, comparison.new)
    if comparison.way is Way.SENT:
        gone = before.keys() - after.keys() if ANY not in after else set()
        yield from (f"{where} may no longer be {_kind(one)}" for one in sorted(gone))
        candidates = [[(one, other) for other in after.get(kind, ())] for kind in before for one in before[kind]]
    else:
        more = after.keys() - before.keys() if ANY not in before else set()
        yield from (f"{where} may now be {_kind(one)}" for one in sorted(more))
        candidates = [[(other, one) for other in before.get(kind, ())] for kind in after for one in after[kind]]
    for pairs in candidates:
        found = [list(_details(where, one, other, comparison)) for one, other in pairs]
        yield from min(found, key=len, default=[])


def _kind(name: str) -> str:
    return {ANY: "of any type", "null": "null", "array": "an array", "object": "an object"}.get(name, f"a {name}")


def _alternatives(schema: Schema, document: Schema) -> defaultdict[str, list[Schema]]:
    """Return what a schema allows, by JSON type."""
    found: defaultdict[str, list[Schema]] = defaultdict(list)
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if either := schema.get("anyOf") or schema.get("oneOf"):
        for one in either:
            for kind, schemas in _alternatives(one, document).items():
                found[kind] += schemas
        return found
    values = _values(schema)
    named = schema.get("type") or ([KINDS[type(value)] for value in values] if values else ANY)
    for kind in dict.fromkeys([named] if isinstance(named, str) else named):
        found[kind].append(schema)
    return found


def _values(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")


def _details(where: str, old: Schema, new: Schema, comparison: Comparison) -> Iterator[str]:
    pair = (id(old), id(new))
    if pair in comparison.seen:
        return
    comparison = replace(comparison, seen=comparison.seen | {pair})
    if comparison.way is Way.SENT:
        yield from _narrowed(where, old, new)
    else:
        yield from _widened(where, old, new)
    yield from _fields(where, old, new, comparison)
    if isinstance(old.get("items"), dict) and isinstance(new.get("items"), dict):
        yield from breaches_of(f"{where}[]", old["items"], new["items"], comparison)
    rest, rest_now = old.get("additionalProperties"), new.get("additionalProperties")
    if isinstance(rest, dict) and isinstance(rest_now, dict):
        yield from breaches_of(f"{where}.*", rest, rest_now, comparison)


def _narrowed(where: str, old: Schema, new: Schema) -> Iterator[str]:
    before, after = _values(old), _values(new)
    if after is not None and before is None:
        yield f"{where} may now be only {_listed(after)}"
    elif after is not None and before is not None and (gone := [one for one in before if one not in after]):
        yield f"{where} may no longer be {_listed(gone)}"
    for name, none in LOWER.items():
        if name in new and new[name] > old.get(name, none):
            yield f"{where} has a higher {name}: {new[name]}"
    for name in UPPER:
        if name in new and new[name] < old.get(name, inf):
            yield f"{where} has a lower {name}: {new[name]}"
    for name in ("pattern", "format"):
        if name in new and new[name] != old.get(name):
            yield f"{where} has another {name}: {new[name]}"


def _widened(where: str, old: Schema, new: Schema) -> Iterator[str]:
    before, after = _values(old), _values(new)
    if before is not None and after is None:
        yield f"{where} may now be something else than {_listed(before)}"
    elif before is not None and after is not None and (more := [one for one in after if one not in before]):
        yield f"{where} may now be {_listed(more)}"
    if "format" in old and new.get("format") != old["format"]:
        yield f"{where} is no longer in the format {old['format']}"


def _listed(values: list[Any]) -> str:
    return ", ".join(json.dumps(value, ensure_ascii=False) for value in values)


def _fields(where: str, old: Schema, new: Schema, comparison: Comparison) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    required_before, required_after = set(old.get("required", [])), set(new.get("required", []))
    closed = new.get("additionalProperties") is False
    if comparison.way is Way.SENT:
        if closed and old.get("additionalProperties") is not False and old.get("type") == "object":
            yield f"{where} takes no unknown fields any more"
        yield from (f"{where}.{one} is now required" for one in sorted(required_after - required_before))
        yield from (f"{where}.{one} is gone" for one in before if closed and one not in after)
    else:
        yield from (f"{where}.{one} is gone" for one in before if one not in after)
        lost = (required_before & after.keys()) - required_after
        yield from (f"{where}.{one} may now be missing" for one in sorted(lost))
    for name in (one for one in before if one in after):
        yield from breaches_of(f"{where}.{name}", before[name], after[name], comparison)
