"""Turns attributions into the Arrow rows that the database stores for each prompt."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kndb.attribution import Attribution
from kndb.store.refine import RAW_FLOOR

AT_LEAST = 20
"""At least this many of a prompt's highest scores are stored, however low they are."""

PREDICTIONS = pa.schema(
    [
        ("prompt_id", pa.int64()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("p_answer", pa.float64()),
        ("p_tokens", pa.list_(pa.float64())),
        ("rank", pa.int32()),
        ("predicted", pa.string()),
        ("n_answer_tokens", pa.int32()),
        ("completeness", pa.float64()),
        ("score_error", pa.float64()),
    ]
)
ATTRIBUTIONS = pa.schema(
    [
        ("prompt_id", pa.int64()),
        ("layer", pa.int16()),
        ("neuron", pa.int32()),
        ("score", pa.float32()),
    ]
)


def skipped(prompt_id: int, reason: str) -> dict[str, object]:
    """The prediction row of a skipped prompt."""
    return {"prompt_id": prompt_id, "status": "skipped", "reason": reason}


def failed(prompt_id: int, reason: str | None) -> dict[str, object]:
    """The prediction row of a prompt for which the model gave numbers that are not finite."""
    return {"prompt_id": prompt_id, "status": "failed", "reason": reason}


def predicted(prompt_id: int, found: Attribution) -> dict[str, object]:
    """The prediction row of an attributed prompt."""
    return {
        "prompt_id": prompt_id,
        "status": "done",
        "p_answer": found.p_answer,
        "p_tokens": list(found.p_tokens),
        "rank": found.rank,
        "predicted": found.predicted,
        "n_answer_tokens": len(found.p_tokens),
        "completeness": found.completeness,
        "score_error": None if math.isnan(found.score_error) else found.score_error,
    }


def raw_scores(scores: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The scores to store: all above 5 % of the highest, and at least the 20 highest.

    Args:
        scores: ``(n_layers, n_neurons)``.

    Returns:
        Flat indices in ascending order, and their scores.
    """
    flat = scores.ravel()
    n = min(AT_LEAST, len(flat))
    highest = np.argpartition(-flat, n - 1)[:n]
    chosen = np.union1d(highest, np.flatnonzero(flat > RAW_FLOOR * flat.max()))
    return chosen, flat[chosen]


def attribution_rows(found: Sequence[tuple[int, Attribution]]) -> pa.Table:
    """Raw rows of several prompts, given as id and attribution."""
    parts = []
    for prompt_id, attribution in found:
        chosen, scores = raw_scores(attribution.scores)
        layers, neurons = np.unravel_index(chosen, attribution.scores.shape)
        columns = [np.full(len(chosen), prompt_id), layers, neurons, scores]
        parts.append(
            pa.table(
                [
                    pa.array(column).cast(field.type)
                    for column, field in zip(columns, ATTRIBUTIONS, strict=True)
                ],
                schema=ATTRIBUTIONS,
            )
        )
    return pa.concat_tables(parts) if parts else ATTRIBUTIONS.empty_table()
