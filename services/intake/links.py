"""Where the answers of the banks' door lead: what a bank, or a test that walks the door, can do next."""

from typing import Final

from shared.openapi import Link

SAME_REPORT: Final = {"report_id": "$request.path.report_id"}
SAME_ORDER: Final = {"order_id": "$request.path.order_id"}

LINKS: Final = (
    *(
        Link("post_report", status, target, {"report_id": "$response.body#/id"})
        for status in (200, 202)
        for target in ("get_report", "post_disposition")
    ),
    Link("get_report", 200, "post_disposition", SAME_REPORT),
    Link("post_disposition", 200, "get_report", SAME_REPORT),
    Link("get_orders", 200, "get_order", {"order_id": "$response.body#/orders/0/id"}),
    Link("get_orders", 200, "post_feedback", {"order_id": "$response.body#/orders/0/id"}),
    Link("get_order", 200, "post_feedback", SAME_ORDER),
    Link("post_feedback", 200, "get_order", SAME_ORDER),
)
"""Each answer, and the calls it names a report or an order for."""
