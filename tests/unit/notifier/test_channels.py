"""Decisions around a call: whom it may go to, what an answer asks for, how a target fares."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from services.notifier.alerting.channels.destination import CheckedBackend, DestinationRefusedError, is_public
from services.notifier.alerting.channels.limits import AHEAD, PUBLISHED, Channel
from services.notifier.alerting.channels.mail import server
from services.notifier.alerting.channels.message import ALERT
from services.notifier.alerting.channels.outcome import Cause, Dead, Delivered, Outcome, Retry, outcome_of, wait_of
from services.notifier.alerting.channels.smpp import centre_of
from services.notifier.alerting.channels.wires import ChannelSettings
from services.notifier.alerting.delivery_store import Due, Health, Settlement
from services.notifier.alerting.lane import LANES, LOW, PACE, Lane, Tried, health, most_targets, settlement
from services.notifier.alerting.targets import refuse_wrong, shown
from shared.outbox import new_id

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
DUE = Due(
    id=new_id(),
    message_id=new_id(),
    target_id=new_id(),
    type=ALERT,
    attempts=1,
    facts={},
    created_at=NOW,
    channel=Channel.WEBHOOK,
    owner="unit",
    address="",
    sealed_secret=None,
    removed=False,
    probe=False,
)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::8.8.8.8", "2002:808:808::1"])
def test_a_public_address_may_be_called(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.7", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),  # noqa: S104
        *("224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1"),
        *("::ffff:10.0.0.7", "::ffff:127.0.0.1", "64:ff9b::a00:7", "2002:a00:7::1", "64:ff9b::169.254.169.254"),
        *("fec0::1", "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b:1::7f00:1", "5f00::1"),
    ],
)
def test_a_private_address_may_not_however_it_is_wrapped(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "::1"])
async def test_a_private_host_is_refused_in_every_spelling(host: str) -> None:
    with pytest.raises(DestinationRefusedError):
        await CheckedBackend(frozenset({"10.0.0.7"})).addresses(host, 80)


async def test_a_private_host_is_let_through_by_its_name_or_its_address() -> None:
    assert await CheckedBackend(frozenset({"localhost"})).addresses("LOCALHOST", 80)
    assert await CheckedBackend(frozenset({"127.0.0.1"})).addresses("127.0.0.1", 80) == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("7", 7),
        ("0", 1),
        ("86400", 600),
        ("9" * 400, 600),
        ("", None),
        ("-1", None),
        ("１", None),
        ("Fri, 1 Jan", None),
    ],
)
def test_a_receivers_wish_to_be_left_alone_is_honoured_within_bounds(asked: str, seconds: float | None) -> None:
    assert wait_of(asked) == seconds
    assert outcome_of(503, asked) == Retry("status 503", Cause.STATUS, seconds)


def tried(*outcomes: Outcome, probe: bool = False) -> list[Tried]:
    return [Tried((dataclasses.replace(DUE, probe=probe),), outcome, NOW) for outcome in outcomes]


OK, BAD, GONE, LATER = Delivered(), Retry("status 500"), Dead("status 410"), Retry("status 429", Cause.PACE, 7.0)


@pytest.mark.parametrize(
    ("outcomes", "worked", "failed", "pause"),
    [
        ((OK,), True, 0, 0),
        ((BAD, BAD), False, 2, 0),
        ((BAD, OK, BAD), True, 1, 0),
        ((BAD, GONE), True, 0, 0),
        ((LATER,), False, 0, 7.0),
        ((OK, LATER, BAD), True, 1, 7.0),
    ],
)
def test_a_target_fares_as_its_last_calls_went(
    outcomes: tuple[Outcome, ...],
    worked: bool,  # noqa: FBT001 - a column of the table above
    failed: int,
    pause: float,
) -> None:
    expected = Health(DUE.target_id, worked, failed, probe=False, pause_seconds=pause)
    assert health(tried(*outcomes)) == [expected]
    assert [one.probe for one in health(tried(*outcomes, probe=True))] == [True]


def test_a_delivery_waits_as_long_as_it_is_asked_to_and_not_for_ever() -> None:
    [late] = tried(LATER)
    assert settlement(DUE, late, PACE) == Settlement(DUE.id, "pending", "status 429", 7.0)
    old = dataclasses.replace(DUE, created_at=NOW - timedelta(hours=24, seconds=1))
    assert settlement(old, late, PACE) == Settlement(DUE.id, "dead", "gave up after 1 day, 0:00:00: status 429")
    assert settlement(old, tried(OK)[0], PACE) == Settlement(DUE.id, "delivered")


def test_a_lane_sends_a_webhook_one_at_a_time_and_the_rest_together() -> None:
    hook, robot = Lane(PUBLISHED[Channel.WEBHOOK]), Lane(PUBLISHED[Channel.WECOM])
    for lane in (hook, robot):
        lane.store.extend([DUE] * 20)
    assert (len(hook.next()), len(robot.next())) == (1, 20)
    hook.in_flight = 8
    assert hook.next() == ()
    hook.in_flight, hook.failing = 0, True
    assert hook.next() == (), "until it is known whether the target rests"


def test_lanes_that_want_nothing_keep_none_that_want_more_from_taking_it() -> None:
    assert most_targets({}) == LANES
    assert most_targets({new_id(): 0 for _ in range(LANES + 100)}) == 0
    assert most_targets({new_id(): 0 for _ in range(LANES + 100)} | {new_id(): 24 for _ in range(7)}) == 7


def test_a_webhooks_lane_takes_more_when_it_runs_low_and_a_robots_when_it_is_done() -> None:
    hook, robot = Lane(PUBLISHED[Channel.WEBHOOK]), Lane(PUBLISHED[Channel.WECOM])
    assert (hook.room, robot.room) == (AHEAD, 0)
    hook.store.extend([DUE] * LOW)
    assert hook.room == AHEAD - LOW
    hook.store.append(DUE)
    assert hook.room == 0


@pytest.mark.parametrize(
    ("channel", "address", "said"),
    [
        (Channel.WEBHOOK, "https://hook.example:8443/x?key=secret", "hook.example:8443"),
        (Channel.WECOM, "https://qyapi.example/cgi-bin/send?key=secret", "qyapi.example"),
        (Channel.MAIL, "duty@sz.example", "d***@sz.example"),
        (Channel.SMS, "+8613900000002", "****0002"),
    ],
)
def test_an_address_is_shown_without_what_is_secret_in_it(channel: Channel, address: str, said: str) -> None:
    assert shown(channel, address) == said


@pytest.mark.parametrize(
    ("channel", "address", "secret"),
    [
        (Channel.WEBHOOK, "https://hook.example/", None),
        (Channel.WECOM, "ftp://qyapi.example/", None),
        (Channel.WECOM, "https://qyapi.example/", "SEC"),
        (Channel.MAIL, "duty", None),
        (Channel.MAIL, "a@b.example\r\nBcc: c@d.example", None),
        (Channel.MAIL, "a@b.example, c@d.example", None),
        (Channel.SMS, "139 0000 0002", None),
        (Channel.SMPP, "１３９００００００００２", None),
        (Channel.SMS, "13900000002\n", None),
    ],
)
def test_an_address_that_nothing_could_be_sent_to_is_refused(
    channel: Channel, address: str, secret: str | None
) -> None:
    with pytest.raises(ValueError, match=r"needs|is|knows"):
        refuse_wrong(channel, address, secret)


def test_settings_of_mail_and_of_the_sms_centre_are_read_from_urls() -> None:
    found = server("smtp://us%40er:p%2Fw@mail.example?starttls=1")
    assert (found["port"], found["username"], found["password"]) == (25, "us@er", "p/w")
    assert (found["use_tls"], found["start_tls"]) == (False, True)
    assert server("smtps://mail.example")["use_tls"]
    assert server("smtp://mail.example")["start_tls"] is False
    assert centre_of("smpp://a:b@smsc.example/10690").port == 2775
    for url in ("mail.example", "http://mail.example"):
        with pytest.raises(ValueError, match="_URL is"):
            server(url)
        with pytest.raises(ValueError, match="_URL is"):
            centre_of(url)


def test_what_is_allowed_by_name_is_a_list_and_our_own_gateway() -> None:
    told = ChannelSettings(allowed_private_hosts=" A.example, 10.0.0.7,", sms_url="http://Gateway.internal:8080/v1")
    assert told.allowed() == {"a.example", "10.0.0.7", "gateway.internal"}
    assert ChannelSettings(allowed_private_hosts="").allowed() == frozenset()
