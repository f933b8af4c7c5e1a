"""Money is a whole number of fen, everywhere. One yuan is 100 fen."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

LARGEST_AMOUNT_FEN = 1_000_000_000_000
"""Ten billion yuan: above any single transfer, and far below what a bigint sum can hold."""

Fen = Annotated[int, Field(ge=0, le=LARGEST_AMOUNT_FEN, strict=True)]
"""An amount in fen that may be nothing."""

PositiveFen = Annotated[int, Field(ge=1, le=LARGEST_AMOUNT_FEN, strict=True)]
"""An amount in fen that is something."""


def yuan(fen: int) -> str:
    """`9800000` → `98,000.00`, for people to read."""
    return f"{Decimal(fen) / 100:,.2f}"
