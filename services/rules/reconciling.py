"""rules' share in reconciling: it says what it knows, and keeps nothing that others might lack."""

from typing import Final

from services.rules import tally_store
from shared.events import Tallied
from shared.share import Said, Share

SHARE: Final = Share(
    "rules",
    said=(
        Said(Tallied.REPORTS, tally_store.reports),
        Said(Tallied.DISPOSITIONS, tally_store.dispositions),
        Said(Tallied.OUTCOMES, tally_store.outcomes, slow=True),
    ),
)
