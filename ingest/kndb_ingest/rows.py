"""Turns attributions into the Arrow rows that the database stores for each prompt."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kndb.attribution import Attribution
from kndb.store.refine import RAW_FLOOR
from kndb_ingest.outcomes import Outcome, has_scores

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
WORDS = pa.schema(
    [
        ("prompt_id", pa.int64()),
        ("position", pa.int16()),
        ("word", pa.string()),
        ("contribution", pa.float64()),
        ("by_layer", pa.list_(pa.float64())),
    ]
)


SCORES = pa.schema([("prompt_id", pa.int64()), ("scores", pa.list_(pa.float32()))])


@dataclass(frozen=True)
class Rows:
    """What is stored of some prompts; its length is their number.

    Attributes:
        predictions: a row per prompt, of the schema ``PREDICTIONS``.
        attributions: their raw scores, of the schema ``ATTRIBUTIONS``.
        words: what their words contribute, of the schema ``WORDS``; empty where nobody asked.
        scores: the score of every neuron, of the schema ``SCORES``; empty where nobody asked.
    """

    predictions: pa.Table
    attributions: pa.Table
    words: pa.Table
    scores: pa.Table

    @classmethod
    def of(cls, outcomes: Iterable[tuple[int, Outcome]], *, every_score: bool = False) -> Rows:
        """The rows of prompts' outcomes, given with the prompts' ids."""
        each = list(outcomes)
        predictions = [prediction_row(*one) for one in each]
        found = [(key, outcome) for key, outcome in each if has_scores(outcome)]
        words = [row for key, outcome in found for row in word_rows(key, outcome)]
        return cls(
            pa.Table.from_pylist(predictions, schema=PREDICTIONS),
            attribution_rows(found),
            pa.Table.from_pylist(words, schema=WORDS),
            score_rows(found if every_score else []),
        )

    @classmethod
    def joined(cls, several: Sequence[Rows]) -> Rows:
        """The rows of one or more, in their order."""
        return cls(
            pa.concat_tables([rows.predictions for rows in several]),
            pa.concat_tables([rows.attributions for rows in several]),
            pa.concat_tables([rows.words for rows in several]),
            pa.concat_tables([rows.scores for rows in several]),
        )

    @property
    def attributed(self) -> int:
        """The number of prompts that were attributed, which is what takes time."""
        return sum(
            status in ("done", "failed") for status in self.predictions["status"].to_pylist()
        )

    def __len__(self) -> int:
        return self.predictions.num_rows  # type: ignore[no-any-return]


def prediction_row(prompt_id: int, outcome: Outcome) -> dict[str, object]:
    """A prompt's row of the table ``prediction``."""
    return {"prompt_id": prompt_id, **_prediction(outcome)}


def _prediction(outcome: Outcome) -> dict[str, object]:
    if isinstance(outcome, str):
        return {"status": "skipped", "reason": outcome}
    if isinstance(outcome, tuple):
        answer, rank = outcome
        return {
            "status": "unknown",
            "reason": _beyond(rank),
            **_answered(answer.p, answer.p_tokens, answer.rank, answer.first_choice),
        }
    if outcome.failed:
        return {"status": "failed", "reason": outcome.reason}
    return {
        "status": "done",
        **_answered(outcome.p_answer, outcome.p_tokens, outcome.rank, outcome.predicted),
        "completeness": outcome.completeness,
        "score_error": None if math.isnan(outcome.score_error) else outcome.score_error,
    }


def _answered(p: float, p_tokens: Sequence[float], rank: int, predicted: str) -> dict[str, object]:
    return {
        "p_answer": p,
        "p_tokens": list(p_tokens),
        "rank": rank,
        "predicted": predicted,
        "n_answer_tokens": len(p_tokens),
    }


def _beyond(rank: int) -> str:
    few = "first choice" if rank == 1 else f"first {rank}"
    return f"the answer is not {'' if rank == 1 else 'among '}the model's {few}"


def word_rows(prompt_id: int, found: Attribution) -> list[dict[str, object]]:
    """A prompt's rows of the table ``word_attribution``; none if its words were not kept."""
    by_layer = found.word_scores.sum(2, dtype=np.float64).tolist()
    return [
        {
            "prompt_id": prompt_id,
            "position": position,
            "word": word,
            "contribution": contribution,
            "by_layer": layers,
        }
        for position, ((word, contribution), layers) in enumerate(
            zip(found.by_word(), by_layer, strict=True)
        )
    ]


def score_rows(found: Sequence[tuple[int, Attribution]]) -> pa.Table:
    """Prompts with the score of every neuron, layer after layer."""
    lists = [pa.array(attribution.scores.ravel(), pa.float32()) for _, attribution in found]
    ends = np.cumsum([0, *map(len, lists)], dtype=np.int32)
    values = pa.concat_arrays(lists) if lists else pa.array([], pa.float32())
    ids = pa.array([prompt_id for prompt_id, _ in found], pa.int64())
    return pa.table([ids, pa.ListArray.from_arrays(ends, values)], schema=SCORES)


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
