"""Reading a pack's files: YAML with positions, so that every fault names file, line and column."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from services.rules.pack.plain_yaml import composed, plain
from services.rules.pack.positions import Fault as Fault
from services.rules.pack.positions import PackRefusedError as PackRefusedError
from services.rules.pack.positions import Place, Positions
from services.rules.pack.source import Pack, PackFile, RuleFile

COMMON: Final = "pack.yaml"
MODEL: Final = "text-model.json"
MOST_CHARACTERS: Final = 4_000_000
MOST_FAULTS: Final = 100
"""So many faults of one file's form are told at once."""

LONGEST: Final = 1_000
HEAVIEST: Final = 1_000_000
"""No weight of the text model is larger, in hundredths."""

Files = Mapping[str, str]
"""File names and their texts."""

M = TypeVar("M", bound=BaseModel)


def read_folder(folder: Path) -> dict[str, str]:
    """Read the files of a pack's folder. Raises `PackRefusedError` where there is none."""
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []
    if not any(path.name == COMMON for path in paths):
        raise PackRefusedError([Fault(str(folder), 1, 1, f"is not a pack: there is no {COMMON} in it")])
    if others := [path.name for path in paths if path.suffix != ".yaml" and path.name != MODEL]:
        hint = f"a pack's files end in .yaml, and there may be a {MODEL}"
        raise PackRefusedError([Fault(name, 1, 1, "is not part of a pack", hint) for name in others])
    try:
        return {path.name: path.read_text(encoding="utf-8") for path in paths}
    except UnicodeDecodeError as error:
        raise PackRefusedError([Fault(str(folder), 1, 1, f"a file is not UTF-8: {error.reason}")]) from None


def digest(files: Files) -> str:
    """Return the pack's hash: equal for equal files."""
    canonical = json.dumps(dict(sorted(files.items())), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode(errors="surrogatepass")).hexdigest()


def parse(files: Files) -> tuple[Pack, Positions]:
    """Read a pack's files. Raises `PackRefusedError` with every fault of form."""
    positions, faults = Positions(), []
    common: PackFile | None = None
    rule_files: dict[str, RuleFile] = {}
    if sum(map(len, files.values())) > MOST_CHARACTERS:
        raise PackRefusedError([Fault(COMMON, 1, 1, f"the pack's files are larger than {MOST_CHARACTERS} characters")])
    for name, text in sorted(files.items()):
        if not name.endswith(".yaml"):
            continue
        try:
            if name == COMMON:
                common = _read(name, text, PackFile, positions)
            else:
                rule_files[name] = _read(name, text, RuleFile, positions)
        except PackRefusedError as error:
            faults += error.faults
    model = _model(files.get(MODEL), faults)
    if faults or common is None:
        raise PackRefusedError(faults or [Fault(COMMON, 1, 1, "is missing")])
    return Pack(common=common, files=rule_files, model=model), positions


def _read(name: str, text: str, model: type[M], positions: Positions) -> M:
    text = text.removeprefix("\ufeff")
    root = composed(name, text)
    positions.add(name, text, root)
    try:
        return model.model_validate(plain(root))
    except ValidationError as error:
        raise PackRefusedError(
            [positions.fault(name, one["loc"], _worded(one), _hint(one["loc"])) for one in error.errors()[:MOST_FAULTS]]
        ) from None


def _worded(one: Any) -> str:  # noqa: ANN401 - pydantic's error details
    field = ".".join(str(step) for step in one["loc"])
    return f"{field}: {one['msg'].removeprefix('Value error, ')}" if field else one["msg"].removeprefix("Value error, ")


def _hint(place: Place) -> str:
    return "write times as 2026-11-22T00:00:00+08:00" if place and str(place[-1]).startswith("valid_") else ""


def _model(text: str | None, faults: list[Fault]) -> dict[str, object] | None:
    if text is None:
        return None
    try:
        data = json.loads(text)
        _refuse_model(data)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        faults.append(Fault(MODEL, 1, 1, f"is not a text model: {error}", "`make train` writes it"))
        return None
    return dict(data)


def _refuse_model(data: Any) -> None:  # noqa: ANN401 - what anyone may have written
    """Raise `ValueError`, `KeyError` or `TypeError` where a model could not be read or asked."""
    for key, kind in (
        ("version", str),
        ("types", list),
        ("bias", int),
        ("length", int),
        ("purpose", dict),
        ("note", dict),
    ):
        if not isinstance(data[key], kind):
            raise TypeError(f"{key} is not {kind.__name__}")
    if not data["types"] or not all(isinstance(scam_type, str) for scam_type in data["types"]):
        raise TypeError("types are not texts")
    if not 0 <= data["length"] <= LONGEST or abs(data["bias"]) > HEAVIEST:
        raise ValueError(f"length is not from 0 to {LONGEST}, or bias is too large")
    width = len(data["types"]) + 1
    biases = data.get("type_bias", [0] * len(data["types"]))
    if len(biases) != len(data["types"]) or not all(isinstance(one, int) and abs(one) <= HEAVIEST for one in biases):
        raise TypeError("type_bias is not a whole number for each type")
    for gram, row in (*data["purpose"].items(), *data["note"].items()):
        gram.encode()  # half of a character cannot be searched for
        if not gram or len(row) != width or not all(isinstance(one, int) and abs(one) <= HEAVIEST for one in row):
            raise TypeError(f"the weights of {gram!r} are not {width} whole numbers of at most {HEAVIEST}")
