"""What is verified together: as much as memory should hold, in order, and nothing twice."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as some

from services.notifier.money.verifying import pages


@given(some.lists(some.integers(min_value=0, max_value=12)), some.integers(min_value=1, max_value=10))
def test_pages_hold_all_in_order_and_no_more_than_is_wanted_unless_it_is_one(sizes: list[int], most: int) -> None:
    found = list(pages(range(len(sizes)), sizes.__getitem__, most))
    assert [one for page in found for one in page] == list(range(len(sizes)))
    for page in found:
        assert len(page) == 1 or sum(max(1, sizes[one]) for one in page) <= most


@given(some.lists(some.integers(min_value=1, max_value=12), min_size=2), some.integers(min_value=1, max_value=10))
def test_no_page_is_smaller_than_it_must_be(sizes: list[int], most: int) -> None:
    found = list(pages(range(len(sizes)), sizes.__getitem__, most))
    for page, following in pairwise(found):
        assert sum(sizes[one] for one in page) + sizes[following[0]] > most
