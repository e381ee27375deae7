"""Reads and writes calibrations of the fact check, and reads the rows they are made from.

Every call opens the file for one short transaction. This module runs no model, draws no split and
chooses no threshold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kndb.errors import NotFound
from kndb.store.database import connect, transaction
from kndb.store.prompts import RelationLang
from kndb.store.runs import find_run, read_runs

if TYPE_CHECKING:
    import pyarrow as pa


NeuronOfFact = tuple[int, RelationLang, int, int]
"""A fact's id, relation and language, layer and index of a neuron."""

_DEGENERATE = """
    SELECT DISTINCT fact_id, relation_id, lang, layer, neuron
    FROM degenerate_set JOIN degenerate_member USING (search_id, set_id) JOIN fact USING (fact_id)
    WHERE search_id = ? AND kind = 'degenerate' AND is_degenerate
    ORDER BY ALL
"""
_KNOWLEDGE = """
    SELECT DISTINCT fact_id, relation_id, lang, layer, neuron
    FROM knowledge_neuron JOIN fact USING (fact_id) WHERE run_id = ?
    ORDER BY ALL
"""


def degenerate_neurons(path: str | Path, search_id: int) -> list[NeuronOfFact]:
    """The neurons of the degenerate sets that a search found, by fact and language."""
    return _neurons(path, _DEGENERATE, search_id)


def knowledge_neurons(path: str | Path, run_id: int) -> list[NeuronOfFact]:
    """The knowledge neurons of a run, by fact and language."""
    return _neurons(path, _KNOWLEDGE, run_id)


def _neurons(path: str | Path, sql: str, key: int) -> list[NeuronOfFact]:
    with connect(path) as connection:
        rows = connection.execute(sql, [key]).fetchall()
    return [
        (fact, RelationLang(relation, lang), layer, neuron)
        for fact, relation, lang, layer, neuron in rows
    ]


TABLES = (
    "factcheck_calibration",
    "factcheck",
    "factcheck_split",
    "factcheck_neuron",
    "factcheck_curve",
)


def write_calibration(
    path: str | Path, calibration_id: int, tables: Mapping[str, pa.Table], *, wait: float = 60.0
) -> None:
    """Store a calibration in one transaction, replacing any with the same id.

    Args:
        path: the database.
        calibration_id: its id.
        tables: rows by table name, one entry for each of :data:`TABLES`.
        wait: seconds to keep trying while another process holds the file.

    Raises:
        DatabaseError: the database cannot be opened for writing.
    """
    with transaction(path, wait=wait) as connection:
        for name in TABLES:
            connection.execute(f"DELETE FROM {name} WHERE calibration_id = ?", [calibration_id])
            connection.register("new_rows", tables[name])
            connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM new_rows")
            connection.unregister("new_rows")


@dataclass(frozen=True)
class StoredCalibration:
    """A calibration as stored.

    Attributes:
        calibration_id: its id.
        run_id: the run whose neurons it uses.
        run_settings: the run's settings.
        settings: the calibration's own settings, as JSON.
        thresholds: ``(relation_id, lang, method, threshold, low, high, f1, n_validation)``.
        neurons: ``(relation_id, lang, kind, layer, neuron)``.
        curves: ``(relation_id, lang, method, threshold, true_above, false_above)``, ascending.
        splits: the split of each fact key.
    """

    calibration_id: int
    run_id: int
    run_settings: Mapping[str, Any]
    settings: str
    thresholds: list[tuple[str, str, str, float, float, float, float, int]]
    neurons: list[tuple[str, str, str, int, int]]
    curves: list[tuple[str, str, str, float, int, int]]
    splits: dict[str, str]


_CALIBRATIONS = """
    SELECT calibration_id, run_id, factcheck_calibration.settings
    FROM factcheck_calibration JOIN run USING (run_id)
    WHERE model_id = $model AND ($run IS NULL OR run_id = $run)
    ORDER BY created_at DESC, calibration_id LIMIT 1
"""
_PARTS = {
    "thresholds": "SELECT relation_id, lang, method, threshold, threshold_low, threshold_high, f1, "
    "n_validation FROM factcheck WHERE calibration_id = ? ORDER BY ALL",
    "neurons": "SELECT relation_id, lang, kind, layer, neuron "
    "FROM factcheck_neuron WHERE calibration_id = ? ORDER BY ALL",
    "curves": "SELECT relation_id, lang, method, threshold, true_above, false_above "
    "FROM factcheck_curve WHERE calibration_id = ? ORDER BY ALL",
}


def read_calibration(
    path: str | Path, model_id: int, model: str, run: str | None = None
) -> StoredCalibration:
    """The newest calibration of a model.

    Args:
        path: the database.
        model_id: the model, by its weights.
        model: its name, for messages.
        run: only calibrations of this run; any run of the model when None.

    Raises:
        NotFound: the model has no such calibration.
    """
    if found := find_calibration(path, model_id, run):
        return found
    raise NotFound(
        f"The fact check is not calibrated for the model {model} in {path}; "
        f"`kndb factcheck calibrate --model {model}` does it."
    )


def find_calibration(
    path: str | Path, model_id: int, run: str | None = None
) -> StoredCalibration | None:
    """Like :func:`read_calibration`; None if there is none.

    Raises:
        NotFound: there is no such run.
    """
    with connect(path) as connection:
        asked = {"model": model_id, "run": None if run is None else find_run(connection, run)}
        newest = connection.execute(_CALIBRATIONS, asked).fetchone()
        if newest is None:
            return None
        calibration_id, run_id, settings = newest
        (of_run,) = read_runs(connection, [run_id])
        key = [calibration_id]
        parts: dict[str, Any] = {
            name: connection.execute(sql, key).fetchall() for name, sql in _PARTS.items()
        }
        splits = connection.execute(
            "SELECT fact_key, split FROM factcheck_split WHERE calibration_id = ?", key
        ).fetchall()
    return StoredCalibration(
        calibration_id, run_id, of_run.settings, settings, **parts, splits=dict(splits)
    )
