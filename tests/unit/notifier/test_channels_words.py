"""What messages say: enough to act on, no longer than a channel takes, nothing typed that could be markup."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.alerting.channels.message import ALERT, KINDS, TEST, Message, headline, line
from services.notifier.alerting.channels.words import html, markdown, short, subject, text
from services.notifier.cases.timeline import KINDS as ORDER_KINDS
from services.notifier.orders.pushing import ORDER_TYPE
from shared.events import OrderKind
from shared.outbox import new_id

LINK = "https://lanjie.example/a/" + "x" * 52
FACTS: dict[str, Any] = {
    "kind": "opened",
    "unit": "SZ-LH-CZ",
    "branch": "ICBC-SZ-LH-001",
    "amount_fen": 9_800_005,
    "payee": {"name": "蒙**", "account": "****2026", "bank_code": "CCB"},
    "why": ["提到安全账户"],
    "acknowledge_by": "2026-11-22T16:10:05+00:00",
}


def a_message(link: str | None = None, message_type: str = ALERT, **facts: object) -> Message:
    return Message(new_id(), message_type, {**FACTS, **facts}, link)


def test_a_line_says_how_much_to_whom_where_and_until_when_in_china() -> None:
    assert line(a_message()) == (
        "98,000.05 元，收款 蒙** ****2026 CCB，网点 ICBC-SZ-LH-001，单位 SZ-LH-CZ，00:10:05 前签收"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_alert_has_words_of_its_own(kind: str) -> None:
    assert headline(a_message(kind=kind)) == KINDS[kind]
    assert "前签收" not in line(a_message(kind="expiring")), "only what is to be acknowledged says by when"


def test_orders_tests_and_what_is_new_have_words_too() -> None:
    assert headline(a_message(message_type="lanjie.order.v1", kind="stop")) == "紧急止付指令"
    assert headline(a_message(message_type=TEST)) == "测试消息"
    assert headline(a_message(kind="unheard-of")) == "案件提醒"
    assert line(Message(new_id(), ALERT, {})) == ""


@pytest.mark.parametrize("kind", OrderKind)
def test_a_bank_reads_the_same_name_of_an_order_as_the_officers_and_which_order_it_is(kind: OrderKind) -> None:
    told = a_message(message_type=ORDER_TYPE, kind=kind.value, order_id="0192-1", again=True)
    assert headline(told) == f"{ORDER_KINDS[kind]}指令（再次通知）"
    assert "指令编号 0192-1" in line(told)
    assert "指令编号" not in line(a_message(order_id="0192-1"))


def test_what_is_escalated_says_by_when_it_was_to_be_acknowledged() -> None:
    assert line(a_message(kind="escalated")).endswith("，应于 00:10:05 前签收")


def test_a_short_message_that_must_be_cut_keeps_its_link() -> None:
    said = short((a_message(LINK, branch="很长" * 200),), 335)
    assert len(said) == 335
    assert said.endswith(" " + LINK)


def test_of_many_alerts_a_short_message_names_as_many_as_fit_and_counts_the_rest() -> None:
    said = short(tuple(a_message() for _ in range(20)), 335)
    named = said.count("98,000.05 元")
    assert 3 <= named < 20
    assert said.endswith(f"…另有 {20 - named} 条，请登录系统查看")


def test_markdown_gives_reasons_while_there_is_room_and_lines_before_reasons() -> None:
    few, many = tuple(a_message() for _ in range(3)), tuple(a_message(why=["很长的理由" * 10]) for _ in range(20))
    assert markdown(few, 4096).count("> 提到安全账户") == 3
    said = markdown(many, 4096)
    assert "很长的理由" not in said
    assert said.count("98,000.05 元") == 20


def test_what_people_typed_is_neither_markdown_nor_a_mention_nor_html() -> None:
    bad = '**a**<at user_id="all">[x](http://y)`@all#_'
    said = markdown((a_message(why=[bad], payee={"name": bad, "account": "", "bank_code": None}),), 4096)
    assert not set("*<>[`@#_") & set(said.removeprefix("**【拦截】可疑转账预警**\n").replace("\n> ", ""))
    assert "<at" not in html((a_message(why=[bad]),))


def test_a_subject_is_one_line_and_a_mail_has_every_link() -> None:
    two = (a_message(LINK + "1"), a_message(LINK + "2"))
    assert subject(two) == "【拦截】可疑转账预警等 2 条"
    assert "\n" not in subject((a_message(payee={"name": "a\r\nBcc: x"}),))
    for words in (text(two), html(two)):
        assert LINK + "1" in words
        assert LINK + "2" in words


@given(
    st.lists(st.tuples(st.text(max_size=200), st.none() | st.just(LINK)), min_size=1, max_size=40),
    st.integers(400, 5000),
)
def test_nothing_is_ever_longer_than_the_channel_takes(typed: list[tuple[str, str | None]], most: int) -> None:
    messages = tuple(a_message(link, branch=words, why=[words]) for words, link in typed)
    assert len(markdown(messages, most).encode()) <= most
    assert len(short(messages, most)) <= most
