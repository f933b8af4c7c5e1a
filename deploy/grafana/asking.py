"""The expressions that panels share. Every service may run as several replicas: what is said here holds for all.

A gauge read from a table is the same on all replicas of its service: the greatest of them counts, not the sum. A
counter is of one process: the sum of what each grew by.
"""

from typing import Final

STEP: Final = "$__rate_interval"
"""The time that a point of a line looks back over."""

CHOSEN: Final = "$__range"
"""The whole time that is chosen at the top."""

BANK: Final = 'bank=~"$bank"'
UNIT: Final = 'unit=~"($unit)(-.*)?"'
"""A unit with everything below it: a unit's code begins with the code of the one above."""


def grown(metric: str, by: str = "", where: str = "", over: str = CHOSEN) -> str:
    """Return how much a counter grew over a time, on all replicas together, by some labels.

    A counter is born with its first event, and `increase` does not see that one. So what a counter began with counts
    too, unless it was there when the time began. (A Prometheus that was down at that moment counts too much.)
    """
    each = _of(metric, where)
    more, first = f"increase({each}[{over}])", f"(min_over_time({each}[{over}]) unless {each} offset {over})"
    return f"sum{_by(by)}({more} + {first} or {more} or {first})"


def rate(metric: str, by: str = "", where: str = "", over: str = STEP) -> str:
    """Return how fast a counter grows, in a second, on all replicas together, by some labels."""
    return f"sum{_by(by)}(rate({_of(metric, where)}[{over}]))"


def shown(metric: str, by: str = "", where: str = "") -> str:
    """Return a gauge that is the same on all replicas, by some labels."""
    return f"max{_by(by)}({_of(metric, where)})"


def slowest(share: float, metric: str, by: str = "", where: str = "") -> str:
    """Return the course of the time within which a share of what a histogram saw was done, by some labels."""
    return f"histogram_quantile({share}, {rate(f'{metric}_bucket', _with_bounds(by), where)})"


def slowest_of_all(share: float, metric: str, by: str = "", where: str = "") -> str:
    """Return the same over the whole chosen time."""
    return f"histogram_quantile({share}, {grown(f'{metric}_bucket', _with_bounds(by), where)})"


def part(some: str, whole: str) -> str:
    """Return a share; nothing where there is no whole to have a share of."""
    return f"({or_none(some)}) / ({whole} > 0)"


def or_none(expr: str) -> str:
    """Return 0 where an expression finds nothing at all: what never happened was never counted."""
    return f"({expr}) or on() vector(0)"


def or_none_of(gauge: str, expr: str) -> str:
    """Return 0 where an expression finds nothing, as long as a gauge is shown: what nobody shows is unknown, not 0."""
    return f"({expr}) or on() 0 * max({gauge})"


def _by(labels: str) -> str:
    return f" by ({labels}) " if labels else ""


def _with_bounds(by: str) -> str:
    return f"le, {by}" if by else "le"


def _of(metric: str, where: str) -> str:
    return f"{metric}{{{where}}}" if where else metric
