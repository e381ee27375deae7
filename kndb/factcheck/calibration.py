"""Calibrates the fact check: neurons from training facts, thresholds from validation facts.

Test facts are set aside first: neither their neurons nor their answers (as wrong answers to other
prompts) are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kndb.crew.placement import Placement, check_placement
from kndb.errors import KndbError, UsageError
from kndb.factcheck.calibrated import attribution_settings
from kndb.factcheck.calibration_rows import Calibration, calibration_tables
from kndb.factcheck.curves import OBJECTIVES
from kndb.factcheck.labelled_claims import LabelledClaim, WrongAnswers, labelled, split_of
from kndb.factcheck.relation_neurons import Counted, count_facts, frequent, random_others
from kndb.factcheck.scoring import read_claims
from kndb.factcheck.thresholds import choose_thresholds
from kndb.facts import content_id
from kndb.model_runs import engine_and_run
from kndb.models import ModelChoice
from kndb.progress import Report, silent
from kndb.store import ids
from kndb.store.calibrations import (
    degenerate_neurons,
    knowledge_neurons,
    write_calibration,
)
from kndb.store.catalogue import utc_now
from kndb.store.database import check_writable, connect
from kndb.store.prompts import RelationLang, StoredPrompt, read_prompts
from kndb.store.which_search import finished_search


@dataclass(frozen=True)
class CalibrationRequest(Placement):
    """What to calibrate, and on what; where the model runs, see :class:`Placement`.

    Attributes:
        database: the database's path.
        model: which model, and how it is loaded.
        run: a run's id or its first digits; the model's newest finished run when None.
        split: percentages of training, validation and test facts.
        seed: seed of the split, the wrong answers and the random neurons.
        share: keep a relation's degenerate neurons that occur in more than this share of the
            number of facts in which its most frequent one occurs; 0.7 in AMIG's released code.
        objective: the threshold maximises ``f1`` or ``accuracy``.
        wrong: number of wrong answers to each prompt.
    """

    database: Path
    model: ModelChoice
    run: str | None = None
    split: tuple[int, int, int] = (60, 20, 20)
    seed: int = 0
    share: float = 0.7
    objective: str = "f1"
    wrong: int = 1

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            UsageError: an unknown objective, a share out of range, no wrong answers, or the model
                cannot run there.
        """
        super().__post_init__()
        check_placement(self)
        if self.objective not in OBJECTIVES:
            raise UsageError(
                f"There is no objective {self.objective!r}; choose from {', '.join(OBJECTIVES)}."
            )
        if not 0 <= self.share < 1:
            raise UsageError(f"The share must be at least 0 and below 1; {self.share:g} was given.")
        if self.wrong < 1:
            raise UsageError(f"At least 1 wrong answer is needed; {self.wrong} was given.")

    def settings(self) -> dict[str, Any]:
        """The settings that distinguish calibrations of the same run and search."""
        return {
            "split": list(self.split),
            "seed": self.seed,
            "share": self.share,
            "objective": self.objective,
            "wrong": self.wrong,
            "dtype": self.model.dtype,
        }


def calibrate(request: CalibrationRequest, progress: Report = silent) -> Calibration:
    """Choose neurons and thresholds, and store them.

    Raises:
        NotFound: no such run, or it has no search for degenerate neurons.
        UsageError: an option is wrong, or the run used another model.
        ModelError: the model cannot be loaded.
        DatabaseError: the database cannot be opened.
        KndbError: the split leaves no claims to choose a threshold on, or the workers died.
    """
    check_writable(request.database)
    with engine_and_run(request) as (engine, run):
        with connect(request.database) as connection:
            search_id = finished_search(connection, run.run_id)
        prompts = read_prompts(request.database, run.run_id)
        splits = {
            prompt.fact_key: split_of(prompt.fact_key, request.split, request.seed)
            for prompt in prompts
        }
        neurons = choose_neurons(
            request, run.run_id, search_id, prompts, splits, engine.info.n_neurons
        )
        claims = validation_claims(request, prompts, splits)
        if not claims:
            raise KndbError(
                f"The split leaves no claims to choose thresholds on: {len(splits)} facts are too "
                "few."
            )
        settings = attribution_settings(run.settings)
        read = read_claims(engine, claims, neurons, settings, request.model.memory, progress)
    train = {prompt.fact_key for prompt in prompts if splits[prompt.fact_key] == "train"}
    thresholds = choose_thresholds(read, neurons, train, request.objective, request.seed)
    text = ids.canonical_json(request.settings())
    calibration_id = content_id("factcheck", run.run_id, search_id, text)
    found = Calibration(calibration_id, run.run_id, run.model, thresholds, neurons, splits)
    header = {
        "calibration_id": calibration_id,
        "run_id": run.run_id,
        "search_id": search_id,
        "settings": text,
        "created_at": utc_now(),
        "kndb_version": version("kndb"),
    }
    write_calibration(request.database, calibration_id, calibration_tables(header, found))
    return found


def choose_neurons(
    request: CalibrationRequest,
    run_id: int,
    search_id: int,
    prompts: Sequence[StoredPrompt],
    splits: Mapping[str, str],
    n_neurons: int,
) -> dict[str, dict[RelationLang, Counted]]:
    """The neurons of each kind, per relation and language, chosen on the training facts.

    Degenerate neurons: those of many facts. Knowledge neurons: all those of any fact. Random
    neurons: the same number as degenerate ones.
    """
    train = {prompt.fact_id for prompt in prompts if splits[prompt.fact_key] == "train"}
    found = count_facts(degenerate_neurons(request.database, search_id), train)
    degenerate = {
        relation_lang: frequent(counted, request.share) for relation_lang, counted in found.items()
    }
    return {
        "degenerate": degenerate,
        "knowledge": count_facts(knowledge_neurons(request.database, run_id), train),
        "random": random_others(degenerate, n_neurons, request.seed),
    }


def validation_claims(
    request: CalibrationRequest, prompts: Sequence[StoredPrompt], splits: Mapping[str, str]
) -> list[LabelledClaim]:
    """Claims about the validation facts. No wrong answer comes from a test fact."""
    seen = [prompt for prompt in prompts if splits[prompt.fact_key] != "test"]
    own = [prompt for prompt in prompts if splits[prompt.fact_key] == "validation"]
    return list(labelled(own, WrongAnswers(seen, prompts, request.seed), request.wrong))
