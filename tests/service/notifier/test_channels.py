"""Each channel against its like at the network's edge: what is said, and what every kind of answer leads to."""

import base64
import hashlib
import hmac
import urllib.parse
from typing import Any

import pytest

from services.notifier.alerting.channels.limits import Channel
from services.notifier.alerting.channels.message import ALERT, Message
from services.notifier.alerting.channels.outcome import Cause, Dead, Delivered, Outcome, Retry
from services.notifier.alerting.channels.sending import send
from services.notifier.alerting.channels.wires import wires_of
from shared.outbox import new_id
from tests.fakes.mail_server import mail_server
from tests.fakes.receiver import Answer, Fault, Said, json_said, receiving
from tests.fakes.sms_centre import sms_centre
from tests.service.notifier.hooks import TIMEOUT, UNHURRIED, settings

FACTS: dict[str, Any] = {
    "kind": "opened",
    "unit": "SZ-LH-CZ",
    "branch": "ICBC-SZ-LH-001",
    "amount_fen": 9_800_050,
    "payee": {"name": "蒙**", "account": "****2026", "bank_code": "CCB"},
    "why": ["提到安全账户", "首次向该收款人转账"],
    "acknowledge_by": "2026-11-22T02:10:05+00:00",
}


def messages(number: int = 1, **facts: object) -> tuple[Message, ...]:
    return tuple(Message(new_id(), ALERT, {**FACTS, **facts}) for _ in range(number))


async def sent(
    channel: Channel, address: str, what: tuple[Message, ...], secret: str | None = None, **told: str
) -> Outcome:
    return await sent_within(UNHURRIED, channel, address, what, secret, **told)


async def sent_within(
    seconds: float, channel: Channel, address: str, what: tuple[Message, ...], secret: str | None = None, **told: str
) -> Outcome:
    wires = wires_of(settings(mail_from="alerts@lanjie.example", **told), seconds)
    try:
        return await send(wires, channel, address, secret, what)
    finally:
        await wires.http.aclose()


ROBOTS = [Channel.WECOM, Channel.DINGTALK, Channel.FEISHU]
TAKEN = json_said({"errcode": 0, "code": 0})


@pytest.mark.parametrize("channel", ROBOTS)
async def test_twenty_alerts_to_a_robot_are_one_message_that_names_twenty(channel: Channel) -> None:
    async with receiving(last=TAKEN) as robot:
        assert await sent(channel, robot.url + "send?key=k", messages(20)) == Delivered()
    [request] = robot.requests
    assert len(request.body) < {Channel.WECOM: 4200, Channel.DINGTALK: 20_000, Channel.FEISHU: 20_000}[channel]
    text = request.body.decode()
    assert "可疑转账预警等 20 条" in text
    assert text.count("98,000.50 元") == 20
    assert "蒙＊＊ ＊＊＊＊2026 CCB" in text, "nothing that was typed is Markdown"


@pytest.mark.parametrize("channel", ROBOTS)
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Said(200, b""), Retry("the answer is not a robot's", Cause.ANSWER)),
        (Said(200, b"<html>\xff"), Retry("the answer is not a robot's", Cause.ANSWER)),
        (json_said({"errcode": True}), Retry("the answer is not a robot's", Cause.ANSWER)),
        (json_said([0]), Retry("the answer is not a robot's", Cause.ANSWER)),
        (500, Retry("status 500")),
        (301, Dead("status 301")),
        (Said(429, b"", (("retry-after", "7"),)), Retry("status 429", Cause.PACE, 7.0)),
        (Fault.HANG, Retry("timeout", Cause.TIMEOUT)),
        (Fault.DRIP, Retry("timeout", Cause.TIMEOUT)),
        (Fault.RESET, Retry("ReadError", Cause.CONNECTION)),
    ],
    ids=str,
)
async def test_a_robot_that_does_not_say_that_it_took_the_message_has_not(
    channel: Channel, answer: Answer, outcome: Outcome
) -> None:
    async with receiving(answer) as robot:
        patience = TIMEOUT if isinstance(outcome, Retry) and outcome.cause is Cause.TIMEOUT else UNHURRIED
        assert await sent_within(patience, channel, robot.url, messages()) == outcome
    assert len(robot.requests) == 1, "no redirect is followed"


@pytest.mark.parametrize(
    ("channel", "answer", "outcome"),
    [
        (Channel.WECOM, {"errcode": 45009}, Retry("wecom code 45009", Cause.PACE, 60.0)),
        (Channel.WECOM, {"errcode": 93000}, Dead("wecom code 93000", Cause.ANSWER)),
        (Channel.WECOM, {"errcode": -1}, Retry("wecom code -1", Cause.ANSWER)),
        (Channel.DINGTALK, {"errcode": 130101}, Retry("dingtalk code 130101", Cause.PACE, 600.0)),
        (Channel.DINGTALK, {"errcode": 400102}, Dead("dingtalk code 400102", Cause.ANSWER)),
        (Channel.DINGTALK, {"errcode": 310000}, Retry("dingtalk code 310000", Cause.ANSWER)),
        (Channel.FEISHU, {"code": 11232}, Retry("feishu code 11232", Cause.PACE, 10.0)),
        (Channel.FEISHU, {"code": 19001}, Dead("feishu code 19001", Cause.ANSWER)),
        (Channel.FEISHU, {"code": 19021}, Retry("feishu code 19021", Cause.ANSWER)),
    ],
    ids=str,
)
async def test_a_robots_own_code_decides_and_not_its_status(
    channel: Channel, answer: dict[str, int], outcome: Outcome
) -> None:
    async with receiving(json_said(answer)) as robot:
        assert await sent(channel, robot.url, messages()) == outcome


async def test_dingtalk_is_signed_over_the_milliseconds_and_feishu_over_nothing() -> None:
    async with receiving(last=TAKEN) as robot:
        await sent(Channel.DINGTALK, robot.url + "robot/send?access_token=t", messages(), "SEC1")
        await sent(Channel.FEISHU, robot.url + "hook/h", messages(), "sec2")
    dingtalk, feishu = robot.requests
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(dingtalk.path).query))
    expected = hmac.digest(b"SEC1", f"{query['timestamp']}\nSEC1".encode(), hashlib.sha256)
    assert (len(query["timestamp"]), query["access_token"]) == (13, "t")
    assert base64.b64decode(query["sign"]) == expected
    body = feishu.json()
    assert base64.b64decode(body["sign"]) == hmac.digest(f"{body['timestamp']}\nsec2".encode(), b"", hashlib.sha256)


async def test_a_mail_says_it_in_text_and_html_with_an_id_that_stays() -> None:
    one = messages(why=["<script>alert(1)</script>"])
    async with mail_server() as server:
        for _ in range(2):
            assert await sent(Channel.MAIL, "duty@sz.example", one, smtp_url=server.url) == Delivered()
    first, again = server.mails
    assert first["Message-ID"] == again["Message-ID"] == f"<{one[0].id}@lanjie.example>"
    assert first["To"] == "duty@sz.example"
    assert first["Subject"] == "【拦截】可疑转账预警 98,000.50 元"
    plain, html = (first.get_body((kind,)) for kind in ("plain", "html"))
    assert plain is not None and html is not None  # noqa: PT018 - for the type checker
    assert "蒙** ****2026 CCB" in plain.get_content()
    assert "10:10:05 前签收" in plain.get_content(), "the time in China"
    assert "<script>" not in html.get_content()


@pytest.mark.parametrize(
    ("end", "recipient", "outcome"),
    [
        ("451 later", "", Retry("smtp 451")),
        ("554 never", "", Dead("smtp 554")),
        ("", "450 mailbox busy", Retry("smtp 450")),
        ("", "550 no such user", Dead("smtp 550")),
    ],
)
async def test_a_mail_server_that_says_4xx_is_asked_again_and_5xx_is_the_end(
    end: str, recipient: str, outcome: Outcome
) -> None:
    async with mail_server(*([end] if end else []), recipient=recipient) as server:
        assert await sent(Channel.MAIL, "duty@sz.example", messages(), smtp_url=server.url) == outcome


async def test_a_mail_server_that_offers_no_encryption_gets_no_mail_where_encryption_is_asked() -> None:
    async with mail_server() as server:
        outcome = await sent(Channel.MAIL, "duty@sz.example", messages(), smtp_url=server.url + "?starttls=1")
    assert isinstance(outcome, Retry)
    assert server.mails == []


async def test_a_mail_server_that_hangs_is_given_up_in_time() -> None:
    async with receiving() as silent:  # it waits for a request and never greets
        url = silent.url.replace("http", "smtp").rstrip("/")
        outcome = await sent_within(TIMEOUT, Channel.MAIL, "a@b.example", messages(), smtp_url=url)
    assert outcome == Retry("timeout", Cause.TIMEOUT)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (json_said({"accepted": True}), Delivered()),
        (json_said({"accepted": "yes"}), Retry("the gateway did not say that it accepted", Cause.ANSWER)),
        (200, Retry("the gateway did not say that it accepted", Cause.ANSWER)),
        (422, Dead("status 422")),
        (401, Retry("status 401")),
        (503, Retry("status 503")),
    ],
    ids=str,
)
async def test_a_gateway_must_say_that_it_accepted_a_short_message(answer: Answer, outcome: Outcome) -> None:
    [message] = what = messages()
    async with receiving(answer) as gateway:
        told = {"sms_url": gateway.url + "v1/messages", "sms_token": "t"}
        assert await sent(Channel.SMS, "+8613900000002", what, **told) == outcome
    [request] = gateway.requests
    assert request.headers["authorization"] == "Bearer t"
    assert (request.json()["id"], request.json()["to"]) == (str(message.id), "+8613900000002")
    assert request.json()["text"].startswith("【拦截】可疑转账预警：98,000.50 元，收款 蒙** ****2026 CCB")


async def test_an_sms_centre_gets_chinese_in_parts_that_join() -> None:
    async with sms_centre() as centre:
        assert await sent(Channel.SMPP, "+8613900000002", messages(3), smpp_url=centre.url) == Delivered()
    assert centre.bound_as == [("lanjie", "word")]
    assert centre.unbound == 1
    assert len(centre.parts) > 1
    assert {(part.to, part.coding, part.esm_class) for part in centre.parts} == {("8613900000002", 8, 0x40)}
    assert all(len(part.text) <= 140 for part in centre.parts)
    assert "".join(part.words for part in centre.parts).count("98,000.50 元") == 3


@pytest.mark.parametrize(
    ("script", "bind", "outcome"),
    [
        ((0x58,), 0, Retry("smpp status 0x58", Cause.PACE, 5.0)),
        ((0x0B,), 0, Dead("smpp status 0x0b", Cause.ANSWER)),
        ((0x08,), 0, Retry("smpp status 0x08", Cause.ANSWER)),
        ((0, 0x58), 0, Retry("smpp status 0x58", Cause.PACE, 5.0)),
        ((), 0x0E, Retry("smpp status 0x0e", Cause.SETTING)),
    ],
)
async def test_an_sms_centres_status_decides(script: tuple[int, ...], bind: int, outcome: Outcome) -> None:
    async with sms_centre(*script, bind=bind) as centre:
        assert await sent(Channel.SMPP, "13900000002", messages(3), smpp_url=centre.url) == outcome


async def test_an_sms_centre_that_hangs_or_is_not_there_is_given_up_in_time() -> None:
    async with receiving() as silent:
        url = silent.url.replace("http://", "smpp://a:b@")
        outcome = await sent_within(TIMEOUT, Channel.SMPP, "13900000002", messages(), smpp_url=url)
    assert outcome == Retry("ConnectionError", Cause.CONNECTION)
    assert isinstance(await sent(Channel.SMPP, "13900000002", messages(), smpp_url=url), Retry)


@pytest.mark.parametrize("channel", [Channel.MAIL, Channel.SMS, Channel.SMPP])
async def test_a_channel_without_its_settings_says_which_are_missing(channel: Channel) -> None:
    outcome = await sent(channel, "13900000002", messages())
    assert isinstance(outcome, Retry), "it waits until somebody sets them"
    assert outcome.reason.startswith(f"{channel} is not configured: set S")
