"""The words of one message or of many as one: short text, Markdown for robots, a mail. Bounded in length. Pure."""

from html import escape
from typing import Final

from services.notifier.alerting.channels.message import Message, headline, line, title, why

PLAIN: Final = str.maketrans(
    {"*": "＊", "_": "＿", "[": "［", "]": "］", "<": "＜", ">": "＞", "`": "｀", "#": "＃", "@": "＠"}
)
"""Characters that would be Markdown, a mention or a tag. What people typed must not be any."""

ENDING: Final = "…另有 {} 条，请登录系统查看"
SENDER: Final = "【拦截】"


def short(messages: tuple[Message, ...], most_characters: int) -> str:
    """Return a short message: as many lines as fit, then how many are left out."""
    if len(messages) == 1:
        [message] = messages
        link = f" {message.link}" if message.link else ""
        text = f"{SENDER}{headline(message)}：{line(message)}"
        return text[: most_characters - len(link)] + link
    blocks = [f"\n{place}. {line(one)}{_space(one.link)}" for place, one in enumerate(messages, 1)]
    head = f"{SENDER}{title(messages)}："
    return head + _fitting(blocks, most_characters - len(head), in_bytes=False)


def markdown(messages: tuple[Message, ...], most_bytes: int) -> str:
    """Return Markdown that is no longer than a robot takes, in bytes of UTF-8; reasons only where there is room."""
    head = f"**{SENDER}{title(messages)}**\n"
    room = most_bytes - len(head.encode())
    long = [_block(place, one, messages, with_why=True) for place, one in enumerate(messages, 1)]
    if sum(len(block.encode()) for block in long) <= room:
        return head + "".join(long)
    return head + _fitting([_block(place, one, messages) for place, one in enumerate(messages, 1)], room, in_bytes=True)


def subject(messages: tuple[Message, ...]) -> str:
    """Return a mail's subject: one line."""
    first = f" {line(messages[0]).partition('，')[0]}" if len(messages) == 1 else ""
    return f"{SENDER}{title(messages)}{first}"


def text(messages: tuple[Message, ...]) -> str:
    """Return a mail's plain part."""
    return "\n\n".join(
        "\n".join(part for part in (f"{headline(one)}：{line(one)}", why(one), one.link or "") if part)
        for one in messages
    )


def html(messages: tuple[Message, ...]) -> str:
    """Return a mail's HTML part; everything in it is escaped, and nothing is fetched from elsewhere."""
    items = []
    for one in messages:
        link = f'<p><a href="{escape(one.link)}">处理</a></p>' if one.link else ""
        items.append(f"<h3>{escape(headline(one))}</h3><p>{escape(line(one))}</p><p>{escape(why(one))}</p>{link}")
    return f'<!doctype html><html lang="zh-CN"><meta charset="utf-8"><body>{"".join(items)}</body></html>'


def _block(place: int, message: Message, messages: tuple[Message, ...], *, with_why: bool = False) -> str:
    number = f"{place}. {headline(message)} " if len(messages) > 1 else ""
    reasons = f"\n> {why(message).translate(PLAIN)}" if with_why and why(message) else ""
    link = f" [处理]({message.link})" if message.link else ""
    return f"\n{number}{line(message).translate(PLAIN)}{link}{reasons}"


def _space(link: str | None) -> str:
    return f" {link}" if link else ""


def _fitting(blocks: list[str], room: int, *, in_bytes: bool) -> str:
    """Return as many blocks as there is room for and, where some are left out, how many."""

    def size(part: str) -> int:
        return len(part.encode()) if in_bytes else len(part)

    if sum(map(size, blocks)) <= room:
        return "".join(blocks)
    ending = "\n" + ENDING
    used, taken = size(ending.format(len(blocks))), 0
    while used + size(blocks[taken]) <= room:
        used += size(blocks[taken])
        taken += 1
    return "".join(blocks[:taken]) + ending.format(len(blocks) - taken)
