"""The pipeline on tiny models and real files: rows, resuming, and what is skipped and why."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kndb
from kndb.errors import ModelError, UsageError
from kndb.models import ModelChoice
from kndb_cli.output.ingest_summary import summary
from kndb_ingest import pipeline
from kndb_ingest.pipeline import ingest
from kndb_ingest.request import IngestRequest
from kndb_ingest.rows import raw_scores
from overflowing import Overflowing
from pausing import READY, paused
from same_rows import assert_same_rows
from saved_models import saved

COUNTRIES = {"Q142": ("France", "Paris"), "Q17": ("Japan", "Tokyo"), "Q183": ("Germany", "Paris")}
TEMPLATES = ["The capital of [X] is [Y] .", "[Y] is the capital of [X] .", "The capital of [X]"]


@pytest.fixture(scope="session")
def models() -> dict[str, Path]:
    return {architecture: saved(f"tiny-{architecture}") for architecture in ("bert", "gpt2")}


@pytest.fixture
def facts(tmp_path: Path) -> Path:
    """Three facts in one language by three templates, and one subject the models do not know."""
    path = tmp_path / "facts.jsonl"
    rows = [
        {
            "relation": "P36",
            "relation_label": "capital",
            "subject_id": key,
            "object_id": f"of-{key}",
            "lang": "en",
            "template": template,
            "subject": subject,
            "answer": answer,
        }
        for key, (subject, answer) in {**COUNTRIES, "Q0": ("Nowhere", "")}.items()
        for template in TEMPLATES
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def table(path: Path, name: str) -> list[tuple[Any, ...]]:
    """All rows of a table, except times."""
    columns = "* EXCLUDE (started_at, finished_at)" if name == "run" else "*"
    with kndb.open(path) as db:
        return sorted(db.sql(f"SELECT {columns} FROM {name}").rows(), key=repr)


def test_masked_and_causal(models: dict[str, Path], facts: Path, tmp_path: Path) -> None:
    database = tmp_path / "k.duckdb"
    masked = ingest(IngestRequest(database, ModelChoice(str(models["bert"])), str(facts)))
    causal = ingest(IngestRequest(database, ModelChoice(str(models["gpt2"])), str(facts)))
    assert masked.prompts == {"en": (6, 6)}
    assert masked.skipped == {"no [Y] placeholder": 4, "answer missing": 2}
    assert causal.skipped == {
        "no [Y] placeholder": 4,
        "answer missing": 2,
        "the object is not last": 3,
    }
    assert masked.worst_completeness is not None
    assert masked.worst_completeness <= 0.01
    assert masked.worst_score_error is not None
    assert masked.worst_score_error <= 0.01
    assert masked.inexact == 0
    with kndb.open(database) as db:
        assert len(db.runs()) == 2
        found = db.query(fact="P36:Q142", model="tiny-bert").to_dicts()
        assert {row["subject"] for row in found} == {"France"}
        status = db.sql(
            "SELECT DISTINCT status, p_answer IS NULL, completeness IS NULL FROM prediction"
        )
        assert sorted(status.rows()) == [("done", False, False), ("skipped", True, True)]


@pytest.mark.parametrize("known", [None, 1000])
def test_a_prompt_that_overflows_fails_and_the_run_goes_on(
    known: int | None, models: dict[str, Path], facts: Path, tmp_path: Path
) -> None:
    database, model = tmp_path / "k.duckdb", Overflowing(str(models["bert"]))
    done = ingest(IngestRequest(database, model, str(facts), known=known))
    reason = "the activations of layer 0 are not finite"
    assert done.failed == {reason: (2, "The capital of Japan is [MASK] .")}
    assert done.prompts == {"en": (4, 6)}
    assert f"failed        2 {reason}, such as 'The capital of Japan" in summary(done)
    with kndb.open(database) as db:
        (run,) = db.runs().to_dicts()
        rows = db.sql(
            "SELECT DISTINCT lang, reason, p_answer FROM predictions WHERE status = 'failed'"
        ).rows()
        scores = db.sql("SELECT count(*) FROM attribution WHERE NOT isfinite(score)").rows()
    assert (run["status"], run["done"], run["failed"], run["skipped"]) == ("finished", 4, 2, 6)
    assert rows == [("en", reason, None)]
    assert scores == [(0,)]


def test_files_that_change_under_a_running_ingest_change_nothing(
    models: dict[str, Path], facts: Path, tmp_path: Path
) -> None:
    """Model and data were read before; what is run next is another model, and another data set."""
    folder = tmp_path / "tiny-bert"
    shutil.copytree(models["bert"], folder)
    still, moving = tmp_path / "still.duckdb", tmp_path / "moving.duckdb"
    ingest(IngestRequest(still, ModelChoice(str(folder)), str(facts), preset=FIXED))

    def overwrite(done: int, total: int) -> None:
        if not done:
            facts.write_text("")
            weights = folder / "model.safetensors"
            weights.write_bytes(weights.read_bytes()[:-4096] + bytes(4096))

    request = IngestRequest(moving, ModelChoice(str(folder)), str(facts), preset=FIXED)
    ingest(request, overwrite)
    assert_same_rows(moving, still, ("model", "dataset", "prediction", "attribution"))


def test_running_again_does_nothing(models: dict[str, Path], facts: Path, tmp_path: Path) -> None:
    request = IngestRequest(tmp_path / "k.duckdb", ModelChoice(str(models["bert"])), str(facts))
    first = ingest(request)
    before = request.database.read_bytes()
    again = ingest(request)
    assert (first.new_prompts, again.new_prompts) == (12, 0)
    assert again.knowledge_neurons == first.knowledge_neurons > 0
    assert table(request.database, "attribution")
    assert len(before) == len(request.database.read_bytes())


def test_other_thresholds_refine_the_same_run(
    models: dict[str, Path], facts: Path, tmp_path: Path
) -> None:
    database = tmp_path / "k.duckdb"
    loose = ingest(IngestRequest(database, ModelChoice(str(models["bert"])), str(facts), tau=0.1))
    strict = ingest(IngestRequest(database, ModelChoice(str(models["bert"])), str(facts), tau=0.9))
    assert loose.run_id == strict.run_id
    assert strict.new_prompts == 0
    assert strict.knowledge_neurons < loose.knowledge_neurons


FIXED = "ig-zero"
"""No path is refined, so that rounding in batches of another size decides nothing."""


def killed(broken: Path, model: Path, facts: Path) -> None:
    """A process that ingests, killed without warning once two prompts are attributed."""
    code = f"""
from kndb.models import ModelChoice
from kndb.progress import silent
from kndb_ingest import pipeline
pipeline.COMMIT_PROMPTS = 1
request = pipeline.IngestRequest(
    {str(broken)!r}, ModelChoice({str(model)!r}), {str(facts)!r}, preset={FIXED!r}
)
pipeline.ingest(request, pausing(silent, 2))
"""
    with paused(code, broken.with_name("some-are-stored")) as child:
        child.kill()
        assert child.wait(READY) == -signal.SIGKILL


def interrupted(broken: Path, model: Path, facts: Path) -> None:
    """Ctrl-C once eight prompts are done: two attributed, and six skipped before."""

    def press(done: int, total: int) -> None:
        if done == 2:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        ingest(IngestRequest(broken, ModelChoice(str(model)), str(facts), preset=FIXED), press)


@pytest.mark.parametrize("stop", [pytest.param(killed, marks=pytest.mark.long), interrupted])
def test_an_interrupted_run_goes_on(
    stop: Callable[[Path, Path, Path], None], models: dict[str, Path], facts: Path, tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole.duckdb", tmp_path / "broken.duckdb"
    ingest(IngestRequest(whole, ModelChoice(str(models["bert"])), str(facts), preset=FIXED))
    stop(broken, models["bert"], facts)
    partly = len(table(broken, "prediction"))
    assert 0 < partly < 12
    rest = ingest(IngestRequest(broken, ModelChoice(str(models["bert"])), str(facts), preset=FIXED))
    assert rest.new_prompts == 12 - partly
    tables = ("prediction", "attribution", "knowledge_neuron", "prompt", "fact", "run")
    assert_same_rows(broken, whole, tables)


def test_progress_counts_what_was_there(
    models: dict[str, Path], facts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = IngestRequest(tmp_path / "k.duckdb", ModelChoice(str(models["bert"])), str(facts))
    told: list[tuple[int, int]] = []

    class Stopped(Exception):
        pass

    def stop(done: int, total: int) -> None:
        told.append((done, total))
        if done == 3:
            raise Stopped

    monkeypatch.setattr(pipeline, "COMMIT_PROMPTS", 1)
    with pytest.raises(Stopped):
        ingest(request, stop)
    with kndb.open(request.database) as db:
        assert db.sql("SELECT status FROM run").rows() == [("interrupted",)]
    # The six that are skipped leave the total: they say nothing of the time left.
    assert told == [*((0, n) for n in range(12, 5, -1)), (1, 6), (2, 6), (3, 6)]
    told.clear()
    ingest(request, lambda done, total: told.append((done, total)))
    assert told == [(n, 12) for n in range(9, 13)]


def test_a_pickle_is_not_loaded(models: dict[str, Path], facts: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    folder.mkdir()
    (folder / "config.json").write_bytes((models["bert"] / "config.json").read_bytes())
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04N.")
    with pytest.raises(ModelError, match="safetensors"):
        ingest(IngestRequest(tmp_path / "k.duckdb", ModelChoice(str(folder)), str(facts)))
    assert not (tmp_path / "k.duckdb").exists()


def test_a_wrong_language_says_which_there_are(
    models: dict[str, Path], facts: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="en"):
        ingest(
            IngestRequest(
                tmp_path / "k", ModelChoice(str(models["bert"])), str(facts), langs=["xx"]
            )
        )
    assert not (tmp_path / "k").exists()


def test_raw_scores_are_all_above_the_floor_and_at_least_twenty() -> None:
    scores = np.zeros((3, 50), dtype=np.float32)
    scores[1, :30] = 1.0
    scores[2, 0], scores[2, 1] = 0.051, 0.049
    chosen, kept = raw_scores(scores)
    assert len(chosen) == 31
    assert kept.min() == np.float32(0.051)
    few, _ = raw_scores(-np.arange(100, dtype=np.float32).reshape(2, 50))
    np.testing.assert_array_equal(few, np.arange(20))
