"""Runs every evaluation and writes a report: one page, and its tables as CSV and JSON.

What is missing (a calibration, a search, the model) becomes a sentence on the page that says how to
make it. Evaluations that run the model are kept with the key of what they were made from, and not
made again; those of stored rows take seconds and are always remade. The model is loaded once, by
this process or by the workers, when an evaluation needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb

from kndb.crew.engines import OnDemand
from kndb.crew.placement import Placement, check_placement
from kndb.errors import DatabaseError, KndbError
from kndb.evaluation import degenerate, factcheck, faithfulness, localisation
from kndb.evaluation.crosslingual import tables as crosslingual
from kndb.evaluation.factcheck_table import TITLE, as_table
from kndb.evaluation.report.files import make_folder, read_table, write_table, write_text
from kndb.evaluation.report.html import Section, page
from kndb.evaluation.stored import StoredRequest, stored_run
from kndb.evaluation.table import Table
from kndb.facts import content_id
from kndb.models import ModelChoice
from kndb.models.loading import weights_hash
from kndb.progress import Report, silent
from kndb.store import ids
from kndb.store.database import connect
from kndb.store.runs import StoredRun

Progress = Callable[[str, str], AbstractContextManager[Report]]
"""Shows progress of a block of work, given its name and the unit it counts."""

INDEX = "index.html"

DRAWN = {
    "localisation": localisation.LocalisationRequest.facts,
    "faithfulness": faithfulness.FaithfulnessRequest.facts,
}
"""Default numbers of facts to draw."""


@dataclass(frozen=True)
class ReportRequest(Placement):
    """What to evaluate, and where to write the report; for the model, see :class:`Placement`.

    Attributes:
        database: the database's path.
        model: which model, and how it is loaded.
        folder: the report's folder; created if missing.
        run: a run's id or its first digits; the model's newest finished run when None.
        facts: number of facts drawn for localisation and for faithfulness; :data:`DRAWN` when None.
        replicates: number of bootstrap resamples.
        seed: seed of every draw.
        fresh: remake tables that exist already.
    """

    database: Path
    model: ModelChoice
    folder: Path
    run: str | None = None
    facts: int | None = None
    replicates: int = 1000
    seed: int = 0
    fresh: bool = False

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            UsageError: the model cannot run there.
        """
        super().__post_init__()
        check_placement(self)


@dataclass(frozen=True)
class Written:
    """What came of a report.

    Attributes:
        page: its path.
        kept: names of the tables that were there already.
        missing: names of the tables without figures, each with the reason.
    """

    page: Path
    kept: tuple[str, ...]
    missing: Mapping[str, str]


def write_report(
    request: ReportRequest, progress: Progress = lambda label, unit: nullcontext(silent)
) -> Written:
    """Run every evaluation that can be run, and write the report.

    Raises:
        NotFound: the database has no such run, or no finished one of the model.
        UsageError: the folder is a file, or cannot be written to.
        DatabaseError: the database cannot be opened.
        KeyboardInterrupt: tables that were done are kept.
    """
    run = _run(request)
    make_folder(request.folder)
    kept: list[str] = []
    sections = [Section(*part) for part in _parts(request, run, progress, kept)]
    text = page(run, sections, {"seed": request.seed, "replicates": request.replicates})
    write_text(request.folder / INDEX, text)
    missing = {
        table.name: " ".join(table.notes)
        for section in sections
        for table in section.tables
        if not table.rows
    }
    return Written(request.folder / INDEX, tuple(kept), missing)


def _run(request: ReportRequest) -> StoredRun:
    """The run that all tables are about."""
    stored = StoredRequest(request.database, request.model.name, request.run)
    with connect(request.database) as connection:
        return stored_run(connection, stored, _by_weights(connection, request.model))


def _by_weights(connection: duckdb.DuckDBPyConnection, model: ModelChoice) -> list[int] | None:
    """The model's id, where its weights are at hand and in the database: names may be shared."""
    if not model.is_local:
        return None
    found = connection.execute(
        "SELECT model_id FROM model WHERE weights_sha256 = ?", [weights_hash(model.files)]
    ).fetchall()
    return [model_id for (model_id,) in found] or None


_TITLES = {
    "factcheck": TITLE,
    "localisation": "What neurons do to their facts and to unrelated ones",
    "faithfulness": "Scores of neurons against what their suppression does",
    "crosslingual": "What the languages of a fact share",
    "degenerate": "Sets of neurons that stand in for each other",
}


def _parts(
    request: ReportRequest, run: StoredRun, progress: Progress, kept: list[str]
) -> Iterator[tuple[str, Sequence[Table]]]:
    """Each section's tables, the section's name before them."""
    with OnDemand(request) as model:
        work = _Work(request, run, model, progress)
        of_model = [(name, [_of_model(name, make, work, kept)]) for name, make in _MAKE.items()]
    yield from of_model
    stored = StoredRequest(
        request.database, run.model, str(run.run_id), request.replicates, request.seed
    )
    for name, evaluate in (
        ("crosslingual", crosslingual.evaluate),
        ("degenerate", degenerate.evaluate),
    ):
        tables = _of_rows(name, evaluate, stored)
        for table in tables:
            write_table(request.folder, table, None)
        yield name, tables


def _of_rows(
    name: str, evaluate: Callable[[StoredRequest], list[Table]], request: StoredRequest
) -> list[Table]:
    """The tables made of stored rows, or why there are none."""
    try:
        return evaluate(request)
    except DatabaseError:
        raise
    except KndbError as error:
        settings = {"model": request.model, "run": request.run}
        return [Table(name, _TITLES[name], (), [], settings, [str(error)])]


@dataclass(frozen=True)
class _Work:
    """What evaluations that run the model are made with."""

    request: ReportRequest
    run: StoredRun
    model: OnDemand
    progress: Progress


def _of_model(name: str, make: Callable[[_Work], Table], work: _Work, kept: list[str]) -> Table:
    """The table that was made before from the same, or a new one; its error where it has none."""
    request, run = work.request, work.run
    key = _key(name, request, run)
    table = None if request.fresh else read_table(request.folder, name, key)
    if table is not None:
        kept.append(name)
        return table
    try:
        table = make(work)
    except DatabaseError:
        raise
    except KndbError as error:
        work.model.stop()
        settings = {"model": run.model, "run": run.run_id}
        table = Table(name, _TITLES[name], (), [], settings, [str(error)])
    write_table(request.folder, table, key if table.rows else None)
    return table


_CALIBRATION = """
    SELECT calibration_id, created_at::VARCHAR FROM factcheck_calibration
    WHERE run_id = ? ORDER BY created_at DESC, calibration_id LIMIT 1
"""


def _key(name: str, request: ReportRequest, run: StoredRun) -> str:
    """What a table is made from, in one number."""
    parts = {
        "table": name,
        "kndb": version("kndb"),
        "run": run.run_id,
        "dtype": request.model.dtype,
        "revision": request.model.revision,
        "seed": request.seed,
        "replicates": request.replicates,
    }
    if name in DRAWN:
        parts["facts"] = _facts(name, request)
    if name == "factcheck":
        with connect(request.database) as connection:
            parts["calibration"] = connection.execute(_CALIBRATION, [run.run_id]).fetchall()
    return str(content_id("report", ids.canonical_json(parts)))


def _shared(work: _Work) -> dict[str, Any]:
    """What the requests of all evaluations that run the model have in common."""
    request = work.request
    return {
        "database": request.database,
        "model": request.model,
        "run": str(work.run.run_id),
        "replicates": request.replicates,
        "seed": request.seed,
        "devices": request.devices,
        "cluster": request.cluster,
    }


def _factcheck(work: _Work) -> Table:
    request, run = work.request, work.run
    with connect(request.database) as connection:
        calibrated = connection.execute(_CALIBRATION, [run.run_id]).fetchall()
    if not calibrated:
        raise KndbError(
            "The fact check is not calibrated for this run; "
            f"`kndb factcheck calibrate --model {request.model.name}` does it."
        )
    own = factcheck.EvaluationRequest(**_shared(work))
    with work.progress("factcheck", "claims") as report:
        rows = factcheck.evaluate(own, report, work.model.engine())
    settings = {
        "model": run.model,
        "run": run.run_id,
        "calibration": calibrated[0][0],
        "replicates": request.replicates,
        "seed": request.seed,
        "dtype": request.model.dtype,
    }
    return as_table(rows, settings)


def _localisation(work: _Work) -> Table:
    facts = _facts("localisation", work.request)
    own = localisation.LocalisationRequest(**_shared(work), facts=facts)
    with work.progress("localisation", "facts") as report:
        return localisation.evaluate(own, report, work.model.engine())


def _faithfulness(work: _Work) -> Table:
    facts = _facts("faithfulness", work.request)
    own = faithfulness.FaithfulnessRequest(**_shared(work), facts=facts)
    with work.progress("faithfulness", "neurons") as report:
        return faithfulness.evaluate(own, report, work.model.engine())


_MAKE = {
    "factcheck": _factcheck,
    "localisation": _localisation,
    "faithfulness": _faithfulness,
}
"""How tables are made for which the model runs, by name."""


def _facts(name: str, request: ReportRequest) -> int:
    return DRAWN[name] if request.facts is None else request.facts
