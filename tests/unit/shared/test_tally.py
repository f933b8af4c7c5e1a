"""Tallies: windows that are ranges of ids, rounds that cover the past, gaps that are given up."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from shared.events import Tallied, Tally
from shared.outbox import new_id
from shared.tally import GIVE_UP_AFTER, WIDTH, Count, Gaps, Stretch, first_id, stretches, tally

NOON = datetime(2026, 11, 22, 12, 0, 7, tzinfo=UTC)
STRETCH = Stretch(NOON, NOON + 3 * WIDTH)


def said(*counts: Count) -> Tally:
    return tally(Tallied.REPORTS, STRETCH, counts)


def test_an_id_is_in_the_window_it_was_minted_in() -> None:
    before, minted, after = datetime.now(UTC), new_id(), datetime.now(UTC)
    assert first_id(before) <= minted < first_id(after + timedelta(milliseconds=1))


def test_windows_meet_and_the_last_may_be_shorter() -> None:
    windows = Stretch(NOON, NOON + timedelta(seconds=25)).windows()
    assert windows.places == [0, 1, 2]
    assert windows.firsts[1:] == windows.lasts[:-1]
    assert windows.firsts[0] == first_id(NOON)
    assert windows.lasts[-1] == first_id(NOON + timedelta(seconds=25))


def test_a_round_begins_its_windows_where_the_round_before_did() -> None:
    for seconds in range(30):
        [recent, *_] = stretches(NOON + timedelta(seconds=seconds), 0, 2, 12)
        assert recent.begins.timestamp() % WIDTH.total_seconds() == 0
        assert recent.ends == NOON + timedelta(seconds=seconds)


def test_all_the_hours_are_looked_at_once_in_so_many_rounds_and_none_twice() -> None:
    older = [one for number in range(12) for one in list(stretches(NOON, number, 48, 12))[1:]]
    [recent] = list(stretches(NOON, 0, 0, 12))
    spans = sorted((one.begins, one.ends) for one in older)
    assert spans[-1][1] == recent.begins
    assert all(ended == begun for (_, ended), (begun, _) in pairwise(spans))
    assert recent.begins - spans[0][0] >= timedelta(hours=47)


def test_a_tally_leaves_out_empty_windows_and_they_are_compared_all_the_same() -> None:
    told = said(Count(1, 2, 99))
    assert told.places == (1,)
    gaps = Gaps()
    [gap] = gaps.compare(told, [Count(0, 3, 5), Count(1, 2, 99)])
    assert (gap.begins, gap.mine.number, gap.theirs.number, gap.missing) == (NOON, 3, 0, 3)
    assert gaps.missing()[Tallied.REPORTS] == 3


def test_a_window_that_agrees_again_is_no_gap_any_more() -> None:
    gaps = Gaps()
    gaps.compare(said(), [Count(0, 3, 5)])
    assert gaps.compare(said(Count(0, 3, 5)), [Count(0, 3, 5)]) == []
    assert gaps.missing()[Tallied.REPORTS] == 0


def test_equal_numbers_of_different_things_differ() -> None:
    gaps = Gaps()
    [gap] = gaps.compare(said(Count(0, 3, 6)), [Count(0, 3, 5)])
    assert gap.missing == 1


def test_a_window_is_left_in_peace_while_it_changes() -> None:
    gaps = Gaps()
    assert gaps.compare(said(Count(0, 3, 6)), [Count(0, 3, 5, rests=False)]) == []
    assert gaps.missing()[Tallied.REPORTS] == 0


def test_a_gap_is_given_up_after_so_many_tries_and_tried_anew_once_it_is_another() -> None:
    gaps = Gaps()
    for number in range(GIVE_UP_AFTER):
        found = gaps.compare(said(), [Count(0, 3, 5)])
        assert [gap.tries for gap in found] == [number]
        given_up = gaps.tried(found)
    assert len(given_up) == 1
    [gap] = gaps.compare(said(), [Count(0, 3, 5)])
    assert gap.given_up
    [gap] = gaps.compare(said(Count(0, 1, 9)), [Count(0, 3, 5)])
    assert not gap.given_up


def test_a_gap_is_given_up_though_each_round_begins_later() -> None:
    gaps = Gaps()
    for number in range(GIVE_UP_AFTER):
        stretch = Stretch(NOON + number * WIDTH, NOON + 6 * WIDTH)
        place = 5 - number
        [gap] = gaps.compare(tally(Tallied.REPORTS, stretch, [Count(place, 2, 9)]), [Count(place, 3, 5)])
        assert gap.tries == number
        given_up = gaps.tried([gap])
    assert len(given_up) == 1


def test_a_tally_that_names_windows_it_has_not_does_no_harm() -> None:
    gaps = Gaps()
    odd = said(Count(2, 1, 1)).model_copy(update={"places": (7,)})
    assert gaps.compare(odd, []) == []


def test_gaps_that_nobody_looks_at_any_more_are_forgotten() -> None:
    gaps = Gaps()
    gaps.compare(said(), [Count(0, 3, 5), Count(1, 1, 1)])
    gaps.forget_before(NOON + WIDTH)
    assert [key for _, key in gaps.open] == [NOON + WIDTH]
