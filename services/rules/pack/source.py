"""What a rule pack says: the models of its files. How it is compiled and asked is in `compiled`.

A pack is a folder: `pack.yaml` holds what is common, every other YAML file holds the phrases, rules and
tables of one scam type or one kind of sign, `text-model.json` the weights of the text model, if there is one.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from shared.events import Level

MOST_RULES: Final = 500
MOST_PHRASE_WORDS: Final = 20_000

Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,59}$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,59}$")]
LONGEST_TEXT: Final = 300


def _plain(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has a control character, which no screen shows and no database keeps")
    return text


Shown = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(_plain)]
"""What tellers and police read."""

Points = Annotated[int, Field(ge=-40, le=40)]
"""Weight of evidence in decibans: 10 points make a scam ten times as likely, -10 ten times less."""


def _cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int) else value


Cell = Annotated[str, BeforeValidator(_cell)]


class Status(StrEnum):
    """Whether a rule counts, is only recorded, or is left out."""

    ACTIVE = "active"
    SHADOW = "shadow"
    OFF = "off"


class Said(BaseModel):
    """Part of a pack's file: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AdviceLines(Said):
    """What the teller should ask, say and do, in Chinese."""

    ask: tuple[Shown, ...] = Field(default=(), max_length=10)
    say: tuple[Shown, ...] = Field(default=(), max_length=10)
    do: tuple[Shown, ...] = Field(default=(), max_length=10)


class PhraseLines(Said):
    """A phrase. Each way of saying it is words with `|` between them, or a list of such that follow closely.

    `{name}` stands for a named set of words. `unless` holds words that take it back anywhere in its clause.
    """

    means: Shown
    any: tuple[str | tuple[str, ...], ...] = Field(min_length=1)
    denied: bool = True
    unless: str = ""
    where: Literal["anywhere", "purpose"] = "anywhere"


class Common(Said):
    """What rules and tables have in common."""

    id: Id
    title: Shown
    scam_type: str | None = None
    advice: AdviceLines = AdviceLines()
    owner: Shown = ""
    valid_from: AwareDatetime | None = None
    valid_until: AwareDatetime | None = None
    status: Status = Status.ACTIVE

    @model_validator(mode="after")
    def _in_order(self) -> "Common":
        if self.valid_from and self.valid_until and self.valid_from >= self.valid_until:
            raise ValueError("valid_from is not before valid_until, so this is never valid")
        return self

    def valid_at(self, moment: datetime) -> bool:
        """Whether the rule applies at a moment; `valid_until` itself is too late."""
        return (self.valid_from is None or self.valid_from <= moment) and (
            self.valid_until is None or moment < self.valid_until
        )


class RuleLines(Common):
    """One rule. `why` may show values in braces: `{payee.alerts_7d}`. `alone`: it may make an alert by itself."""

    when: str
    weight: Points
    why: Shown
    alone: bool = False


class RowLines(Said):
    """A row of a table: a cell for each input. `>= 5`, `5..9`, `true`, a text in quotes, or `-` for anything."""

    when: tuple[Cell, ...] = Field(min_length=1)
    weight: Points
    why: Shown | None = None
    alone: bool = False


class TableLines(Common):
    """A decision table: the first row that fits speaks, as the rule `<id>.<row>`."""

    inputs: tuple[str, ...] = Field(min_length=1)
    why: Shown = ""
    rows: tuple[RowLines, ...] = Field(min_length=1)


class RuleFile(Said):
    """One file: the phrases, rules and tables of a scam type. `scam_type` and `owner` hold where none is given."""

    title: Shown
    owner: Shown
    scam_type: str | None = None
    words: dict[Name, str] = {}
    phrases: dict[Name, PhraseLines] = {}
    rules: tuple[RuleLines, ...] = ()
    tables: tuple[TableLines, ...] = ()


class PackFile(Said):
    """`pack.yaml`: what is common to the whole pack."""

    name: Id
    prior: Points
    """Points for a scam before any evidence."""
    alert_from: int = Field(ge=1, le=100)
    caution_from: int = Field(ge=1, le=100)
    rejudge_within_minutes: int = Field(ge=0, le=1440)
    """How far back reports are judged again when more becomes known of their payee."""
    confirmed_for_days: int = Field(ge=1, le=3650)
    """How long a payee stays on the watch list after the police confirmed it."""
    cues: dict[Name, Shown]
    scam_types: dict[Name, Shown]
    denials: tuple[str, ...] = ()
    variants: dict[str, str] = {}
    advice: dict[Level, AdviceLines]

    @model_validator(mode="after")
    def _in_order(self) -> "PackFile":
        if self.caution_from >= self.alert_from:
            raise ValueError("caution_from is not below alert_from")
        if missing := [level.value for level in Level if level not in self.advice]:
            raise ValueError(f"advice is missing for {', '.join(missing)}")
        return self


class Pack(BaseModel):
    """A whole pack as written: its common file, its rule files by name, and the text model's data."""

    model_config = ConfigDict(frozen=True)

    common: PackFile
    files: dict[str, RuleFile]
    model: dict[str, object] | None = None
