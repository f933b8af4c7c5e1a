"""The pack in force: the rules that come with the service."""

from typing import Final

from services.rules.pack import Rule
from services.rules.signs import SIGNS
from services.rules.talk import TALK

PACK: Final = "builtin-1"
RULES: Final[tuple[Rule, ...]] = (*SIGNS, *TALK)
