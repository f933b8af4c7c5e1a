"""What rules tallies, in SQL."""

from typing import Final

from shared.counting import counting

reports: Final = counting("verdict", "report_id", where="version = 1")
"""Reports filed in windows that are judged. The primary key alone is read, of each partition."""

dispositions: Final = counting("aftermath", "report_id", where="disposition_at < before")
"""Reports filed in windows whose visits are known to have ended."""

outcomes: Final = counting("standing_outcome", "id", where="decided_at < before")
"""The police's findings of windows that count: none that was taken back."""
