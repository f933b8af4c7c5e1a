"""Where the answers of the police's door lead: what an officer, or a test that walks the door, can do next."""

from typing import Final

from shared.openapi import Link

SAME_CASE: Final = {"case_id": "$request.path.case_id"}
ORDERED: Final = {"order_id": "$response.body#/id"}
OF_ORDER: Final = {"case_id": "$response.body#/case_id"}

WORK: Final = (
    "post_acknowledge",
    "post_take_over",
    "post_transfer",
    "post_note",
    "post_attachment",
    "post_objection",
    "post_unmask",
    "post_order",
    "post_close",
)
"""What can be done with a case that is at hand."""

LINKS: Final = (
    *(Link("get_cases", 200, target, {"case_id": "$response.body#/cases/0/id"}) for target in ("get_case", *WORK)),
    *(Link("get_case", 200, target, SAME_CASE) for target in WORK),
    *(Link("post_acknowledge", 200, target, SAME_CASE) for target in ("post_order", "post_note", "post_close")),
    *(Link("post_order", 201, target, ORDERED) for target in ("post_approve", "post_reject")),
    Link("post_order", 201, "get_case", SAME_CASE),
    *(Link("post_approve", 200, target, OF_ORDER) for target in ("get_case", "post_close")),
    Link("post_reject", 200, "get_case", OF_ORDER),
    *(Link("post_close", 200, target, SAME_CASE) for target in ("get_case", "post_reopen")),
    Link("post_reopen", 200, "post_order", SAME_CASE),
    Link("post_objection", 201, "post_answer", {"objection_id": "$response.body#/objections/0/id"}),
    Link("post_answer", 200, "get_case", {"case_id": "$response.body#/id"}),
    Link("post_split", 201, "get_case", {"case_id": "$response.body#/id"}),
)
"""Each answer, and the calls it names a case, an order or an objection for."""
