"""One-time links: what is in one, which are refused, and the page behind them."""

import base64
import hashlib
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.notifier.duty import link, link_page
from services.notifier.duty.link import GOOD_FOR, Unusable
from services.notifier.duty.link_page import Standing
from shared.privacy import Tokens

TOKENS = Tokens(bytes(range(32)))
DELIVERY = UUID("01a20150-9de7-7726-945f-6b1eca1a6ea0")
NOW = datetime(2026, 12, 1, 8, 30, tzinfo=UTC)
FACTS = {
    "case_id": "01a20150-9ddf-741f-a68f-75abf3e54ec6",
    "kind": "opened",
    "unit": "SZ-LH-CZ",
    "bank": "ICBC",
    "branch": "ICBC-SZ-LH-001",
    "amount_fen": 9_800_000,
    "payer": {"name": "梁**", "account": "****1024", "bank_code": "ICBC"},
    "payee": {"name": "蒙**", "account": "****2026", "bank_code": "CCB"},
    "why": ["提到安全账户"],
}


def a_token(until: datetime = NOW + GOOD_FOR, tokens: Tokens = TOKENS) -> str:
    return link.url("https://police.example/", tokens, DELIVERY, until).rpartition("/")[2]


def test_a_link_names_the_delivery_it_was_made_for_until_it_expires() -> None:
    token = a_token()
    assert link.read(token, TOKENS, NOW) == DELIVERY
    assert link.read(token, TOKENS, NOW + GOOD_FOR - timedelta(seconds=1)) == DELIVERY
    assert link.read(token, TOKENS, NOW + GOOD_FOR) is Unusable.EXPIRED


def test_a_link_fits_into_a_message() -> None:
    url = link.url("https://police.example/", TOKENS, DELIVERY, NOW)
    assert re.fullmatch(r"https://police\.example/a/[A-Za-z0-9_-]{52}", url)


def test_a_link_changed_in_any_character_is_refused() -> None:
    token = a_token()
    for place, character in enumerate(token):
        changed = token[:place] + ("A" if character != "A" else "B") + token[place + 1 :]
        assert link.read(changed, TOKENS, NOW) is Unusable.FORGED, place


@pytest.mark.parametrize(
    "token", ["", "x", a_token()[:-1], a_token() + "A", a_token() + "\n", "é" * 52, "=" * 52, a_token()[:-1] + "+"]
)
def test_what_is_not_shaped_like_a_link_is_refused(token: str) -> None:
    assert link.read(token, TOKENS, NOW) is Unusable.FORGED


def test_a_link_of_another_key_is_refused() -> None:
    assert link.read(a_token(tokens=Tokens(bytes(32))), TOKENS, NOW) is Unusable.FORGED


def test_the_page_of_an_open_case_shows_the_masked_facts_and_a_button() -> None:
    shown = link_page.page(FACTS, Standing.WAITING, "陆峥", None, None)
    for text in ("98,000.00 元", "梁** ****1024 ICBC", "蒙** ****2026 CCB", "提到安全账户", "ICBC-SZ-LH-001", "陆峥"):
        assert text in shown
    assert '<form method="post"><button type="submit">签收</button></form>' in shown


@pytest.mark.parametrize(
    ("standing", "text"),
    [
        (Standing.DONE, "签收成功。案件由 陆峥（12-01 16:30:00） 负责"),
        (Standing.USED, "此链接已使用。案件已由 陆峥（12-01 16:30:00） 签收。"),
        (Standing.TAKEN, "案件已由 陆峥（12-01 16:30:00） 签收"),
        (Standing.CLOSED, "案件已结案"),
    ],
)
def test_the_page_of_a_case_that_needs_nobody_has_no_button(standing: Standing, text: str) -> None:
    shown = link_page.page(FACTS, standing, "何婉仪", "陆峥", NOW)
    assert text in shown
    assert "<form" not in shown


def test_what_is_told_of_a_case_as_a_whole_is_shown_too() -> None:
    facts = {"kind": "escalated", "payee": FACTS["payee"], "why": ["翠竹派出所未在时限内签收"], "amount_fen": 1}
    shown = link_page.page(facts, Standing.WAITING, "秦若楠", None, None)
    for text in ("升级预警", "未在时限内签收", "0.01 元"):
        assert text in shown


def test_everything_on_the_page_is_escaped() -> None:
    evil = "<script>alert(1)</script>\"'&"
    facts = {
        "kind": evil,
        "unit": evil,
        "branch": evil,
        "case_id": evil,
        "why": [evil],
        "payer": {"name": evil},
        "payee": {"name": evil},
    }
    for standing in Standing:
        shown = link_page.page(facts, standing, evil, evil, NOW)
        assert "<script" not in shown
        assert "alert(1)&lt;/script&gt;&quot;&#x27;&amp;" in shown


def test_the_policy_allows_the_pages_own_style_and_nothing_else() -> None:
    styles = re.findall("<style>(.*?)</style>", link_page.not_found())
    [digest] = [base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() for style in styles]
    assert link_page.HEADERS["Content-Security-Policy"].startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
