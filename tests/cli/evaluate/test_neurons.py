"""``kndb evaluate localisation`` and ``faithfulness`` on small runs, through the command line."""

from __future__ import annotations

import csv
import json
from dataclasses import MISSING, fields
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from kndb.evaluation import localisation
from kndb.evaluation.faithfulness import FaithfulnessRequest
from kndb.evaluation.localisation import METHODS, LocalisationRequest, columns
from kndb.evaluation.methods import SCORING
from kndb.models import ModelChoice
from kndb_cli.evaluate import neurons as commands
from kndb_cli.evaluate.tables import overall
from kndb_cli.main import main
from neuron_runs import make_run
from saved_models import saved

Run = tuple[Path, Path]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("bert"), "tiny-bert")


@pytest.fixture
def run(bert: Run, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("KNDB_DB", str(bert[0]))

    def call(command: str, *args: str, model: Path = bert[1]) -> tuple[int, str, str]:
        code = main(["evaluate", command, "--model", str(model), "--replicates", "100", *args])
        out, err = capfd.readouterr()
        return code, out, err

    return call


def test_localisation_in_full(run: Any) -> None:
    code, out, err = run("localisation", "--facts", "2", "--langs", "en", "--json")
    assert code == 0, err
    rows = json.loads(out)
    assert list(rows[0]) == columns()
    assert {row["method"] for row in rows} == set(METHODS)
    assert {row["lang"] for row in rows} == {"all", "en"}
    assert rows[0]["n_facts"] == rows[0]["n_cases"] == 2
    # A single fact of a relation and language has no interval.
    assert rows[-1]["related_log"] is not None
    assert rows[-1]["related_log_low"] is None
    assert "wrong_sign: share of cases" in err


def test_localisation_drawn(run: Any) -> None:
    code, out, err = run("localisation", "--facts", "1", "--format", "table")
    assert code == 0, err
    lines = out.strip().splitlines()
    assert lines[0].split()[:3] == ["effect", "method", "neurons"]
    assert len([line for line in lines if line.startswith(("suppress", "enhance"))]) == 16
    assert "For more figures, write CSV, JSON or Parquet with -o FILE." in err


def test_only_the_methods_asked_for(run: Any) -> None:
    chosen = ("--facts", "1", "--methods", "ig-zero,random", "--json")
    found = {command: run(command, *chosen)[1] for command in ("localisation", "faithfulness")}
    methods = {
        command: list(dict.fromkeys(row["method"] for row in json.loads(out)))
        for command, out in found.items()
    }
    assert methods == {
        "localisation": ["knowledge", "ig-zero", "random", "random-layers"],
        "faithfulness": ["true", "ig-zero", "random"],
    }


def test_faithfulness_to_a_file(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "faithfulness.csv"
    code, out, err = run("faithfulness", "--facts", "2", "-o", str(file), "--quiet")
    assert (code, out, err) == (0, "", "")
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    assert [row["method"] for row in rows] == ["true", *SCORING]
    assert all(row["n_prompts"] == "2" for row in rows)
    assert float(rows[0]["overlap_10"]) == 1


def test_faithfulness_drawn(run: Any) -> None:
    code, out, err = run("faithfulness", "--facts", "1", "--format", "table")
    assert code == 0, err
    head, *_ = out.splitlines()
    assert head.split() == ["method", "prompts", "spearman", "overlap", "20", "removed", "20"]


def test_tops_are_chosen(run: Any) -> None:
    args = ("faithfulness", "--facts", "1", "--top", "7,3,1000")
    code, out, err = run(*args, "--format", "table")
    assert code == 0, err
    assert "overlap 7" in out
    assert "The top 1000 is left out: the model has 144 neurons." in err
    row, *_ = json.loads(run(*args, "--json")[1])
    assert row["overlap_3"] == row["overlap_7"] == 1
    for wrong in ("ten", "3,", "0"):
        code, out, err = run("faithfulness", "--top", wrong, "-q")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert f"but is {wrong!r}" in err or "0 was given" in err


def test_a_drawn_table_has_figures_of_the_whole_one(bert: Run) -> None:
    table = localisation.evaluate(
        LocalisationRequest(bert[0], ModelChoice(str(bert[1])), facts=2, replicates=100)
    )
    drawn = overall(table, ("method", "specificity", "absent"))
    assert drawn.columns == ["method", "specificity", "specificity_low", "specificity_high"]
    at = list(table.columns).index("specificity_high")
    whole = [row for row in table.rows if row[2:4] == ("all", "all")]
    assert [row[-1] for row in drawn.rows] == [row[at] for row in whole]
    assert drawn.notes == table.notes


@pytest.mark.parametrize(
    ("command", "request_type"),
    [(commands.localisation, LocalisationRequest), (commands.faithfulness, FaithfulnessRequest)],
)
def test_defaults_are_those_of_the_library(command: Any, request_type: type) -> None:
    """They are written twice, as the library takes seconds to import."""
    given = {name: option.default for name, option in signature(command).parameters.items()}
    if "top" in given:
        given["top"] = tuple(map(int, given["top"].split(",")))
    given |= {name: given[name] or () for name in ("langs", "methods", "devices")}
    options = (*fields(request_type), *fields(ModelChoice))
    shared = [f for f in options if f.name in given and f.default is not MISSING]
    assert len(shared) > 8
    assert {f.name: f.default for f in shared} == {f.name: given[f.name] for f in shared}


@pytest.mark.parametrize("command", ["localisation", "faithfulness", "factcheck"])
def test_where_a_model_cannot_run_is_said_before_it_is_loaded(command: str, run: Any) -> None:
    code, _, err = run(command, "--devices", "cpu,tpu")
    assert code == 2
    assert "There is no device 'tpu'" in err
    code, _, err = run(command, "--ray-address", "10.0.0.1:6379")
    assert code == 2
    assert "--ray-address goes with --engine ray" in err
    assert "Loading" not in err


@pytest.mark.parametrize("command", ["localisation", "faithfulness"])
def test_what_goes_wrong_is_one_sentence(command: str, run: Any, tmp_path: Path) -> None:
    code, out, err = run(command, "--langs", "xx")
    assert (code, out) == (2, "")
    assert "There is no language 'xx' in this run; choose from de, en." in err
    code, _, err = run(command, "--db", str(tmp_path / "no.duckdb"))
    assert code == 3
    assert "Traceback" not in err
    code, _, err = run(command, model=saved("other-bert"))
    assert code == 4
    assert "no finished run" in err
    code, _, _ = run(command, "--facts", "0")
    assert code == 2
    code, _, err = run(command, "--methods", "amig,nothing")
    assert code == 2
    assert "There is no method 'nothing'; choose from amig, amig-paper" in err
