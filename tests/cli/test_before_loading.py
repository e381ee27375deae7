"""What can be seen to be wrong is said before torch is imported, let alone a model loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from saved_models import saved
from small_store import finished_run

RUN = """
import io, json, sys
sys.modules["torch"] = sys.modules["transformers"] = None  # importing either would fail
from contextlib import redirect_stderr
from kndb_cli.main import main
for args in json.load(sys.stdin):
    with redirect_stderr(io.StringIO()) as err:
        code = main(args)
    print(json.dumps([code, err.getvalue()]))
"""

WRONG = [
    (["--preset", "amg"], 2, "no preset 'amg'; choose from amig"),
    (["--tau", "3"], 2, "tau is 3"),
    (["--tolerance", "0"], 2, "tolerance must be above 0"),
    (["--preset", "ig-zero", "--tolerance", "0.1"], 2, "needs the gauss-legendre quadrature"),
    (["--dataset", "nowhere"], 1, "no data set at 'nowhere'"),
    (["--relations", "P99"], 2, "has no relation 'P99'"),
    (["--dtype", "float8"], 2, "no dtype 'float8'"),
    (["--device", "tpu"], 2, "no device 'tpu'"),
    (["--db", "nowhere/a.duckdb"], 3, "no folder nowhere"),
    (["--db", "facts.csv"], 3, "not a kndb database"),
    (["--model", "demo-maskd"], 1, "did you mean demo-masked?"),
    (["--model", "./nowhere"], 1, "no model folder ./nowhere"),
    (["--model", "nowhere.gguf"], 1, "no GGUF file nowhere.gguf"),
    (["--model", "facts.csv"], 1, "facts.csv is a file, but not a GGUF file"),
    (["--known", "0"], 2, "--known counts ranks from 1"),
    (["--price", "2"], 2, "--price goes with --plan"),
]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, str]]:
    """Exit code and standard error of each wrong command, all run by one process."""
    folder = tmp_path_factory.mktemp("before")
    (folder / "facts.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    right = {"--model": str(saved("tiny-bert")), "--dataset": "demo", "--db": "k.duckdb"}
    asked = [right | dict(zip(args[::2], args[1::2], strict=True)) for args, _, _ in WRONG]
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input=json.dumps([["ingest", *(x for pair in it.items() for x in pair)] for it in asked]),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert not (folder / "k.duckdb").exists()
    return [(code, err) for code, err in map(json.loads, done.stdout.splitlines())]


@pytest.mark.parametrize("number", range(len(WRONG)), ids=lambda n: " ".join(WRONG[n][0]))
def test_ingest(answers: list[tuple[int, str]], number: int) -> None:
    _, code, says = WRONG[number]
    found, err = answers[number]
    assert found == code, err
    assert says in err
    assert "Loading" not in err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["edit", "--fact", "x", "--mode", "erase", "--neurons", "2:x"], "names no neurons"),
        (["edit", "--fact", "x", "--mode", "wrong"], "no mode 'wrong'"),
        (["edit", "--fact", "x", "--mode", "erase", "--device", "spread"], "give a single device"),
        (["edit", "--file", "x", "--mode", "fit", "--device", "spread"], "give a single device"),
        (["graph", "degenerate", "--t-low", "9"], "t"),
        (["factcheck", "calibrate", "--split", "1/2"], "split"),
    ],
)
def test_others_say_it_before_a_model_is_loaded(
    capsys: pytest.CaptureFixture[str], args: list[str], says: str
) -> None:
    from kndb_cli.main import main

    assert main([*args, "--model", "demo-masked", "--db", "nowhere.duckdb"]) == 2
    err = capsys.readouterr().err
    assert says in err.lower()
    assert "Loading" not in err


@pytest.mark.parametrize(
    "args",
    [
        ["graph", "degenerate"],
        ["factcheck", "calibrate"],
        ["edit", "--fact", "P36:Q142", "--mode", "erase"],
    ],
)
def test_a_database_that_cannot_be_written(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    args: list[str],
) -> None:
    from kndb.models import loading
    from kndb_cli.main import main

    path = tmp_path / "k.duckdb"
    finished_run(path)
    # Root may write everywhere, and tests may be run by root.
    monkeypatch.setattr("kndb.store.database.os.access", lambda place, _: place != path)
    monkeypatch.delattr(loading, "load_model")
    assert main([*args, "--model", "demo-masked", "--db", str(path)]) == 3
    assert f"{path} cannot be written; give another path" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["--fact", "Atlantis"], "No fact matches 'Atlantis'"),
        (["--fact", "France", "--relation", "colour"], "no relation 'colour'"),
    ],
)
def test_an_edit_of_a_fact_that_is_not_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, asked: list[str], says: str
) -> None:
    from kndb_cli.main import main

    path = tmp_path / "k.duckdb"
    finished_run(path)
    edit = ["edit", "--model", "demo-masked", "--mode", "erase", "--db", str(path)]
    assert main([*edit, *asked]) == 4
    err = capsys.readouterr().err
    assert says in err
    assert "Loading" not in err
