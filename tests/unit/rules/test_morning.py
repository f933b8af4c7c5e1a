"""The reference morning, judged without its history: each visit alone, by what its own report says."""

import json
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
import yaml

from deploy.local.config import REFERENCE
from services.intake.report import Privacy, Report, filed
from services.rules.features import Value, facts
from services.rules.pack.compiled import CompiledPack, Visit
from services.rules.verdict import Verdict
from shared.events import Level
from shared.outbox import new_id
from tests.parts import IDENTITY, NARRATIVE, TOKENS
from tests.unit.rules.builders import NOW

VISITS: Final[list[dict[str, Any]]] = yaml.safe_load((REFERENCE / "morning.yaml").read_text(encoding="utf-8"))["visits"]

NOT_JUDGED_ALONE: Final = {
    4: "the third visit's report, sent again: it is answered with that visit's verdict",
    12: "refused at the door for a wrong check digit: rules never hears of it",
    21: "an ordinary report; what makes it an alert is that its payee was confirmed this morning",
}
NAMED_BY_ANOTHER_VISIT: Final = {
    17: "the talk of credit records was heard at visit 15, of which nothing but the suspicion is known",
    18: "the police found no scam; the verdict names none",
    21: "known from visit 3 only",
    23: "the police found no scam, whatever the verdict took it for",
}


def heard(pack: CompiledPack, visit: dict[str, Any], at: datetime = NOW, **past: Value) -> Verdict:
    """Judge the visit's report as it comes in through the banks' door."""
    body = {**visit["report"], "bank_reference": "R1", "observed_at": at.isoformat()}
    report = Report.model_validate_json(json.dumps(body))
    event = filed(report, new_id(), "ICBC", Privacy(TOKENS, IDENTITY, NARRATIVE), at)
    known = facts(event, {name.replace("_", ".", 1): value for name, value in past.items()})
    return pack.judge(known, Visit(frozenset(event.cues), report.transfer.purpose, report.note, at)).verdict


def alone() -> list[Any]:
    return [
        pytest.param(visit, id=f"{place}-{visit['expect']}")
        for place, visit in enumerate(VISITS)
        if place not in NOT_JUDGED_ALONE
    ]


def of_known_type() -> list[Any]:
    return [
        pytest.param(visit, id=f"{place}-{visit['close']['scam_type']}")
        for place, visit in enumerate(VISITS)
        if "close" in visit and place not in NAMED_BY_ANOTHER_VISIT
    ]


@pytest.mark.parametrize("visit", alone())
def test_a_visit_gets_the_level_that_the_story_expects(reference_pack: CompiledPack, visit: dict[str, Any]) -> None:
    assert heard(reference_pack, visit).level == visit["expect"]


@pytest.mark.parametrize("visit", alone())
def test_a_visit_gets_the_same_level_at_every_hour_that_the_story_is_played(
    reference_pack: CompiledPack, visit: dict[str, Any]
) -> None:
    levels = {hour: heard(reference_pack, visit, NOW + timedelta(hours=hour)).level for hour in range(24)}
    assert set(levels.values()) == {visit["expect"]}, levels


@pytest.mark.parametrize("visit", of_known_type())
def test_an_alert_names_the_scam_that_the_police_later_confirm(
    reference_pack: CompiledPack, visit: dict[str, Any]
) -> None:
    assert heard(reference_pack, visit).scam_type == visit["close"]["scam_type"]


def test_the_visit_of_a_known_payee_is_an_alert_by_that_alone(reference_pack: CompiledPack) -> None:
    visit = VISITS[21]
    assert heard(reference_pack, visit).level is not Level.ALERT
    known = heard(reference_pack, visit, payee_confirmed=True, payee_scam_type=visit["close"]["scam_type"])
    assert (known.level, known.scam_type) == (visit["expect"], "brushing_rebates")


def test_every_suspicion_of_the_morning_tells_the_teller_what_to_ask_say_and_do(reference_pack: CompiledPack) -> None:
    for visit in (visit for place, visit in enumerate(VISITS) if place not in NOT_JUDGED_ALONE):
        verdict = heard(reference_pack, visit)
        if verdict.level is not Level.CLEAR:
            assert verdict.advice.ask
            assert verdict.advice.say
            assert verdict.advice.do
