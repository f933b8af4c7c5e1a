"""The pack that comes with lanjie: whole, owned, explained, and at one with the reference vocabulary."""

import re
from typing import Any, Final

import pytest
import yaml

from deploy.local.config import REFERENCE
from services.rules.features import FEATURES
from services.rules.pack.compiled import CompiledPack, Rule, Shown
from services.rules.pack.source import Status
from shared.events import Level
from tests.unit.rules.builders import a_visit, judged, spoken

VOCABULARY: Final[dict[str, Any]] = yaml.safe_load((REFERENCE / "vocabulary.yaml").read_text(encoding="utf-8"))
CHINESE: Final = re.compile("[一-鿿]{2}")


def active(pack: CompiledPack) -> list[Rule]:
    """Return the rules that count."""
    return [rule for rule in pack.rules if rule.said.status is Status.ACTIVE]


def test_there_are_at_least_sixty_rules_in_force(reference_pack: CompiledPack) -> None:
    assert len(active(reference_pack)) >= 60


def test_every_scam_type_is_named_by_a_rule(reference_pack: CompiledPack) -> None:
    named = {rule.scam_type for rule in active(reference_pack) if rule.weight > 0}
    assert named >= reference_pack.common.scam_types.keys()


def test_every_rule_has_a_title_a_reason_in_chinese_and_an_owner(reference_pack: CompiledPack) -> None:
    for rule in reference_pack.rules:
        said = "".join(part for part in rule.why if isinstance(part, str))
        assert CHINESE.search(said), rule.id
        assert CHINESE.search(rule.said.title), rule.id
        assert rule.owner, rule.id


def test_what_is_advised_and_meant_is_chinese(reference_pack: CompiledPack) -> None:
    advised = [rule.advice for rule in reference_pack.rules] + list(reference_pack.scale.advice.values())
    lines = [line for advice in advised for line in (*advice.ask, *advice.say, *advice.do)]
    assert lines
    assert all(CHINESE.search(line) for line in lines)
    assert all(CHINESE.search(phrase.means) for phrase in reference_pack.lexicon.phrases.values())


@pytest.mark.parametrize("kind", ["cues", "scam_types"])
def test_cues_and_scam_types_are_those_of_the_vocabulary(reference_pack: CompiledPack, kind: str) -> None:
    written = {entry["code"]: entry["name"] for entry in VOCABULARY[kind]}
    assert getattr(reference_pack.common, kind) == written


def test_every_cue_a_teller_can_tick_is_looked_at_by_a_rule(reference_pack: CompiledPack) -> None:
    used = {name for rule in active(reference_pack) for name in rule.condition.names}
    assert used >= {f"cue.{cue}" for cue in reference_pack.common.cues}


def test_every_phrase_is_used_by_a_rule(reference_pack: CompiledPack) -> None:
    used = {name for rule in reference_pack.rules for name in rule.condition.names}
    assert used >= {f"says.{name}" for name in reference_pack.lexicon.phrases}


def test_no_rule_reaches_an_alert_alone_unless_it_says_so(reference_pack: CompiledPack) -> None:
    scale = reference_pack.scale
    for rule in reference_pack.rules:
        reaches = scale.level(scale.score(rule.weight)) is Level.ALERT
        assert not reaches or rule.alone, rule.id


def test_nothing_known_is_no_suspicion(reference_pack: CompiledPack) -> None:
    judgement = judged(reference_pack)
    assert judgement.verdict.level is Level.CLEAR
    assert judgement.failed == ()


def test_no_ticked_cue_is_an_alert_alone(reference_pack: CompiledPack) -> None:
    for cue in reference_pack.common.cues:
        judgement = judged(reference_pack, a_visit("", "", cue))
        assert judgement.verdict.level is not Level.ALERT, cue


def test_all_cues_together_are_an_alert_without_a_failing_rule(reference_pack: CompiledPack) -> None:
    judgement = judged(reference_pack, a_visit("", "", *reference_pack.common.cues), payee_personal=True)
    assert judgement.verdict.level is Level.ALERT
    assert judgement.failed == ()


@pytest.mark.parametrize("extreme", [10**15, -1])
def test_no_rule_fails_at_the_ends_of_the_scale(reference_pack: CompiledPack, extreme: int) -> None:
    facts = {name: extreme for name, one in FEATURES.items() if type(one.default) is int}
    assert reference_pack.judge(facts, a_visit()).failed == ()


def test_a_payee_the_police_confirmed_is_an_alert_of_the_type_they_found(reference_pack: CompiledPack) -> None:
    verdict = judged(reference_pack, payee_confirmed=True, payee_scam_type="romance", payee_personal=True).verdict
    assert (verdict.level, verdict.scam_type) == (Level.ALERT, "romance")


def test_a_reason_shows_no_name_of_a_value_and_no_empty_quote(reference_pack: CompiledPack) -> None:
    visit = a_visit("客服说转到安全账户，要保密，没挂电话", "投资款", *reference_pack.common.cues)
    judgement = judged(reference_pack, visit, payee_personal=True, payer_age=70, transfer_amount_yuan=500_000)
    assert len(spoken(judgement)) > 10
    for finding in judgement.verdict.findings:
        assert not re.search(r"[{}]|（）|“”|False|True|says\.|cue\.", finding.why), finding


def test_a_scam_type_that_is_found_out_is_named_by_a_name_that_has_one(reference_pack: CompiledPack) -> None:
    shown = {rule.scam_type.name for rule in reference_pack.rules if isinstance(rule.scam_type, Shown)}
    assert shown <= {"payee.scam_type", "text.scam_type"}
    assert all(reference_pack.names[name] == "" for name in shown)
