"""YAML without its surprises: texts, lists and mappings, nothing else, from files of any content."""

from collections import Counter
from typing import Final

import yaml

from services.rules.pack.positions import Fault, PackRefusedError

DEEPEST: Final = 20
NOTHING: Final = {"", "~", "null"}
"""How a value that is not given is written. Everything else is text; the pack's models make numbers of it."""


def composed(file: str, text: str) -> yaml.Node | None:
    """Compose a file's nodes. Raises `PackRefusedError` where it is not YAML, or YAML that nobody should write."""
    try:
        faults = _oddities(file, text)
        root = None if faults else yaml.compose(text, Loader=yaml.CBaseLoader)
        faults += _doubled(file, root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise PackRefusedError([Fault(file, *where, f"is not YAML: {error.problem}")]) from None
    except (yaml.YAMLError, ValueError) as error:
        raise PackRefusedError([Fault(file, 1, 1, f"is not YAML: {error}")]) from None
    if faults:
        raise PackRefusedError(faults)
    return root


def plain(node: yaml.Node | None) -> object:
    """Return a node's value."""
    if isinstance(node, yaml.MappingNode):
        return {key.value: plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [plain(one) for one in node.value]
    if isinstance(node, yaml.ScalarNode) and (node.style or node.value not in NOTHING):
        return node.value
    return None


def _oddities(file: str, text: str) -> list[Fault]:
    """Find aliases, tags and deep nesting, before anything is built of them: building recurses, in C."""
    faults: list[Fault] = []
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CBaseLoader):
        mark = event.start_mark
        where = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        if isinstance(event, yaml.AliasEvent):
            faults.append(Fault(file, *where, "has an alias (*)", "write it out"))
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if getattr(event, "tag", None):
            faults.append(Fault(file, *where, "has a tag (!)", "put a text that begins with ! in quotes"))
        if depth > DEEPEST:
            return [*faults, Fault(file, *where, "is nested too deeply")]
    return faults


def _doubled(file: str, node: yaml.Node | None) -> list[Fault]:
    """Find keys that stand twice, of which the later would win in silence, and keys that are no texts."""
    if not isinstance(node, yaml.CollectionNode):
        return []
    faults: list[Fault] = []
    if isinstance(node, yaml.MappingNode):
        keys = [key for key, _ in node.value]
        counted = Counter(key.value for key in keys if isinstance(key, yaml.ScalarNode))
        for key in keys:
            where = key.start_mark.line + 1, key.start_mark.column + 1
            if not isinstance(key, yaml.ScalarNode):
                faults.append(Fault(file, *where, "a key is not a text"))
            elif counted[key.value] > 1:
                faults.append(Fault(file, *where, f"{key.value} stands here twice"))
    children = [child[1] for child in node.value] if isinstance(node, yaml.MappingNode) else node.value
    return faults + [fault for child in children for fault in _doubled(file, child)]
