"""Merges databases: rows that are the same are there once, and shards of a run become one run.

Ids are hashes of what they name, so nothing is renumbered. Each source is taken in one transaction,
and taking it again changes nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from kndb.errors import DatabaseCorrupt, UsageError
from kndb.progress import Report, silent
from kndb.store.database import as_path, connect, database_error, has_tables, transaction
from kndb.store.score_folder import Part as ScorePart
from kndb.store.score_folder import check_whole, part_files
from kndb.store.score_merging import take_parts
from kndb.store.score_parts import check_part, shape_of
from kndb.store.score_view import parts_of
from kndb.store.shards import Shards
from kndb.store.views import quoted
from kndb.store.writer import refine

SAME = 1e-3
"""Probabilities of one prompt in two sources differ by no more; rounding moves them by less."""

_BY_ID = "{0} NOT IN (SELECT {0} FROM {1})".format
_BY_IDS = "({0}) NOT IN (SELECT ({0}) FROM {1})".format
_PROMPT = _BY_IDS("run_id, prompt_id", "prediction")
_SET = _BY_IDS("search_id, set_id", "degenerate_set")
_CALIBRATION = _BY_ID("calibration_id", "factcheck_calibration")
_EDIT = _BY_ID("edit_id", "edit")

_NEW = {
    "model": _BY_ID("model_id", "model"),
    "dataset": _BY_ID("dataset_id", "dataset"),
    "relation": _BY_ID("relation_id", "relation"),
    "fact": _BY_ID("fact_id", "fact"),
    "prompt": _BY_ID("prompt_id", "prompt"),
    "attribution": _PROMPT,
    "word_attribution": _PROMPT,
    "prediction": _PROMPT,
    "neuron_direction": _BY_IDS("model_id, layer, neuron", "neuron_direction"),
    "knowledge_neuron": _BY_ID("run_id", "run"),
    "knowledge_by_neuron": _BY_ID("run_id", "run"),
    # Those of a shard are not those of the run.
    "neuron_overlap": f"{_BY_ID('overlap_id', 'neuron_overlap')} AND run_id IN "
    "(SELECT run_id FROM source.run WHERE shards IS NULL)",
    "degenerate_subset": _SET,
    "degenerate_member": _SET,
    "degenerate_set": _SET,
    "degenerate_fact": _BY_IDS("search_id, fact_id, lang", "degenerate_fact"),
    "degenerate_search": _BY_ID("search_id", "degenerate_search"),
    "factcheck_curve": _CALIBRATION,
    "factcheck_neuron": _CALIBRATION,
    "factcheck_split": _CALIBRATION,
    "factcheck": _CALIBRATION,
    "factcheck_calibration": _CALIBRATION,
    "edit_measure": _EDIT,
    "edit_neuron": _EDIT,
    "edit": _EDIT,
    "run": _BY_ID("run_id", "run"),
}
"""Which rows of a source are new, in an order in which none hides a later one."""

_PARTS = """
    SELECT run_id, model.name, weights_sha256, dataset.name, dataset_id, settings, status, shards
    FROM run JOIN model USING (model_id) JOIN dataset USING (dataset_id) ORDER BY run_id
"""
_COMMON = """
    SELECT run_id, here.shards, there.shards, here.tau, here.share,
           greatest(here.finished_at, there.finished_at)
    FROM run AS here JOIN source.run AS there USING (run_id)
"""
_CONTRADICTIONS = """
    SELECT prompt.text, here.run_id, here.status, here.p_answer, there.status, there.p_answer
    FROM prediction AS here
    JOIN source.prediction AS there USING (run_id, prompt_id)
    JOIN prompt USING (prompt_id)
    WHERE here.status <> there.status
       OR abs(here.p_answer - there.p_answer) > $same * greatest(here.p_answer, there.p_answer)
    ORDER BY here.run_id, prompt_id LIMIT 1
"""


@dataclass(frozen=True)
class Part:
    """A run as a database has it.

    Attributes:
        path: the database.
        run_id: the run.
        model: the model's name.
        weights_sha256: the model's weights.
        dataset: the data set's name.
        dataset_id: its id.
        settings: all settings.
        shards: what of it is there.
    """

    path: Path
    run_id: int
    model: str
    weights_sha256: str
    dataset: str
    dataset_id: int
    settings: Mapping[str, Any]
    shards: Shards


@dataclass(frozen=True)
class Merged:
    """What came of a merge.

    Attributes:
        database: the target.
        new: rows taken, by table; tables without any are left out.
        missing: the numbers of the shards that runs still lack, by run.
    """

    database: Path
    new: Mapping[str, int]
    missing: Mapping[int, Sequence[int]]


def merge(sources: Sequence[str | Path], target: str | Path, progress: Report = silent) -> Merged:
    """Bring the contents of several databases into one.

    Args:
        sources: databases; they are not changed, but for an upgrade of old ones.
        target: where to; made if it does not exist, else added to.
        progress: called after each source.

    Raises:
        DatabaseError: a database cannot be opened.
        KndbError: parts of a source's scores are missing or damaged, which is seen before anything
            is taken; or they cannot be written.
        UsageError: a source is the target, has an unfinished run, or contradicts another: shards of
            the same data by another model or other settings, or of another number; or another
            result for the same prompt. What the sources before it have is then in the target.
    """
    paths, target = list(dict.fromkeys(map(Path, sources))), Path(target)
    parts = [part for path in paths for part in _parts(path)]
    if target.exists() and any(path.samefile(target) for path in paths):
        raise UsageError(f"{target} is to be merged into itself; give -o a new file.")
    if has_tables(target):
        parts += _parts(target)
    missing = _missing(parts)
    _check_scores(paths, target)
    new: Counter[str] = Counter()
    for number, path in enumerate(paths, 1):
        try:
            new.update(_take(path, target))
        except DatabaseCorrupt as error:  # it names the target, whichever of the two it is
            raise DatabaseCorrupt(
                f"{path} cannot be merged into {target}: one of them is damaged; `kndb db check` "
                "says which."
            ) from error
        progress(number, len(paths))
    return Merged(target, {table: n for table, n in new.items() if n}, missing)


def _parts(path: Path) -> list[Part]:
    """The runs of a database, all of them finished."""
    with connect(path) as connection:
        rows = connection.execute(_PARTS).fetchall()
    for run_id, *_, status, _ in rows:
        if status != "finished":
            raise UsageError(
                f"The run {run_id} in {path} is not finished; run its command again, then merge."
            )
    return [
        Part(path, run, model, weights, dataset, key, json.loads(settings), Shards.parse(shards))
        for run, model, weights, dataset, key, settings, _, shards in rows
    ]


def _missing(parts: Sequence[Part]) -> dict[int, list[int]]:
    """Shards that each run still lacks once these parts are merged."""
    runs: dict[int, Shards] = {}
    for part in parts:
        before = runs.get(part.run_id, part.shards)
        try:
            runs[part.run_id] = before.joined(part.shards)
        except UsageError as error:
            raise UsageError(f"{part.path}: {error}") from error
    short = {run_id: shards.missing for run_id, shards in runs.items() if shards.missing}
    by_dataset: dict[int, Part] = {}
    for part in parts:
        if part.run_id in short:
            other = by_dataset.setdefault(part.dataset_id, part)
            if other.run_id != part.run_id:
                raise UsageError(_difference(other, part))
    return short


def _difference(one: Part, other: Part) -> str:
    """Why two shards are not of one run."""
    if one.weights_sha256 != other.weights_sha256:
        what = f"were made by models of other weights, {one.model} and {other.model}"
    else:
        both = {**one.settings, **other.settings}
        names = sorted(n for n in both if one.settings.get(n) != other.settings.get(n))
        values = (
            f"{name} ({one.settings.get(name)} and {other.settings.get(name)})" for name in names
        )
        what = f"differ in {', '.join(values)}"
    return (
        f"{one.path} and {other.path} have shards of {one.dataset} that {what}; merge shards that "
        "were made with the same model and settings."
    )


def _check_scores(paths: Sequence[Path], target: Path) -> None:
    """Refuse missing parts of scores, and damaged ones among those that the target lacks."""
    held: set[ScorePart] = set()
    if has_tables(target):
        with connect(target) as connection:
            held.update(parts_of(connection))
    for path in paths:
        with connect(path) as connection:
            parts = parts_of(connection)
            check_whole(parts, part_files(path), f"{path} cannot be merged")
            for part in set(parts) - held:
                check_part(path, part, shape_of(connection, part.run_id))


def _take(path: Path, target: Path) -> dict[str, int]:
    """Take what is new in a source, and the number of rows by table."""
    with transaction(target, create=True, wait=60.0) as connection:
        try:
            connection.execute(f"ATTACH {quoted(as_path(path))} AS source (READ_ONLY)")
        except duckdb.Error as error:
            raise database_error(path, error) from error
        _check_results(connection, path, target)
        common = connection.execute(_COMMON).fetchall()
        parts = take_parts(connection, path, target)
        new = {table: _inserted(connection, table, condition) for table, condition in _NEW.items()}
        for run_id, here, there, tau, share, finished in common:
            shards = Shards.parse(here).joined(Shards.parse(there)).stored
            connection.execute(
                "UPDATE run SET shards = ?, finished_at = ? WHERE run_id = ?",
                [shards, finished, run_id],
            )
            if tau is not None and new["prediction"]:
                refine(connection, run_id, tau, share)
    return {**new, "score_part": parts}


def _inserted(connection: duckdb.DuckDBPyConnection, table: str, condition: str) -> int:
    sql = f"INSERT INTO {table} BY NAME SELECT * FROM source.{table} WHERE {condition}"
    ((n,),) = connection.execute(sql).fetchall()
    return int(n)


def _check_results(connection: duckdb.DuckDBPyConnection, path: Path, target: Path) -> None:
    found = connection.execute(_CONTRADICTIONS, {"same": SAME}).fetchall()
    for text, run_id, here, p_here, there, p_there in found:
        raise UsageError(
            f"{path} and {target} contradict each other in the run {run_id}: {text!r} is {there} "
            f"({_number(p_there)}) in one and {here} ({_number(p_here)}) in the other; leave one "
            "of them out."
        )


def _number(p: float | None) -> str:
    return "no probability" if p is None else f"probability {p:.4g}"
