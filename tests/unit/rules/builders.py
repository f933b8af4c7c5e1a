"""Small packs, the visits they judge, and the faults they have."""

import textwrap
from datetime import UTC, datetime
from typing import Any, Final

import yaml

from services.rules.features import Value
from services.rules.pack.compiled import CompiledPack, Judgement, Visit
from services.rules.pack.compiling import compile_pack
from services.rules.pack.files import Fault, PackRefusedError

NOW: Final = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
COMMON: Final = """\
name: small
prior: -14
alert_from: 60
caution_from: 30
rejudge_within_minutes: 60
confirmed_for_days: 365
cues: {on_phone: 全程通话, hurried: 神情慌张}
scam_types: {romance: 网络交友, fake_loan: 虚假贷款}
denials: [没有, 不是]
variants: {币: bi|必}
advice:
  clear: {do: [照常办理。]}
  caution: {ask: [问一句。], do: [核实。]}
  alert: {ask: [问一句。], say: [请等一等。], do: [报警。]}
"""
HEAD: Final = "title: 试验\nowner: 市局\n"
MARK: Final = "§"
"""Stands in a test's file where its fault is expected."""


def pack_files(body: str = "", common: str = COMMON, **others: str) -> dict[str, str]:
    """Return a pack of `pack.yaml`, `rules.yaml` with the body, and other bodies by file name."""
    bodies = {"rules": body, **others}
    return {"pack.yaml": common} | {f"{name}.yaml": HEAD + textwrap.dedent(text) for name, text in bodies.items()}


def rule_lines(when: str = "cue.hurried", **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return one rule as it may stand in a file."""
    return {"id": "some-rule", "title": "一条", "when": when, "weight": 5, "why": "因为", **fields}


def pack_of(*rules: dict[str, Any], common: str = COMMON, **fields: Any) -> CompiledPack:  # noqa: ANN401
    """Compile a pack of one file with rules and whatever else the file holds."""
    return compile_pack({"pack.yaml": common, "rules.yaml": dumped({"rules": list(rules), **fields})})


def dumped(fields: dict[str, Any]) -> str:
    """Write a file of a pack."""
    return yaml.safe_dump({"title": "试验", "owner": "市局", **fields}, allow_unicode=True, sort_keys=False)


def faults_of(files: dict[str, str]) -> list[Fault]:
    """Return what is wrong with a pack; nothing where it compiles."""
    try:
        compile_pack(files)
    except PackRefusedError as error:
        return error.faults
    return []


def unmarked(files: dict[str, str]) -> tuple[dict[str, str], set[tuple[str, int, int]]]:
    """Take the marks out of a pack's files; return the files, and file, line and column of each mark."""
    clean, places = {}, set()
    for name, text in files.items():
        while_marked = text
        while (at := while_marked.find(MARK)) >= 0:
            places.add((name, while_marked.count("\n", 0, at) + 1, at - while_marked.rfind("\n", 0, at)))
            while_marked = while_marked.replace(MARK, "", 1)
        clean[name] = while_marked
    return clean, places


def a_visit(note: str = "", purpose: str = "", *cues: str, at: datetime = NOW) -> Visit:
    """Return a visit as reported."""
    return Visit(frozenset(cues), purpose, note, at)


def judged(pack: CompiledPack, visit: Visit | None = None, **facts: Value) -> Judgement:
    """Judge a visit; `payer_age=70` is the fact `payer.age`."""
    return pack.judge({name.replace("_", ".", 1): value for name, value in facts.items()}, visit or a_visit())


def spoken(judgement: Judgement) -> set[str]:
    """Return the rules that spoke."""
    return {finding.rule for finding in judgement.verdict.findings}
