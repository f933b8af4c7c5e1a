"""What changes from one pack to another."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.rules.pack.diff import Difference, differences
from services.rules.pack.files import parse
from tests.unit.rules.builders import COMMON, pack_files

BODY = """
    scam_type: romance
    words:
      money: 钱|款
    phrases:
      hello: {means: 招呼, any: [你好]}
    rules:
      - {id: first, title: 一, when: says.hello, weight: 5, why: 因为}
    tables:
      - id: ages
        title: 年龄
        inputs: [payer.age]
        why: 因为
        rows: [{when: [">= 70"], weight: 4}]
"""
MODEL = {
    "version": "1",
    "types": ["romance"],
    "bias": 0,
    "length": 3,
    "purpose": {"投资": [5, 1]},
    "note": {"转": [5, 1]},
}
ROOT = Path(__file__).parents[3]


def changed(files: dict[str, str], old: str, new: str) -> dict[str, str]:
    """Change one place of a pack."""
    assert sum(text.count(old) for text in files.values()) == 1
    return {name: text.replace(old, new) for name, text in files.items()}


def differing(before: dict[str, str], after: dict[str, str]) -> list[Difference]:
    return differences(parse(before)[0], parse(after)[0])


def with_model(**changes: object) -> dict[str, str]:
    return {**pack_files(BODY), "text-model.json": json.dumps({**MODEL, **changes}, ensure_ascii=False)}


RULE = "title: 一 · when: says.hello · weight: 5 · why: 因为 [romance, 市局]"
TABLE = "title: 年龄 · inputs: ['payer.age'] · why: 因为 · rows: [{'when': ['>= 70'], 'weight': 4}] [romance, 市局]"
CUES = "{'on_phone': '全程通话', 'hurried': '神情慌张'}"
PHRASE = "means: 招呼 · any: ['你好']"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("weight: 5", "weight: 6", Difference("rule", "first", RULE, RULE.replace("5", "6"))),
        (
            "why: 因为}",
            "why: 因为, status: shadow}",
            Difference("rule", "first", RULE, RULE.replace("title: 一", "title: 一 · status: shadow")),
        ),
        ("id: first", "id: second", None),
        ("weight: 4", "weight: 3", Difference("rule", "ages", TABLE, TABLE.replace("4", "3"))),
        ("any: [你好]", "any: [您好]", Difference("phrase", "hello", PHRASE, PHRASE.replace("你", "您"))),
        ("any: [你好]", "denied: no, any: [你好]", Difference("phrase", "hello", PHRASE, f"{PHRASE} · denied: False")),
        ("钱|款", "钱|款|币", Difference("words", "money", "钱|款", "钱|款|币")),
        ("prior: -14", "prior: -15", Difference("common", "prior", "-14", "-15")),
        ("神情慌张", "慌张", Difference("common", "cues", CUES, CUES.replace("神情", ""))),
    ],
)
def test_a_change_is_told_with_what_was_and_what_is(old: str, new: str, expected: Difference | None) -> None:
    before = pack_files(BODY)
    found = differing(before, changed(before, old, new))
    if expected is None:
        expected_both = [Difference("rule", "first", RULE, None), Difference("rule", "second", None, RULE)]
        assert found == expected_both
    else:
        assert found == [expected]


def test_equal_packs_have_no_difference_nor_have_comments_and_the_places_of_rules() -> None:
    before = pack_files(BODY)
    assert differing(before, dict(before)) == []
    assert differing(before, {**before, "rules.yaml": before["rules.yaml"] + "# 说明\n"}) == []
    assert differing(before, {"pack.yaml": before["pack.yaml"], "moved.yaml": before["rules.yaml"]}) == []


def test_what_is_new_has_no_before_and_what_is_gone_no_after() -> None:
    empty, full = pack_files(), pack_files(BODY)
    added, removed = differing(empty, full), differing(full, empty)
    assert [(one.kind, one.name) for one in added] == [
        ("rule", "ages"), ("rule", "first"), ("phrase", "hello"), ("words", "money")
    ]  # fmt: skip
    assert {one.before for one in added} == {None}
    assert [Difference(one.kind, one.name, one.after, one.before) for one in removed] == added


def test_another_scam_type_or_owner_of_a_file_changes_its_rules() -> None:
    before = pack_files(BODY)
    assert [one.name for one in differing(before, changed(before, "scam_type: romance", "scam_type: fake_loan"))] == [
        "ages", "first"
    ]  # fmt: skip
    assert [one.name for one in differing(before, changed(before, "owner: 市局", "owner: 分局"))] == ["ages", "first"]


def test_every_setting_that_is_common_is_compared() -> None:
    after = {
        "pack.yaml": COMMON.replace("name: small", "name: large")
        .replace("alert_from: 60", "alert_from: 61")
        .replace("caution_from: 30", "caution_from: 31")
        .replace("rejudge_within_minutes: 60", "rejudge_within_minutes: 61")
        .replace("confirmed_for_days: 365", "confirmed_for_days: 366")
        .replace("虚假贷款", "贷款")
        .replace("[没有, 不是]", "[没有]")
        .replace("bi|必", "bi")
        .replace("报警。", "拦截。")
    }
    assert [(one.kind, one.name) for one in differing({"pack.yaml": COMMON}, after)] == [
        ("common", name)
        for name in (
            "advice",
            "alert_from",
            "caution_from",
            "confirmed_for_days",
            "denials",
            "name",
            "rejudge_within_minutes",
            "scam_types",
            "variants",
        )
    ]


def test_another_text_model_is_told_by_its_version_and_a_digest_of_its_weights() -> None:
    trained = differing(with_model(), with_model(version="2"))
    assert [(one.kind, one.name) for one in trained] == [("text model", "digest"), ("text model", "version")]
    [weighed] = differing(with_model(), with_model(note={"转": [6, 1]}))
    assert (weighed.kind, weighed.name) == ("text model", "digest")
    assert len(differing(pack_files(BODY), with_model())) == len(differing(with_model(), pack_files(BODY))) == 2
    assert differing(with_model(), {**with_model(), "text-model.json": json.dumps(MODEL, indent=1)}) == []


def test_the_digest_of_a_model_is_the_same_in_every_process() -> None:
    program = """
import json, sys
from services.rules.pack.diff import differences
from services.rules.pack.files import parse
bare, full = (parse(files)[0] for files in json.load(sys.stdin))
print(*differences(bare, full), sep="\\n")
"""
    given = json.dumps([pack_files(BODY), with_model()])
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            input=given,
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
    assert "digest" in said.pop()
