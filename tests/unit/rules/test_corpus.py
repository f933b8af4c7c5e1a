"""The reference pack on stories it was not written on: the bars it must hold, and what the corpus is."""

import json

import pytest

from services.rules.pack.files import digest, read_folder
from shared.events import Level
from tests.corpus.generate import TRAINING, TUNING, UNSEEN, cases, streamed
from tests.corpus.measure import REFERENCE, Judged, by_kind, honest, judge, precision, reference, scams, share, unseen


@pytest.fixture(scope="module")
def judged() -> list[Judged]:
    return judge(reference(), unseen())


def test_of_unseen_scams_ninety_five_in_a_hundred_are_alerts(judged: list[Judged]) -> None:
    assert share(scams(judged), Level.ALERT) >= 0.95


def test_no_unseen_scam_type_is_caught_less_than_eighty_five_times_in_a_hundred(judged: list[Judged]) -> None:
    recalls = {kind: share(ones, Level.ALERT) for kind, ones in by_kind(scams(judged)).items()}
    assert len(recalls) == 11
    assert min(recalls.values()) >= 0.85, recalls


def test_of_alerts_nine_in_ten_are_scams_where_three_reports_in_ten_are(judged: list[Judged]) -> None:
    assert precision(judged) >= 0.90


def test_of_a_thousand_honest_transfers_that_a_bank_streams_at_most_three_are_alerts() -> None:
    stream = judge(reference(), streamed(UNSEEN, 5_000))
    assert share(stream, Level.ALERT) <= 0.003


def test_a_high_score_is_nearly_always_right_and_a_low_one_nearly_never_wrong(judged: list[Judged]) -> None:
    high = [one for one in judged if one.score >= 95]
    low = [one for one in judged if one.score <= 5]
    assert len(scams(high)) / len(high) >= 0.97
    assert len(honest(low)) / len(low) >= 0.97


def test_no_author_is_both_learnt_from_and_tested_on() -> None:
    assert not set(UNSEEN) & {*TRAINING, *TUNING}


def test_no_unseen_note_was_learnt_from() -> None:
    learnt = {case.visit.note for case in cases((*TRAINING, *TUNING), noisy=False) if len(case.visit.note) > 5}
    tested = [case.visit.note for case in cases(UNSEEN, noisy=False) if len(case.visit.note) > 5]
    assert sum(note in learnt for note in tested) <= len(tested) // 100


def test_equal_seeds_make_equal_cases() -> None:
    assert cases(UNSEEN, 3) == cases(UNSEEN, 3)
    assert cases(UNSEEN, 3) != cases(UNSEEN, 4)


def test_the_text_model_is_part_of_what_a_packs_hash_stands_for() -> None:
    files = read_folder(REFERENCE)
    model = json.loads(files["text-model.json"])
    other = {**files, "text-model.json": json.dumps({**model, "bias": model["bias"] + 1})}
    assert digest(files) != digest(other)
