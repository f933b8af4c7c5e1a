"""`make train`: train the text model on the training authors' stories and write its weights.

A gram is scaled by how differently scam and honest notes use it (naive Bayes), then weighed by logistic
regression; both go into one weight, so reading a text stays a sum.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from services.rules.pack.lexicon import text_of
from services.rules.pack.text_model import PARTS, SCALE
from tests.corpus.generate import TRAINING, Case, cases

TARGET: Final = Path("deploy/reference/rules/text-model.json")
VERSION: Final = "1"
LENGTH: Final = 5
LONGEST_GRAM: Final = 3
SEEN_AT_LEAST: Final = 4
SMOOTHING: Final = 0.5
STRENGTH: Final = 10.0
TYPE_STRENGTH: Final = 10.0
SEEDS: Final = (1, 2)
LEAST_WEIGHT: Final = 5
"""Weights below 0.05 are left out."""

Floats = npt.NDArray[np.float64]


def main() -> None:
    """Train and write."""
    found = [case for seed in SEEDS for case in cases(TRAINING, seed)]
    TARGET.write_text(json.dumps(trained(found), ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    sys.stdout.write(f"{TARGET}: trained on {len(found)} visits\n")


def trained(found: Sequence[Case]) -> dict[str, Any]:
    """Train on cases; return the model's data."""
    scam = np.array([case.scam for case in found])
    counts = CountVectorizer(analyzer=_grams, binary=True, min_df=SEEN_AT_LEAST)
    seen = counts.fit_transform(found).astype(float).tocsr()
    scaled = _by_bayes(seen, scam)
    rows = _shortened(seen.multiply(scaled[None, :]).tocsr(), seen)
    evidence = LogisticRegression(C=STRENGTH, max_iter=3000, class_weight="balanced").fit(rows, scam)
    kinds = np.array([case.kind for case in found])[scam]
    types = LogisticRegression(C=TYPE_STRENGTH, max_iter=3000).fit(_shortened(seen, seen)[scam], kinds)
    table = np.rint(np.column_stack([evidence.coef_[0] * scaled, types.coef_.T]) * SCALE).astype(int)
    weights: dict[str, dict[str, list[int]]] = {part: {} for part in PARTS}
    for (part, gram), row in zip((name.split(":", 1) for name in counts.get_feature_names_out()), table, strict=True):
        if abs(row[0]) >= LEAST_WEIGHT:
            weights[part][gram] = [int(weight) for weight in row]
    return {
        "version": VERSION,
        "types": [str(kind) for kind in types.classes_],
        "bias": round(float(evidence.intercept_[0]) * SCALE),
        "type_bias": [round(float(bias) * SCALE) for bias in types.intercept_],
        "length": LENGTH,
        **weights,
    }


def _grams(case: Case) -> set[str]:
    text = text_of(case.visit.purpose, case.visit.note)
    parts = {"purpose": text.bare[: text.purpose_length], "note": text.bare[text.purpose_length :]}
    return {
        f"{part}:{letters[at : at + length]}"
        for part, letters in parts.items()
        for length in range(1, LONGEST_GRAM + 1)
        for at in range(len(letters) - length + 1)
    }


def _by_bayes(seen: csr_matrix, scam: npt.NDArray[np.bool_]) -> Floats:
    """How far apart scam and honest visits are in their use of each gram: |log odds ratio|."""
    in_scams = SMOOTHING + np.asarray(seen[scam].sum(axis=0)).ravel()
    in_honest = SMOOTHING + np.asarray(seen[~scam].sum(axis=0)).ravel()
    return np.asarray(np.abs(np.log((in_scams / in_scams.sum()) / (in_honest / in_honest.sum()))))


def _shortened(rows: csr_matrix, seen: csr_matrix) -> csr_matrix:
    """Divide by the square root of the number of grams, as the model does."""
    found = np.asarray(seen.sum(axis=1)).ravel()
    return csr_matrix(rows.multiply((1 / np.sqrt(found + LENGTH))[:, None]))


if __name__ == "__main__":
    main()
