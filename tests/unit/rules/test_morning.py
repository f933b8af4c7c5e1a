"""The reference morning, judged without its history: each visit alone, by what its own report says."""

import json
from typing import Any, Final

import pytest
import yaml

from deploy.local.config import REFERENCE
from services.intake.report import Privacy, Report, filed
from services.rules.features import Branch, Facts, Payee, Payer, facts
from shared.events import Level
from shared.outbox import new_id
from tests.parts import IDENTITY, NARRATIVE, TOKENS
from tests.service.rules.builders import NOW
from tests.unit.rules.builders import judged

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
}


def heard(visit: dict[str, Any], payee: Payee = Payee()) -> Facts:  # noqa: B008 - frozen
    """What the rules look at when the visit's report comes in through the banks' door."""
    body = {**visit["report"], "bank_reference": "R1", "observed_at": NOW.isoformat()}
    report = Report.model_validate_json(json.dumps(body))
    event = filed(report, new_id(), "ICBC", Privacy(TOKENS, IDENTITY, NARRATIVE), NOW)
    return facts(event, f"{report.transfer.purpose} {report.note}", payee, Payer(), Branch())


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
def test_a_visit_gets_the_level_that_the_story_expects(visit: dict[str, Any]) -> None:
    assert judged(heard(visit)).level == visit["expect"]


@pytest.mark.parametrize("visit", of_known_type())
def test_an_alert_names_the_scam_that_the_police_later_confirm(visit: dict[str, Any]) -> None:
    assert judged(heard(visit)).scam_type == visit["close"]["scam_type"]


def test_the_last_visit_is_an_alert_only_by_what_is_known_of_its_payee() -> None:
    visit = VISITS[21]
    assert judged(heard(visit)).level is Level.CLEAR
    known = judged(heard(visit, Payee(watched=True, watched_scam_type=visit["close"]["scam_type"])))
    assert (known.level, known.scam_type) == (visit["expect"], "brushing_rebates")


def test_every_alert_of_the_morning_tells_the_teller_what_to_ask_say_and_do() -> None:
    for visit in (visit for place, visit in enumerate(VISITS) if place not in NOT_JUDGED_ALONE):
        verdict = judged(heard(visit))
        if verdict.level is not Level.CLEAR:
            assert verdict.advice.ask
            assert verdict.advice.say
            assert verdict.advice.do
