"""A calibration, and its rows in the database as Arrow tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from kndb.factcheck.relation_neurons import Counted
from kndb.factcheck.thresholds import POINTS, Threshold
from kndb.store.prompts import RelationLang


@dataclass(frozen=True)
class Calibration:
    """The result of a calibration.

    Attributes:
        calibration_id: its id.
        run_id: the run.
        model: the model's name.
        thresholds: per relation, language and method.
        neurons: by kind, then by relation and language, each with its number of training facts.
        splits: the split of each fact key.
    """

    calibration_id: int
    run_id: int
    model: str
    thresholds: tuple[Threshold, ...]
    neurons: Mapping[str, Mapping[RelationLang, Counted]]
    splits: Mapping[str, str]

    def useless(self, method: str) -> list[Threshold]:
        """The method's thresholds that are no better than calling every claim true.

        Each is the lowest threshold of its curve, which accepts every claim.
        """
        own = (chosen for chosen in self.thresholds if chosen.method == method)
        return [chosen for chosen in own if chosen.threshold <= chosen.curve.thresholds[0]]


_KEY = [("calibration_id", pa.int64())]
_PLACE = [*_KEY, ("relation_id", pa.string()), ("lang", pa.string())]
SCHEMAS = {
    "factcheck_calibration": pa.schema(
        [
            *_KEY,
            ("run_id", pa.int64()),
            ("search_id", pa.int64()),
            ("settings", pa.string()),
            ("created_at", pa.timestamp("us")),
            ("kndb_version", pa.string()),
        ]
    ),
    "factcheck": pa.schema(
        [
            *_PLACE,
            ("method", pa.string()),
            ("threshold", pa.float64()),
            ("threshold_low", pa.float64()),
            ("threshold_high", pa.float64()),
            ("n_neurons", pa.int32()),
            ("n_train", pa.int32()),
            ("n_validation", pa.int32()),
            ("n_claims", pa.int32()),
            ("f1", pa.float64()),
            ("accuracy", pa.float64()),
        ]
    ),
    "factcheck_split": pa.schema([*_KEY, ("fact_key", pa.string()), ("split", pa.string())]),
    "factcheck_neuron": pa.schema(
        [
            *_PLACE,
            ("kind", pa.string()),
            ("layer", pa.int16()),
            ("neuron", pa.int32()),
            ("n_facts", pa.int32()),
        ]
    ),
    "factcheck_curve": pa.schema(
        [
            *_PLACE,
            ("method", pa.string()),
            ("threshold", pa.float64()),
            ("true_above", pa.int32()),
            ("false_above", pa.int32()),
        ]
    ),
}


def calibration_tables(header: Mapping[str, Any], found: Calibration) -> dict[str, pa.Table]:
    """The rows of each table; ``header`` is the row of ``factcheck_calibration``."""
    rows: dict[str, Sequence[Mapping[str, Any]]] = {
        "factcheck_calibration": [header],
        "factcheck": _thresholds(found),
        "factcheck_split": [
            {"fact_key": key, "split": split} for key, split in sorted(found.splits.items())
        ],
        "factcheck_neuron": _neurons(found),
        "factcheck_curve": _curves(found),
    }
    own = {"calibration_id": found.calibration_id}
    return {
        name: pa.Table.from_pylist([{**own, **row} for row in rows[name]], schema=schema)
        for name, schema in SCHEMAS.items()
    }


def _thresholds(found: Calibration) -> list[dict[str, Any]]:
    return [
        {
            **chosen.relation_lang._asdict(),
            "method": chosen.method,
            "threshold": chosen.threshold,
            "threshold_low": chosen.low,
            "threshold_high": chosen.high,
            "n_neurons": chosen.n_neurons,
            "n_train": chosen.n_train,
            "n_validation": chosen.n_validation,
            "n_claims": chosen.n_claims,
            "f1": chosen.f1,
            "accuracy": chosen.accuracy,
        }
        for chosen in found.thresholds
    ]


def _neurons(found: Calibration) -> list[dict[str, Any]]:
    return [
        {
            **relation_lang._asdict(),
            "kind": kind,
            "layer": neuron.layer,
            "neuron": neuron.index,
            "n_facts": n_facts,
        }
        for kind, relation_langs in found.neurons.items()
        for relation_lang, counted in sorted(relation_langs.items())
        for neuron, n_facts in sorted(counted.items())
    ]


def _curves(found: Calibration) -> list[dict[str, Any]]:
    rows = []
    for chosen in found.thresholds:
        curve = chosen.curve.thinned(POINTS)
        for threshold, true_above, false_above in zip(
            curve.thresholds.tolist(),
            curve.true_above.tolist(),
            curve.false_above.tolist(),
            strict=True,
        ):
            rows.append(
                {
                    **chosen.relation_lang._asdict(),
                    "method": chosen.method,
                    "threshold": threshold,
                    "true_above": true_above,
                    "false_above": false_above,
                }
            )
    return rows
