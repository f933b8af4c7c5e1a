"""The newest alerts in memory: who reads them misses none and reads none twice."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.notifier.alerting.tail import Frame, Tail, frame, subtrees

NOW = datetime(2026, 11, 22, tzinfo=UTC)
PATHS = ("/SZ/", "/SZ/SZ-LH/", "/SZ/SZ-LH/SZ-LH-CZ/", "/SZ/SZ-LHX/")


def a_frame(position: int, path: str = "/SZ/") -> Frame:
    return frame(position, path, NOW, "{}")


def test_an_alert_is_one_event_whose_id_is_its_position() -> None:
    assert frame(7, "/SZ/", NOW, '{"why": "提到"}').text == 'id: 7\nevent: alert\ndata: {"why": "提到"}\n\n'.encode()


def test_a_unit_is_in_its_own_subtree_and_in_those_above() -> None:
    assert subtrees("/SZ/SZ-LH/SZ-LH-CZ/") == ["/", "/SZ/", "/SZ/SZ-LH/", "/SZ/SZ-LH/SZ-LH-CZ/"]


def test_what_is_forgotten_lies_before_since_and_as_many_as_promised_are_kept() -> None:
    tail = Tail(3)
    tail.begin(10)
    tail.append([a_frame(position) for position in range(12, 18)])
    assert (tail.since, tail.newest) == (10, 17)
    tail.append([a_frame(20)])
    assert (tail.since, tail.newest) == (15, 20)
    assert [one.position for one in tail.after(15, "/SZ/", 9)] == [16, 17, 20]


def test_nothing_new_changes_nothing() -> None:
    tail = Tail(3)
    tail.begin(10)
    tail.append([])
    assert (tail.since, tail.newest) == (10, 10)


@given(
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from(PATHS)), max_size=40),
    st.lists(st.integers(1, 7), max_size=40),
    st.sampled_from(PATHS),
    st.integers(1, 5),
)
def test_a_reader_who_keeps_up_reads_its_subtrees_alerts_once_and_in_order(
    steps: list[tuple[int, str]], sizes: list[int], path: str, most: int
) -> None:
    tail, read, position, posted = Tail(10), [], 0, 0
    frames = []
    for step, where in steps:
        posted += step
        frames.append(a_frame(posted, where))
    todo = list(frames)
    for size in [*sizes, len(frames)]:
        batch, todo = todo[:size], todo[size:]
        tail.append(batch)
        while position >= tail.since and (found := tail.after(position, path, most)):
            assert len(found) <= most
            read += found
            position = found[-1].position
        if position < tail.since:
            return  # a batch larger than what is kept: the database has the rest
        position = max(position, tail.newest)
    assert read == [one for one in frames if one.path.startswith(path)]
