"""The table of transitions for the documentation, made of the code that decides. Pure."""

from typing import Final

from services.notifier.orders.holds import TRANSITIONS, Hold
from services.notifier.orders.law import LAWS, Rule
from shared.events import OrderKind

BEGIN: Final = "<!-- generated from services/notifier/orders/holds.py and law.py: begin -->"
END: Final = "<!-- generated: end -->"


def table() -> str:
    """Return what each kind of order makes of an account, and what each rule says and comes from, as Markdown."""
    holds = list(Hold)
    lines = [f"| order | {' | '.join(f'account {hold.value}' for hold in holds)} |", "|---" * (len(holds) + 1) + "|"]
    lines += [f"| `{kind.value}` | {' | '.join(_cell(hold, kind) for hold in holds)} |" for kind in OrderKind]
    lines += ["", "| rule | status | what it says | source |", "|---|---|---|---|"]
    for rule in Rule:
        law = LAWS[rule]
        lines.append(f"| `{rule.value}` | {law.status.value} | {law.says} | {law.source} |")
    return "\n".join(lines)


def _cell(hold: Hold, kind: OrderKind) -> str:
    after = TRANSITIONS[hold, kind]
    return f"`{after.value}` refuses" if isinstance(after, Rule) else f"→ {after.value}"


def page_with_table(page: str) -> str:
    """Return a page with the table between its marks as the code has it now. Raises `ValueError` without marks."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"the page needs the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"
