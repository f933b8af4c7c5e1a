"""The page behind a one-time link: plain HTML without script, in Chinese, everything escaped. Pure."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from html import escape
from typing import Any, Final, assert_never

from services.notifier.clock.clock import BEIJING
from shared.money import yuan


class Standing(StrEnum):
    """How things stand for whoever opens the link. `DONE`: this very post has taken the case on."""

    WAITING = "waiting"
    DONE = "done"
    USED = "used"
    TAKEN = "taken"
    CLOSED = "closed"


_STYLE: Final = (
    "body{font:18px/1.6 sans-serif;margin:0 auto;max-width:36em;padding:1em}"
    "h1{font-size:1.3em}dt{color:#555}dd{margin:0 0 .6em}"
    "button{font:inherit;font-weight:bold;width:100%;padding:.8em;color:#fff;background:#b00020;border:0;border-radius:6px}"
    "p.said{padding:.8em;background:#eef3ee;border-radius:6px}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
}
"""Nothing is stored, framed, indexed, loaded from elsewhere, or told to the next site: the address is the key."""

_KINDS: Final[Mapping[str, str]] = {
    "opened": "预警",
    "joined": "同一收款账户再次预警",
    "escalated": "超时未签收，升级预警",
}


def page(facts: Mapping[str, Any], standing: Standing, officer: str, by: str | None, at: datetime | None) -> str:
    """Return the page: what the alert says, how things stand, and a button while there is something to do.

    `officer` is whom the link was sent to; `by` and `at` are who took the case on, and when.
    """
    title = _KINDS.get(str(facts.get("kind")), "案件提醒")
    lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in _lines(facts) if value)
    return _html(title, f"<dl>{lines}</dl>{_said(standing, officer, by, at)}")


def not_found() -> str:
    """Return the page for every link that is not good, whatever the reason."""
    return _html("链接无效", "<p>此链接无效或已过期。请登录系统查看预警。</p>")


def _lines(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    amount = facts.get("amount_fen")
    return [
        ("单位", str(facts.get("unit") or "")),
        ("金额", f"{yuan(amount)} 元" if isinstance(amount, int) else ""),
        ("报告网点", str(facts.get("branch") or facts.get("bank") or "")),
        ("付款人", _person(facts.get("payer"))),
        ("收款人", _person(facts.get("payee"))),
        ("依据", "；".join(str(why) for why in facts.get("why") or ())),
        ("案件编号", str(facts.get("case_id") or "")),
    ]


def _person(masked: object) -> str:
    if not isinstance(masked, Mapping):
        return ""
    return " ".join(str(masked[name]) for name in ("name", "account", "bank_code") if masked.get(name))


def _said(standing: Standing, officer: str, by: str | None, at: datetime | None) -> str:
    took = f"{by or '其他民警'}{f'（{at.astimezone(BEIJING):%m-%d %H:%M:%S}）' if at else ''}"
    match standing:
        case Standing.WAITING:
            button = '<form method="post"><button type="submit">签收</button></form>'
            return f"{button}<p>以 {escape(officer)} 的名义签收。</p>"
        case Standing.DONE:
            text = f"签收成功。案件由 {took} 负责，请立即联系网点。"
        case Standing.USED:
            text = f"此链接已使用。案件已由 {took} 签收。" if by else "此链接已使用。"
        case Standing.TAKEN:
            text = f"案件已由 {took} 签收，无需再签收。"
        case Standing.CLOSED:
            text = "案件已结案，无需签收。"
        case _:
            assert_never(standing)
    return f'<p class="said">{escape(text)}</p>'


def _html(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="zh-CN"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="robots" content="noindex,nofollow"><meta name="referrer" content="no-referrer">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1>{body}</body></html>"
    )
