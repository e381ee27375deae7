"""What can be seen to be wrong is said before torch is imported, let alone a model loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from saved_models import saved

RUN = """
import sys
sys.modules["torch"] = sys.modules["transformers"] = None  # importing either would fail
from kndb_cli.main import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
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
    ],
)
def test_ingest(tmp_path: Path, args: list[str], code: int, says: str) -> None:
    (tmp_path / "facts.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    given = {"--model": str(saved("tiny-bert")), "--dataset": "demo", "--db": "k.duckdb"}
    given |= dict(zip(args[::2], args[1::2], strict=True))
    command = [sys.executable, "-c", RUN, "ingest", *(x for pair in given.items() for x in pair)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert says in done.stderr
    assert "Loading" not in done.stderr
    assert not (tmp_path / "k.duckdb").exists()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["edit", "--fact", "x", "--mode", "erase", "--neurons", "2:x"], "names no neurons"),
        (["edit", "--fact", "x", "--mode", "wrong"], "no mode 'wrong'"),
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
