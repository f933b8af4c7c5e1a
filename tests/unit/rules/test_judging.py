"""What a compiled pack makes of a report: which rules speak when, what they say, what shadow rules only record."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from services.rules.conditions import Condition, ConditionKind, Subject
from services.rules.pack.compiled import Visit
from services.rules.verdict import Verdict
from shared.events import Level
from shared.outbox import new_id
from tests.unit.rules.builders import COMMON, NOW, a_visit, dumped, faults_of, judged, pack_of, rule_lines, spoken

CHINA = timezone(timedelta(hours=8))
HURRIED = a_visit("", "", "hurried")


def test_a_rule_that_fits_speaks_and_one_that_does_not_is_silent() -> None:
    pack = pack_of(rule_lines("cue.hurried"), rule_lines("cue.on_phone", id="other-rule"))
    assert spoken(judged(pack, HURRIED)) == {"some-rule"}


def test_facts_that_are_missing_have_their_defaults_and_unknown_ones_are_left_out() -> None:
    pack = pack_of(rule_lines("payer.age == -1 && transfer.channel == 'counter_transfer'"))
    assert spoken(judged(pack)) == {"some-rule"}
    assert spoken(pack.judge({"fact.of_years_ago": 3, "payer.age": 5}, a_visit())) == set()


def test_a_cue_the_pack_does_not_know_is_no_reason_to_fail() -> None:
    assert spoken(judged(pack_of(rule_lines()), a_visit("", "", "hurried", "cue_of_next_year"))) == {"some-rule"}


@pytest.mark.parametrize(
    ("at", "speaks"),
    [
        (datetime(2026, 11, 21, 23, 59, 59, tzinfo=CHINA), False),
        (datetime(2026, 11, 22, 0, 0, tzinfo=CHINA), True),
        (datetime(2026, 11, 21, 16, 0, tzinfo=UTC), True),
        (datetime(2026, 11, 21, 15, 59, 59, tzinfo=UTC), False),
        (datetime(2026, 11, 22, 23, 59, 59, tzinfo=CHINA), True),
        (datetime(2026, 11, 23, 0, 0, tzinfo=CHINA), False),
    ],
)
def test_a_rule_speaks_from_its_first_moment_until_before_its_last_in_its_own_zone(
    at: datetime, *, speaks: bool
) -> None:
    window = {"valid_from": "2026-11-22T00:00:00+08:00", "valid_until": "2026-11-23T00:00:00+08:00"}
    pack = pack_of(rule_lines(**window))
    assert bool(spoken(judged(pack, a_visit("", "", "hurried", at=at)))) is speaks


def test_a_shadow_rule_is_recorded_and_changes_nothing() -> None:
    loud = rule_lines("cue.hurried", id="loud-rule", weight=40, alone=True, scam_type="romance")
    without = judged(pack_of(rule_lines(weight=7)), HURRIED)
    shadowed = judged(
        pack_of(rule_lines(weight=7), {**loud, "when": "cue.hurried || cue.on_phone", "status": "shadow"}), HURRIED
    )
    assert shadowed.verdict == without.verdict
    assert [(one.rule, one.weight) for one in shadowed.shadow] == [("loud-rule", 40)]
    assert without.shadow == ()
    assert without.shadow_verdict is None


def test_the_shadow_verdict_is_what_the_pack_would_say_with_its_shadow_rules() -> None:
    tried = rule_lines("payer.age > 60", id="tried-rule", weight=14, scam_type="romance")
    shadowed = judged(pack_of(rule_lines(weight=7), {**tried, "status": "shadow"}), HURRIED, payer_age=70)
    published = judged(pack_of(rule_lines(weight=7), tried), HURRIED, payer_age=70)
    assert shadowed.shadow_verdict == published.verdict
    assert (shadowed.verdict.level, published.verdict.level) == (Level.CLEAR, Level.ALERT)


def test_a_shadow_rule_that_is_silent_makes_no_shadow_verdict() -> None:
    assert judged(pack_of(rule_lines("cue.on_phone", status="shadow")), HURRIED).shadow_verdict is None


def test_a_shadow_rule_outside_its_window_is_not_recorded() -> None:
    ended = rule_lines(status="shadow", valid_until="2026-11-22T00:00:00+08:00")
    assert judged(pack_of(ended), HURRIED).shadow == ()


def test_a_rule_that_is_off_says_nothing_anywhere_but_is_still_checked() -> None:
    judgement = judged(pack_of(rule_lines(status="off")), HURRIED)
    assert (spoken(judgement), judgement.shadow, judgement.shadow_verdict) == (set(), (), None)
    assert judged(pack_of(rule_lines("1 / payer.age > 0", status="off")), payer_age=0).failed == ()
    assert faults_of({"pack.yaml": COMMON, "rules.yaml": dumped({"rules": [rule_lines("no.such", status="off")]})})


def test_a_rule_without_an_answer_is_named_and_the_others_count() -> None:
    pack = pack_of(
        rule_lines("1 / (payer.age - 40) > 0", id="broken-rule"), rule_lines(), rule_lines("cue.on_phone", id="quiet")
    )
    judgement = judged(pack, HURRIED, payer_age=40)
    assert (spoken(judgement), judgement.failed) == ({"some-rule"}, ("broken-rule",))
    assert judged(pack, HURRIED, payer_age=50).failed == ()


def why(text: str, visit: Visit = HURRIED, **facts: bool | int | str) -> str:
    """What a reason reads like where its rule speaks."""
    phrases = {"threat": {"means": "恐吓", "any": [["公安", "通缉|逮捕"]]}}
    pack = pack_of(rule_lines("cue.hurried || says.threat || payer.age > 0", why=text), phrases=phrases)
    [finding] = judged(pack, visit, **facts).verdict.findings
    return finding.why


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{payer.age}岁", "70岁"),
        ("{transfer.amount_yuan}元", "1,280,000元"),
        ("客户{cue.hurried}", "客户神情慌张"),
        ("个人账户：{payee.personal}，现金：{transfer.cash}", "个人账户：是，现金：否"),
        ("渠道{transfer.channel}", "渠道atm"),
        ("没有括号", "没有括号"),
        ("受人恐吓（{says.threat}）", "受人恐吓"),
        ("受人恐吓（“{says.threat}”）", "受人恐吓"),
    ],
)
def test_a_reason_shows_the_values_that_made_it_fire(text: str, shown: str) -> None:
    facts: dict[str, bool | int | str] = {
        "transfer_amount_yuan": 1_280_000,
        "payee_personal": True,
        "transfer_channel": "atm",
    }
    assert why(text, HURRIED, payer_age=70, **facts) == shown


def test_a_reason_quotes_the_packs_words_and_not_what_stands_between_them() -> None:
    said = a_visit("自称公安的人说李某某被通缉了", "", "hurried")
    assert why("受人恐吓（{says.threat}）", said) == "受人恐吓（公安…通缉）"


def test_a_rule_without_scam_type_owner_or_advice_takes_its_files() -> None:
    pack = pack_of(rule_lines(weight=14), scam_type="romance", rules=[rule_lines(weight=14)])
    assert judged(pack, HURRIED, payer_age=1).verdict.scam_type == "romance"
    assert pack.rules[0].owner == "市局"


def test_a_scam_type_that_was_found_out_is_named() -> None:
    pack = pack_of(rule_lines("payee.confirmed", weight=30, alone=True, scam_type="payee.scam_type"))
    assert judged(pack, payee_confirmed=True, payee_scam_type="romance").verdict.scam_type == "romance"
    assert judged(pack, payee_confirmed=True).verdict.scam_type is None


@pytest.mark.parametrize(
    ("kind", "level"),
    [(ConditionKind.OVERRIDE, Level.CAUTION), (ConditionKind.OVERRIDABLE_BLOCK, Level.ALERT), (None, Level.ALERT)],
)
def test_an_entry_of_a_list_has_the_last_word(kind: ConditionKind | None, level: Level) -> None:
    entry = kind and Condition(new_id(), Subject.PAYEE, kind, None, "举报", "analyst-1", NOW, None)
    pack = pack_of(rule_lines(weight=40, alone=True))
    verdict: Verdict = pack.judge({}, HURRIED, entry or None).verdict
    assert verdict.level is level


def test_equal_files_have_equal_hashes_and_one_changed_letter_another() -> None:
    hashes = [pack_of(rule_lines(title=title)).hash for title in ("甲", "甲", "乙")]
    assert hashes[0] == hashes[1] != hashes[2]
    assert pack_of(rule_lines(title="甲"), common=COMMON + "\n").hash != hashes[0]
