"""Both doors of a live run against their own documents: what they describe is what they do, whatever is sent.

The short form, with a fixed seed; `make schemathesis` is the long one.
"""

import asyncio
from typing import Final

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.doors.seeding import seed
from tests.doors.walk import Size, walk
from tests.e2e.stack import Stack

SHORT: Final = Size(examples=4)
FEWEST: Final = {"intake": (800, 4), "notifier": (1200, 12)}
"""How many cases and links a walk of each door has at least: one that hits nothing finds nothing."""


@pytest.mark.timeout(600)
async def test_a_walk_through_both_doors_finds_nothing_and_leaves_the_books_straight(own_stack: Stack) -> None:
    known = await seed(own_stack)
    walks = await asyncio.gather(*(walk(own_stack, door, known, SHORT) for door in FEWEST))
    for walked, (cases, links) in zip(walks, FEWEST.values(), strict=True):
        assert walked.failures == 0, walked.said
        assert walked.whole, walked.said
        assert (walked.cases >= cases, walked.links >= links) == (True, True), walked.said
    assert await _standings(own_stack) & {"acknowledged", "closed"}, "officers' steps got somewhere: how far is chance"
    assert "0 differences" in await own_stack.lanjie("ledger", "verify", part="notifier")
    for service in ("intake", "rules", "notifier"):
        assert await _dead_letters(own_stack, service) == 0, service


async def _standings(stack: Stack) -> set[str]:
    """How the cases stand that were opened for the walk: officers' steps got somewhere."""
    async with httpx2.AsyncClient(timeout=30) as client:
        answer = await client.get(f"{stack.info['notifier']}/v1/cases", headers=stack.officer("SZ-LH-CZ"))
    return {case["status"] for case in answer.json()["cases"]}


async def _dead_letters(stack: Stack, service: str) -> float:
    async with httpx2.AsyncClient(timeout=30) as client:
        text = (await client.get(f"{stack.info[service]}/metrics")).text
    letters = [family for family in text_string_to_metric_families(text) if family.name == "lanjie_dead_letters_parked"]
    return sum(sample.value for family in letters for sample in family.samples)
