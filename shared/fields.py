"""Fields from outside: what both doors ask of them, and how their schemas tell clients so. Pure."""

import re
from datetime import datetime
from typing import Any, Final

from pydantic import Field

DATE_AND_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]")

STORABLE: Final = r"^[^\x00]*$"
"""Any text but the one character that PostgreSQL cannot store."""
SAYS_SOMETHING: Final = r"^\s*[^\s\x00][^\x00]*$"
"""The same, and not blank."""


def described(**keywords: str) -> Any:  # noqa: ANN401 - what Annotated takes
    """Say in a field's schema what a validator of ours asks for.

    Formats of ours: `visible-text` holds no character that cannot be seen and no space at its ends, `resident-id` is
    a resident identity number with its check character (GB 11643-1999).
    """
    return Field(json_schema_extra=dict(keywords))


def as_text(value: object) -> object:
    """Accept a time as text; a bare number is no time, though pydantic would take it for seconds since 1970."""
    if isinstance(value, datetime) or (isinstance(value, str) and DATE_AND_TIME.match(value)):
        return value
    raise ValueError("must be a time with an offset, as text (RFC 3339)")


def stripped(text: str) -> str:
    """Leave out the blanks around a text, which count in its length; refuse one that is all blank."""
    if not (said := text.strip()):
        raise ValueError("must not be blank")
    return said
