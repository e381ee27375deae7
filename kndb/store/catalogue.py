"""The catalogue: models, data sets, relations, facts, prompts and runs, each stored once.

Turns values into rows and inserts those that are missing. The writer owns the transactions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import duckdb

from kndb.errors import DatabaseError
from kndb.facts import Fact, Prompt, Relation
from kndb.store import ids
from kndb.store.letters import plain
from kndb.store.processes import KEYS, this_process


class ModelRow(Protocol):
    """The columns of a model; ``kndb.models.ModelInfo`` provides them."""

    @property
    def name(self) -> str:
        """Hub id or folder name."""

    @property
    def revision(self) -> str | None:
        """Commit of the hub; empty for a local folder."""

    @property
    def architecture(self) -> str:
        """Model type of its configuration: ``bert``."""

    @property
    def family(self) -> str:
        """``masked_lm`` or ``causal_lm``."""

    @property
    def n_layers(self) -> int:
        """Number of feed-forward blocks."""

    @property
    def n_neurons(self) -> int:
        """Neurons in each feed-forward block."""

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights."""


class DatasetRow(Protocol):
    """The columns of a data set; a reader's ``Dataset`` provides them."""

    @property
    def name(self) -> str:
        """Folder or file name."""

    @property
    def format(self) -> str:
        """The format it was recognised as."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the files."""


def utc_now() -> datetime:
    """The current time in UTC, without a zone, because DuckDB's TIMESTAMP has none."""
    return datetime.now(UTC).replace(tzinfo=None)


def run_id_of(model: ModelRow, dataset: DatasetRow, settings: Mapping[str, Any]) -> int:
    """The id of the run with these settings."""
    return ids.run_id(
        ids.model_id(model.weights_sha256, model.architecture),
        ids.dataset_id(dataset.sha256),
        settings,
    )


def _model_row(model: ModelRow) -> dict[str, Any]:
    return {
        "model_id": ids.model_id(model.weights_sha256, model.architecture),
        "name": model.name,
        "revision": model.revision or "",
        "architecture": model.architecture,
        "family": model.family,
        "n_layers": model.n_layers,
        "n_neurons": model.n_neurons,
        "weights_sha256": model.weights_sha256,
    }


def _dataset_row(dataset: DatasetRow) -> dict[str, Any]:
    return {
        "dataset_id": ids.dataset_id(dataset.sha256),
        "name": dataset.name,
        "format": dataset.format,
        "sha256": dataset.sha256,
    }


def _relation_row(relation: Relation) -> dict[str, Any]:
    return {"relation_id": relation.relation_id, "label": relation.label}


def _run_row(
    model: ModelRow, dataset: DatasetRow, preset: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "run_id": run_id_of(model, dataset, settings),
        "model_id": ids.model_id(model.weights_sha256, model.architecture),
        "dataset_id": ids.dataset_id(dataset.sha256),
        "preset": preset,
        "settings": ids.canonical_json(settings),
        "status": "running",
        "started_at": utc_now(),
        "kndb_version": version("kndb"),
        "process": this_process(),
    }


def insert_run(
    connection: duckdb.DuckDBPyConnection,
    model: ModelRow,
    dataset: DatasetRow,
    preset: str,
    settings: Mapping[str, Any],
) -> None:
    """Store a run, its model and its data set if they are missing."""
    _insert_missing(connection, "model", "model_id", [_model_row(model)])
    _insert_missing(connection, "dataset", "dataset_id", [_dataset_row(dataset)])
    _insert_missing(connection, "run", "run_id", [_run_row(model, dataset, preset, settings)])


def require(connection: duckdb.DuckDBPyConnection, path: str | Path, table: str, key: int) -> None:
    """Refuse to write what would belong to nothing: the file may have been replaced meanwhile.

    Args:
        connection: to the database.
        path: its path, for the message.
        table: ``run`` or ``degenerate_search``.
        key: the id that must be in the table.

    Raises:
        DatabaseError: it is not there.
    """
    if not connection.execute(f"FROM {table} WHERE {KEYS[table]} = ?", [key]).fetchall():
        raise DatabaseError(
            f"{path} no longer has what this command is working on: the file was replaced, or a "
            "run deleted; run the same command again to start over."
        )


def insert_facts(
    connection: duckdb.DuckDBPyConnection,
    dataset: int,
    relations: Iterable[Relation],
    facts: Iterable[Fact],
    prompts: Sequence[Prompt],
) -> None:
    """Store relations, facts and prompts that are missing. ``dataset`` is an id."""
    _insert_missing(connection, "relation", "relation_id", map(_relation_row, relations))
    every_fact = dict.fromkeys((*facts, *(prompt.fact for prompt in prompts)))
    _insert_missing(connection, "fact", "fact_id", (_fact_row(dataset, f) for f in every_fact))
    _insert_missing(connection, "prompt", "prompt_id", (_prompt_row(dataset, p) for p in prompts))


def _fact_row(dataset: int, fact: Fact) -> dict[str, Any]:
    return {
        "fact_id": ids.fact_id(dataset, fact),
        "dataset_id": dataset,
        "relation_id": fact.relation_id,
        "subject_id": fact.subject_id,
        "object_id": fact.object_id,
        "fact_key": fact.key,
    }


def _prompt_row(dataset: int, prompt: Prompt) -> dict[str, Any]:
    return {
        "prompt_id": ids.prompt_id(dataset, prompt),
        "fact_id": ids.fact_id(dataset, prompt.fact),
        "lang": prompt.lang,
        "template": prompt.template,
        "text": prompt.text,
        "answer": prompt.answer,
        "subject": prompt.subject,
    }


def _insert_missing(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    key: str,
    rows: Iterable[Mapping[str, Any]],
) -> None:
    """Insert, sorted, the rows whose key is not in the table yet."""
    import pyarrow as pa  # Deferred: saves 0.1 s when nothing is written.

    by_key = {row[key]: row for row in rows}
    if not by_key:
        return
    connection.register("new_rows", pa.Table.from_pylist(list(by_key.values())))
    connection.execute(
        f"INSERT INTO {table} BY NAME SELECT *{_MADE.get(table, '')} FROM new_rows "
        f"WHERE {key} NOT IN (SELECT {key} FROM {table}) ORDER BY {_SORT.get(table, key)}"
    )
    connection.unregister("new_rows")


_SORT = {"prompt": "fact_id, lang, template", "fact": "fact_key, fact_id"}
_MADE = {
    "prompt": f", {plain('subject')} AS plain_subject, {plain('answer')} AS plain_answer",
}
"""Columns that are made from others."""
