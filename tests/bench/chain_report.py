"""What `make bench` found, as a table on the screen and as table and plot in docs/performance.md."""

import statistics
from pathlib import Path
from typing import Any, Final

from matplotlib import pyplot as plt
from rich.table import Table

DOCS: Final = Path(__file__).parent.parent.parent / "docs"
PARTS: Final = ("intake", "rules", "notifier", "kafka", "postgres")
COLOURS: Final = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#aa3377")

OURS: Final = "lanjie"

Rows = list[tuple[str, ...]]
HEAD: Final = ("figure", "lanjie", "floor", "ratio", "bar")


def table(results: dict[str, Any]) -> Table:
    """Return the figures as a table for the screen."""
    shown = Table(*HEAD, title=results["machine"])
    for row in _rows(results):
        shown.add_row(*row)
    for row in _long_rows(results):
        shown.add_row(*row)
    return shown


def write(results: dict[str, Any]) -> None:
    """Put table and plot between the marks in docs/performance.md."""
    lines = [
        "",
        f"{results['machine']}; {len(results['rounds']) // 3} rounds in turn, median [least–most].",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|---|--:|--:|--:|--:|",
        *("| " + " | ".join(row) + " |" for row in [*_rows(results), *_long_rows(results)]),
        "",
        "![Throughput, latency, and the cost of a report and memory over the long run](performance.svg)",
        "",
    ]
    put("bench", lines)
    _plot(results, DOCS / "performance.svg")


def put(mark: str, lines: list[str]) -> None:
    """Put lines between `<!-- mark -->` and `<!-- /mark -->` in docs/performance.md."""
    page = DOCS / "performance.md"
    before, begins, rest = page.read_text(encoding="utf-8").partition(f"<!-- {mark} -->")
    _, ends, after = rest.partition(f"<!-- /{mark} -->")
    assert begins, f"{page} has no place for {mark}"
    assert ends, f"{page} does not end the place for {mark}"
    page.write_text("\n".join([before + begins, *lines, ends + after]), encoding="utf-8")


def _of(results: dict[str, Any], side: str, path: str) -> list[float]:
    """Return a figure of each of a side's rounds; `path` is where it stands, as in `single.alerted`."""
    found = []
    for one in results["rounds"]:
        if one["side"] == side:
            value = one
            for name in path.split("."):
                value = value[name]
            found.append(float(value))
    return found


def _spread(values: list[float]) -> str:
    form = "{:,.0f}" if min(values) >= 10 else "{:,.2f}"
    middle, least, most = (form.format(one) for one in (statistics.median(values), min(values), max(values)))
    return f"{middle} [{least}–{most}]"


def _rows(results: dict[str, Any]) -> Rows:
    carried = "single.alerted"
    rows = [
        _row(results, "reports a second, posted singly, until alerted", carried, carried, "≥ 0.6"),
        _row(results, "the same beside the floor without a way back", carried, carried, "", "one-way floor"),
        _row(results, "reports a second, accepted", "single.accepted", "single.accepted", ""),
        _row(
            results,
            "batches of 100, accepted, beside our single posts",
            "batched.accepted",
            "single.accepted",
            "≥ 3",
            OURS,
        ),
        _row(
            results, "batches of 100, until alerted, beside our single posts", "batched.alerted", carried, "≥ 3", OURS
        ),
        _row(results, "report to alert at half of its own rate, p50 ms", "at_half.p50", "at_half.p50", "≤ 2"),
        _row(results, "report to alert at half of its own rate, p99 ms", "at_half.p99", "at_half.p99", "≤ 2.5"),
        _row(results, "p50 ms, the floor at our rate", "at_half.p50", "beside.p50", ""),
        _row(results, "p99 ms, the floor at our rate", "at_half.p99", "beside.p99", ""),
        _row(results, "answer at the door, p99 ms", "single.answer_p99", "single.answer_p99", ""),
    ]
    costs = [f"single.cpu_ms.{part}" for part in PARTS]
    return rows + [_row(results, f"processor ms a report: {cost.split('.')[-1]}", cost, cost, "") for cost in costs]


def _row(results: dict[str, Any], name: str, ours: str, floors: str, bar: str, side: str = "floor") -> tuple[str, ...]:
    mine, other = _of(results, OURS, ours), _of(results, side, floors)
    ratios = [one / two for one, two in zip(mine, other, strict=True)]  # the two of a round had the same machine
    return (name, _spread(mine), _spread(other), _spread(ratios), bar)


def _long_rows(results: dict[str, Any]) -> Rows:
    miles = results["miles"]
    if not miles:
        return []
    first, last = (sum(mile["cpu_ms"].values()) for mile in (miles[0], miles[-1]))
    name = f"processor ms a report: the last {miles[0]['reports']:,} of {miles[-1]['reports']:,}, beside the first"
    rows: Rows = [(name, f"{last:.2f}", f"{first:.2f}", f"{last / first:.2f}", "")]
    at_last, at_first = last / miles[-1]["yardstick_ms"], first / miles[0]["yardstick_ms"]
    beside = "the same, in so many times a fixed piece of work that was done all the while"
    rows.append((beside, f"{at_last:.2f}", f"{at_first:.2f}", f"{at_last / at_first:.2f}", "0.85–1.15"))
    for service, megabytes in miles[-1]["memory_mb"].items():
        most = max(mile["memory_mb"][service] for mile in miles)
        rows.append(
            (f"memory of {service} after them, and at most, MB", f"{megabytes:.0f}, {most:.0f}", "", "", "≤ 150")
        )
    return rows


def _plot(results: dict[str, Any], path: Path) -> None:
    plt.rcParams["svg.hashsalt"] = "lanjie"
    figure, (carried, waited, cost, memory) = plt.subplots(1, 4, figsize=(15, 3.6), layout="constrained")
    sides = ("lanjie", "floor", "one-way floor")
    carried.boxplot([_of(results, side, "single.alerted") for side in sides], tick_labels=sides)
    carried.set(title="reports a second until alerted", ylim=(0, None))
    for place, side in enumerate(sides[:2]):
        for name, mark in (("p50", "o"), ("p99", "^")):
            values = _of(results, side, f"at_half.{name}")
            waited.scatter([f"{side} {name}"] * len(values), values, marker=mark, color=COLOURS[place])
    waited.set(title="report to alert at half rate, ms", ylim=(0, None))
    miles = results["miles"]
    at = [mile["reports"] for mile in miles]
    if miles:
        cost.stackplot(at, [[mile["cpu_ms"][part] for mile in miles] for part in PARTS], labels=PARTS, colors=COLOURS)
        cost.legend(loc="lower right", fontsize="small")
        for service, colour in zip(PARTS[:3], COLOURS, strict=False):
            memory.plot(at, [mile["memory_mb"][service] for mile in miles], label=service, color=colour)
        memory.axhline(150, color="grey", linestyle="dotted")
        memory.legend(fontsize="small")
    cost.set(title="processor ms a report over the long run")
    memory.set(title="memory, MB", ylim=(0, None))
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
