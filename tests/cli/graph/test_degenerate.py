"""``kndb graph degenerate``: a real tiny model, searched through the command line."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kndb
import kndb.store.database
from kndb.models import ModelChoice
from kndb_cli.main import main
from kndb_ingest.pipeline import ingest
from kndb_ingest.request import IngestRequest
from pausing import READY, paused_command
from saved_models import saved

CAPITALS = {"Q142": ("France", "Paris"), "Q183": ("Germany", "German"), "Q29": ("Spain", "euro")}
TEMPLATES = ["The capital of [X] is [Y] .", "People in [X] speak [Y] ."]
LOOSE = ["--t-low", "0.1", "--t-high", "0.1", "--top", "8", "--device", "cpu"]
"""Thresholds loose enough for random weights to have degenerate sets."""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def model() -> Path:
    return saved("tiny-bert")


@pytest.fixture(scope="session")
def ingested(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("degenerate")
    rows = [
        {"relation": "P36", "subject_id": key, "object_id": f"of-{key}", "lang": lang}
        | {"template": template, "subject": subject, "answer": answer}
        for key, (subject, answer) in CAPITALS.items()
        for lang in ("en", "de")
        for template in TEMPLATES
    ]
    facts = folder / "facts.jsonl"
    facts.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    ingest(IngestRequest(folder / "k.duckdb", ModelChoice(str(model)), str(facts)))
    return folder / "k.duckdb"


@pytest.fixture
def db(ingested: Path, tmp_path: Path) -> Path:
    path = tmp_path / "k.duckdb"
    path.write_bytes(ingested.read_bytes())
    return path


@pytest.fixture
def search(db: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``kndb graph degenerate`` in this process on the model and a private database."""

    def run(*args: str, model: str = str(model)) -> tuple[int, str, str]:
        code = main(["graph", "degenerate", "--model", model, "--db", str(db), *args])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.mark.long
def test_processes_search_what_one_does_and_are_counted(search: Run, db: Path) -> None:
    code, _, err = search(*LOOSE[:-2], "--devices", "cpu,cpu")
    assert code == 0
    assert "\n  workers    cpu 6\n" in err
    code, _, err = search(*LOOSE)
    assert "Nothing to do" in err
    assert "workers" not in err


def test_options_of_an_engine_that_was_not_asked_for_are_refused(search: Run) -> None:
    code, _, err = search("--workers", "2")
    assert code == 2
    assert "--workers goes with --engine ray" in err


def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with kndb.open(path) as database:
        return list(database.sql(sql).rows())


def test_rows_are_the_stored_sets_and_notes_go_to_stderr(search: Run, db: Path) -> None:
    code, out, err = search(*LOOSE)
    rows = list(csv.DictReader(io.StringIO(out)))
    stored = ask(db, "SELECT count(*) FROM degenerate_set WHERE kind = 'degenerate'")
    assert code == 0
    assert [(len(rows),)] == stored
    assert rows
    for row in rows:
        assert len(row["neurons"].split(",")) == int(row["size"]) == 2
        assert float(row["max_subset_drop"]) <= 0.1 < float(row["drop_share"])
    assert "searched 6 fact-languages in" in err
    assert "requested  3 facts (6 fact-languages)" in err
    assert f"degenerate {len(rows)} of 2 neurons" in err
    assert search(*LOOSE)[1] == out


def test_groups_of_what_was_found(
    search: Run, db: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, out, _ = search(*LOOSE, "--json")
    pairs = {tuple(row["neurons"].split(",")) for row in json.loads(out)}
    assert main(["graph", "groups", "--by", "all", "--db", str(db), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert sum(row["n_pairs"] for row in rows) == len(pairs)
    assert {n for row in rows for n in row["neurons"].split(",")} == {n for p in pairs for n in p}
    assert main(["graph", "groups", "--db", str(db), "--format", "table"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].startswith("tiny-bert  run ")
    assert "largest clique" in table[1]
    picture = tmp_path / "group.svg"
    assert main(["graph", "plot", "degenerate", "--db", str(db), "-o", str(picture)]) == 0
    assert picture.read_text(encoding="utf-8").startswith("<?xml")


def test_json_and_a_search_done_before(search: Run) -> None:
    code, first, _ = search(*LOOSE, "--json", "--fact", "France", "--langs", "en")
    rows = json.loads(first)
    assert code == 0
    assert {(row["fact_key"], row["lang"]) for row in rows} == {("P36:Q142", "en")}
    code, again, err = search(*LOOSE, "--json", "--fact", "France", "--langs", "en")
    assert (code, again) == (0, first)
    assert "Nothing to do" in err
    code, _, err = search(*LOOSE, "--quiet", "--fact", "France", "--langs", "en")
    assert (code, err) == (0, "")


def figures(err: str) -> dict[str, str]:
    """The lines of the summary by name, except the search's id."""
    lines = (line.split(maxsplit=1) for line in err.splitlines() if line.startswith("  "))
    return {name: text for name, text in lines if name != "search"}


def test_figures_are_about_what_was_asked_whatever_else_the_search_holds(
    search: Run, db: Path
) -> None:
    alone = figures(search(*LOOSE, "--fact", "France", "--langs", "en")[2])
    assert alone["requested"] == "1 fact (1 fact-language)"
    err = search(*LOOSE)[2]
    assert "searched 5 fact-languages" in err
    assert "; 1 had already been searched." in err
    whole = figures(err)
    again = search(*LOOSE, "--fact", "France", "--langs", "en")
    assert figures(again[2]) == alone != whole
    found = len(again[1].splitlines()) - 1
    assert alone["degenerate"].startswith(f"{found} of 2 neurons" if found else "none")
    ((tried,),) = ask(db, "SELECT sum(n_tried) FROM degenerate_fact")
    assert whole["tried"].startswith(f"{tried:,} sets in ")
    ((search_id,),) = ask(db, "SELECT search_id FROM degenerate_search")
    assert f"search     {search_id} (for --search)" in err


def test_absolute_drops_are_of_the_probability_itself(search: Run, db: Path) -> None:
    thresholds = ["--drop", "absolute", "--t-low", "0.001", "--t-high", "0.001", "--top", "8"]
    code, out, _ = search(*thresholds, "--json")
    rows = json.loads(out)
    assert code == 0
    assert rows
    for row in rows:
        assert row["drop_share"] == pytest.approx(row["p_before"] - row["p_after"], abs=1e-6)
        assert row["max_subset_drop"] <= 0.001 < row["drop_share"]
    ((settings,),) = ask(db, "SELECT settings FROM degenerate_search")
    assert json.loads(settings)["drop"] == "absolute"


def test_larger_sets_within_a_budget(search: Run) -> None:
    code, out, err = search(*LOOSE, "--max-size", "3", "--budget", "5", "--json")
    assert code == 0
    assert {row["size"] for row in json.loads(out)} <= {2, 3}
    assert "left sets untried in" in err


@pytest.mark.parametrize(
    ("args", "said", "code"),
    [
        (["--t-low", "0.5", "--t-high", "0.2"], "t-high", 2),
        (["--drop", "some"], "drop", 2),
        (["--max-size", "1"], "2", 2),
        (["--budget", "-1"], "budget", 2),
        (["--top", "1"], "at least 2 neurons", 2),
        (["--limit", "0"], "at least 1 fact", 2),
        (["--fact", "Atlantis"], "Atlantis", 4),
        (["--relation", "P99"], "P99", 4),
        (["--langs", "xx"], "choose from de, en", 2),
        (["--run", "99"], "99", 4),
    ],
)
def test_wrong_input_is_one_sentence_and_writes_nothing(
    search: Run, db: Path, args: list[str], said: str, code: int
) -> None:
    got, out, err = search(*args, "--quiet")
    assert (got, out) == (code, "")
    assert err.startswith("Error: ")
    assert said in err
    assert "Traceback" not in err
    assert ask(db, "SELECT * FROM degenerate_search") == []


def test_a_model_that_is_not_there(search: Run, db: Path, tmp_path: Path) -> None:
    code, out, err = search("--quiet", model=str(tmp_path / "no-model"))
    assert (code, out) == (1, "")
    assert "no-model" in err
    assert err.count("\n") == 1
    code, _, err = search("--quiet", model=str(saved("other-bert")))
    assert code == 4
    assert "with these weights" in err


def test_facts_with_too_few_neurons_leave_nothing_to_search(search: Run, db: Path) -> None:
    with kndb.store.database.connect(db, write=True) as connection:
        connection.execute("DELETE FROM knowledge_neuron")
    code, out, err = search()
    assert (code, len(out.splitlines())) == (0, 1)  # just the header
    assert "skipped    6 no knowledge neurons" in err
    assert "tried      0 sets" in err
    code, out, _ = search("--json", "--quiet")
    assert (code, json.loads(out)) == (0, [])


def test_a_database_that_is_not_there(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--model", str(model), "--db", str(tmp_path / "no.duckdb"), "--quiet")
    code = main(["graph", "degenerate", *given])
    err = capsys.readouterr().err
    assert code == 3
    assert "There is no database" in err


@pytest.mark.long
def test_an_interrupted_search_goes_on(db: Path, model: Path, search: Run) -> None:
    args = ["graph", "degenerate", "--model", str(model), "--db", str(db), *LOOSE]
    single = "from kndb.degenerate import search; search.COMMIT_FACTS = 1"
    pipes = {"stdout": subprocess.PIPE}
    with paused_command(args, 3, db.with_name("half"), single, **pipes) as child:
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=READY)
    assert (child.returncode, out) == (130, b"")
    assert b"Finished work is stored; run the same command again to continue." in err
    ((stored,),) = ask(db, "SELECT count(*) FROM degenerate_fact")
    assert 2 <= stored < 6
    code, _, err_again = search(*LOOSE)
    assert code == 0
    assert f"searched {6 - stored} fact-language" in err_again
    assert ask(db, "SELECT count(*) FROM degenerate_fact") == [(6,)]
