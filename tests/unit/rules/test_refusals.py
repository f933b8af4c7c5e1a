"""A pack with faults is refused: each fault is told with file, line and column, all of them at once."""

import pytest

from services.rules.pack.source import MOST_PHRASE_WORDS, MOST_RULES
from tests.unit.rules.builders import COMMON, HEAD, dumped, faults_of, pack_files, rule_lines, unmarked


def rule(
    when: str = "payer.age > 1", *, weight: str = "5", why: str = "因为", more: str = "", name: str = "some-rule"
) -> str:
    """One rule; `more` is further lines of it."""
    return f"rules:\n  - id: {name}\n    title: 一条\n    when: {when}\n    weight: {weight}\n    why: {why}\n{more}"


FORM = {
    "an unknown field": (rule(more="    wieght: §5\n"), "Extra inputs"),
    "a missing field": (
        "rules:\n  - §id: some-rule\n    title: 一条\n    when: payer.age > 1\n    why: 因为\n",
        "weight",
    ),
    "a weight that is no number": (rule(weight="§heavy"), "valid integer"),
    "a weight past the end of the scale": (rule(weight="§41"), "less than or equal to 40"),
    "an id with capitals": (
        "rules:\n  - id: §Some\n    title: t\n    when: cue.x\n    weight: 1\n    why: w\n",
        "match",
    ),
    "a status there is not": (rule(more="    status: §maybe\n"), "active"),
    "a moment without a zone": (rule(more="    valid_from: §2026-11-22T00:00:00\n"), "timezone"),
    "a moment that never was": (rule(more="    valid_from: §2026-13-45T00:00:00+08:00\n"), "month"),
    "a window that never opens": (
        rule(more="    valid_from: 2026-11-23T00:00:00+08:00\n    valid_until: 2026-11-22T00:00:00+08:00\n").replace(
            "- id", "- §id"
        ),
        "never valid",
    ),
    "keys that stand twice": (rule(more="    §title: 又\n").replace("    title", "    §title"), "twice"),
    "an alias": ("words: {some: &all 甲|乙, more: §*all}\n", "alias"),
    "a tag": ("words: {some: §!!python/object:os.system 甲}\n", "tag"),
    "a key that is a list": ("words: {§[1]: 甲}\n", "not a text"),
    "no YAML at all": ("rules:\n  - id: [\n§", "YAML"),
    "a tab for a space": ("rules:\n§\t- id: a\n", "YAML"),
    "too deep a nesting": ("words: " + "[" * 19 + "§" + "[" * 90_000, "deeply"),
    "two documents": ("words: {}\n§---\nwords: {}\n", "YAML"),
    "a row without cells": (
        "tables:\n  - {id: ab, title: t, inputs: [payer.age], rows: §[{when: §[], weight: 1}]}\n",
        "1 item",
    ),
}
"""What is wrong, where (at the mark), and words of the message."""

CONTENT = {
    "an unknown name": (rule("payer.age > 1 && §payee.agee > 2"), "unknown name payee.agee"),
    "an unknown name after Chinese": (rule("transfer.channel == '柜台' && §payee.agee > 2"), "unknown name"),
    "an unknown name in double quotes": (rule('"transfer.channel == \\"柜\\" && §payee.agee > 2"'), "unknown name"),
    "an unknown name after a line break in quotes": (rule('"payer.age > 1 &&\\n  §payee.agee > 2"'), "unknown name"),
    "an unknown name in single quotes": (rule("'transfer.channel == ''柜'' && §payee.agee > 2'"), "unknown name"),
    "an unknown name at the start of quotes": (rule('"§payee.agee > 2"'), "unknown name"),
    "an unknown name in a block": (rule("|\n      payer.age > 1\n      && §payee.agee > 2"), "unknown name"),
    "an unknown name in a folded block": (rule(">-\n      payer.age > 1\n      && §payee.agee > 2"), "unknown name"),
    "an unknown name in a plain text that goes on": (rule("payer.age > 1\n      && §payee.agee > 2"), "unknown name"),
    "an unknown name in quotes that go on": (rule('"payer.age > 1\n\n      && §payee.agee > 2"'), "unknown name"),
    "an unknown phrase": (rule("§says.steered"), "unknown name says.steered"),
    "an unknown cue": (rule("§cue.on_fone"), "unknown name cue.on_fone"),
    "a number compared with a text": (rule("payer.age §> 'x'"), "no matching overload"),
    "a condition that is a number": (rule("§payer.age"), "not bool"),
    "a condition that is always the same": (rule("§1 < 2"), "always the same"),
    "an empty condition": (rule("'§'"), "empty"),
    "a broken condition": (rule("(payer.age > 1§"), "Syntax error"),
    "a function that is not offered": (rule("payer.age > 1 && §transfer.channel.matches('a+')"), "not offered"),
    "a loop inside a loop": (rule("'[1].all(x, [2].§all(y, payer.age > x + y))'"), "loop"),
    "a range that nothing fits": (rule("§payer.age > 70 && payer.age < 60"), "payer.age"),
    "a thing and its opposite": (rule("§cue.hurried && payer.age > 1 && !cue.hurried"), "cue.hurried"),
    "a weight of nothing": (rule(weight="§0"), "says nothing"),
    "an alert alone": (rule(weight="§30"), "alert alone"),
    "an unknown scam type": (rule(more="    scam_type: §romanze\n"), "unknown scam type romanze"),
    "an unknown value in a reason": (rule(why="客户{payer.age}岁，§{payer.aga}"), "unknown name {payer.aga}"),
    "no reason": (rule(why='""').replace("- id", "- §id"), "no reason"),
    "an unknown set of words": (
        'phrases:\n  some_phrase: {means: m, any: ["甲|§{wrds}"]}\n',
        "unknown words {wrds}",
    ),
    "an unknown set of words in a chain": (
        'phrases:\n  some_phrase: {means: m, any: [[甲, "乙|§{wrds}"]]}\n',
        "unknown words {wrds}",
    ),
    "an empty word": ("phrases:\n  some_phrase: {means: m, any: [丙, §甲||乙]}\n", "empty word"),
    "a word of symbols only": ("phrases:\n  some_phrase: {means: m, any: [丙, §甲|！]}\n", "empty word"),
    "a word that is a novel": ("phrases:\n  some_phrase: {means: m, any: [丙|§" + "甲" * 61 + "]}\n", "too long"),
    "words made of words": ('words: {aa: 甲, bb: "乙|§{aa}"}\n', "other words"),
    "too few cells": (
        (
            "tables:\n  - id: ab\n    title: t\n    why: w\n    inputs: [payer.age, cue.hurried]\n    rows:\n"
            "      - §{when: [1], weight: 1}\n"
        ),
        "1 cells for 2 inputs",
    ),
    "a cell of another type": (
        (
            "tables:\n  - id: ab\n    title: t\n    why: w\n    inputs: [cue.hurried, payer.age]\n    rows:\n"
            "      - {when: [true, §true], weight: 1}\n      - {when: [true, 5..9], weight: 1}\n"
        ),
        "read as: payer.age",
    ),
    "an input there is not": (
        (
            "tables:\n  - id: ab\n    title: t\n    why: w\n    inputs: [cue.hurried, §payer.aeg]\n    rows:\n"
            "      - {when: [true, 1], weight: 1}\n"
        ),
        "unknown name payer.aeg",
    ),
    "a range that runs backwards": (
        (
            "tables:\n  - id: ab\n    title: t\n    why: w\n    inputs: [payer.age]\n    rows:\n"
            "      - {when: [§9..5], weight: 1}\n"
        ),
        "contradicts itself",
    ),
    "a row that says no reason": (
        "tables:\n  - §id: ab\n    title: t\n    inputs: [payer.age]\n    rows: [{when: [1], weight: 1}]\n",
        "no reason",
    ),
}
COMMONS = {
    "an alert below a caution": (f"§{COMMON}".replace("alert_from: 60", "alert_from: 20"), "caution_from"),
    "advice that is missing": (f"§{COMMON}".replace("  caution: {ask", "  # caution: {ask"), "advice is missing"),
    "an empty denial": (COMMON.replace("[没有", "[没有, §'！'"), "deny everything"),
    "an empty variant": (COMMON.replace("bi|必", "§bi|"), "variants"),
    "a variant of two characters": (COMMON.replace("币: bi", "货币: §bi"), "variants"),
}


@pytest.mark.parametrize(("body", "message"), [*FORM.values(), *CONTENT.values()], ids=[*FORM, *CONTENT])
def test_a_fault_is_told_with_its_place(body: str, message: str) -> None:
    files, places = unmarked({"pack.yaml": COMMON, "rules.yaml": HEAD + body})
    faults = faults_of(files)
    assert {(fault.file, fault.line, fault.column) for fault in faults} == places
    assert all(message in fault.message for fault in faults), faults


@pytest.mark.parametrize(("common", "message"), COMMONS.values(), ids=COMMONS)
def test_a_fault_of_the_common_file_is_told_with_its_place(common: str, message: str) -> None:
    files, places = unmarked({"pack.yaml": common})
    faults = faults_of(files)
    assert {(fault.file, fault.line, fault.column) for fault in faults} == places
    assert all(message in fault.message for fault in faults), faults


@pytest.mark.parametrize(
    ("when", "hint"),
    [
        ("payee.agee > 2", "did you mean payer.age?"),
        ("cue.hurid", "did you mean cue.hurried?"),
        ("xyzzy", "`lanjie rules names`"),
        ("transfer.channel.matches('x')", "says.<phrase>"),
        ("payer.age", "compare it"),
    ],
)
def test_a_fault_hints_at_what_was_meant(when: str, hint: str) -> None:
    [fault] = faults_of(pack_files(rule(when)))
    assert hint in fault.hint
    assert str(fault).startswith("rules.yaml:6:")
    assert hint in str(fault)


def test_all_faults_of_all_files_are_told_at_once() -> None:
    files, places = unmarked(
        pack_files(
            rule("§payer.agee > 1", weight="§0", why="'§{no.such}'") + "    scam_type: §other_type\n",
            more=rule("§1 < 2", name="another", weight="§40"),
        )
    )
    assert {(fault.file, fault.line, fault.column) for fault in faults_of(files)} == places


def test_all_faults_of_form_are_told_at_once() -> None:
    files, places = unmarked(pack_files(rule(weight="§heavy", more="    status: §maybe\n"), more=rule(weight="§50")))
    assert {(fault.file, fault.line, fault.column) for fault in faults_of(files)} == places


@pytest.mark.parametrize("second", [rule("payer.age > 2"), rule("no.such")])
def test_one_id_in_two_files_is_refused_in_both_even_if_one_is_broken_anyway(second: str) -> None:
    faults = faults_of(pack_files(rule(), more=second))
    doubled = {(fault.file, fault.line, fault.column) for fault in faults if "more than once" in fault.message}
    assert doubled == {("rules.yaml", 4, 9), ("more.yaml", 4, 9)}


def test_the_same_condition_twice_counts_evidence_twice_and_is_refused() -> None:
    files, places = unmarked(pack_files(rule(), z=rule("§payer.age>1 // the same", name="another")))
    [fault] = faults_of(files)
    assert {(fault.file, fault.line, fault.column)} == places
    assert "another has the same condition as some-rule" in fault.message


def test_a_shadow_rule_may_try_the_condition_of_an_active_one() -> None:
    assert not faults_of(pack_files(rule(), z=rule(name="another", more="    status: shadow\n")))


@pytest.mark.parametrize("kind", ["phrases:\n  same_name: {means: m, any: [甲]}\n", "words:\n  same_name: 甲\n"])
def test_a_name_given_in_two_files_is_refused(kind: str) -> None:
    [fault] = faults_of(pack_files(kind, z=kind))
    assert (fault.file, fault.line) == ("z.yaml", 4)
    assert "another file" in fault.message


def test_an_alert_alone_is_accepted_where_it_is_meant() -> None:
    assert not faults_of(pack_files(rule(weight="30", more="    alone: true\n")))


def test_a_pack_without_its_common_file_is_refused() -> None:
    [fault] = faults_of({"rules.yaml": HEAD})
    assert (fault.file, fault.message) == ("pack.yaml", "is missing")


DEAR = {
    "rules": {"rules": [rule_lines(f"payer.age > {at}", id=f"rule-{at}") for at in range(MOST_RULES + 1)]},
    "characters": {"rules": [rule_lines("payer.age > 1" + " " * 1_000)]},
    "parts": {"rules": [rule_lines("payer.age in [" + "1," * 124 + "1]")]},
    "parts of all conditions": {
        "rules": [rule_lines(f"payer.age in [{'1,' * 110}{at}]", id=f"rule-{at}") for at in range(140)]
    },
    "words": {"phrases": {"some_phrase": {"means": "m", "any": ["|".join(map(str, range(MOST_PHRASE_WORDS + 1)))]}}},
    "words spelt out": {
        "words": {"many": "|".join(map(str, range(2_000)))},
        "phrases": {"some_phrase": {"means": "m", "any": ["{many}"] * 2_000}},
    },
    "phrases": {"phrases": {f"phrase_{at}": {"means": "m", "any": ["甲"]} for at in range(2_001)}},
}


@pytest.mark.parametrize("body", DEAR.values(), ids=DEAR)
def test_a_pack_that_costs_too_much_is_refused(body: dict[str, object]) -> None:
    faults = faults_of({"pack.yaml": COMMON, "rules.yaml": dumped(body)})
    assert faults
    assert all("costs too much" in fault.message for fault in faults)


def test_variants_that_multiply_words_beyond_measure_are_refused() -> None:
    many = "|".join(f"b{at}" for at in range(500))
    words = "|".join("币" * 50 + str(at) for at in range(100))
    files = pack_files(f"phrases:\n  some_phrase: {{means: m, any: [{words}]}}\n", COMMON.replace("bi|必", many))
    [fault] = faults_of(files)
    assert (fault.file, "costs too much" in fault.message) == ("pack.yaml", True)


def test_a_pack_of_gigabytes_is_not_looked_at() -> None:
    [fault] = faults_of(pack_files("#" * 4_000_001))
    assert "larger" in fault.message
