"""What an answer to a webhook means, and what can be a webhook at all."""

import pytest

from services.notifier.alerting.channels.outcome import Cause, Dead, Delivered, Outcome, Retry, outcome_of
from services.notifier.alerting.channels.webhook import refuse_useless
from services.notifier.alerting.lane import PACE, Pace, wait_after

SECRET = "whsec_dGhlIHNlY3JldCBvZiBhIHN0YXRpb24="


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Delivered()),
        (204, Delivered()),
        (299, Delivered()),
        (300, Dead("status 300")),
        (301, Dead("status 301")),
        (399, Dead("status 399")),
        (400, Retry("status 400")),
        (401, Retry("status 401")),
        (404, Retry("status 404")),
        (409, Retry("status 409")),
        (410, Dead("status 410")),
        (411, Retry("status 411")),
        (429, Retry("status 429", Cause.PACE)),
        (500, Retry("status 500")),
        (503, Retry("status 503")),
        (599, Retry("status 599")),
        (199, Retry("status 199")),
    ],
)
def test_only_2xx_is_delivered_and_only_410_and_redirects_end_the_tries(status: int, outcome: Outcome) -> None:
    assert outcome_of(status) == outcome


def test_the_wait_doubles_up_to_five_minutes() -> None:
    waits = [wait_after(attempts, PACE) for attempts in range(1, 12)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert wait_after(1_000_000, PACE) == 300


def test_the_first_wait_and_the_longest_are_the_paces() -> None:
    pace = Pace(first_wait=0.5, longest_wait=3)
    assert [wait_after(attempts, pace) for attempts in (1, 2, 3, 4, 5)] == [0.5, 1, 2, 3, 3]


def test_an_address_and_a_secret_that_can_be_used_are_let_through() -> None:
    refuse_useless("https://example.org/alerts", SECRET)
    refuse_useless("http://10.0.0.7:8080", SECRET)


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("", SECRET),
        ("ftp://example.org/alerts", SECRET),
        ("example.org/alerts", SECRET),
        ("http:///alerts", SECRET),
        ("http://[::1/alerts", SECRET),
        ("https://example.org:99999999/", SECRET),
        ("https://user:word@example.org/", SECRET),
        ("https://example.org/a b", SECRET),
        ("https://example.org/alerts\r\nx: y", SECRET),
        ("https://example.org/alerts", ""),
        ("https://example.org/alerts", "whsec_"),
        ("https://example.org/alerts", "whsec_not base64"),
        ("https://example.org/alerts", "whsec_é"),
    ],
)
def test_an_address_that_cannot_be_posted_to_or_a_secret_that_cannot_sign_is_refused(url: str, secret: str) -> None:
    with pytest.raises(ValueError, match="a webhook needs"):
        refuse_useless(url, secret)
