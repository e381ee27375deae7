"""``kndb factcheck`` and ``kndb evaluate`` on the masked demo model, and how claims come in."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from demo_index import demo_index
from kndb.errors import NotFound
from kndb_cli.errors import ExitCode
from kndb_cli.factcheck.claims_input import claims_in, opened
from kndb_cli.factcheck.verdicts import COLUMNS
from kndb_cli.main import main
from pausing import READY, wait_for


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    return demo_index(tmp_path_factory).database


@pytest.fixture
def claims(calibrated):
    """A true, a false and an unclear claim about facts of the database."""
    import kndb

    with kndb.open(calibrated) as database:
        (one, other, *_) = database.sql(
            "SELECT subject, answer FROM facts WHERE lang = 'en' ORDER BY fact_key"
        ).rows()
    return [
        f"The capital of {one[0]} is {one[1]}.",
        f"the capital of {one[0].upper()} is {other[1]}",
        "The capital of Atlantis is Paris.",
    ]


@pytest.fixture
def run(calibrated, capfd, monkeypatch):
    monkeypatch.setenv("KNDB_DB", str(calibrated))

    def call(*args):
        code = main(["factcheck", *args, "--model", "demo-masked"])
        out, err = capfd.readouterr()
        return code, out, err

    return call


PROGRAM = "import sys; from kndb_cli.main import main; sys.exit(main())"
PROBABILITY = ("--method", "probability", "--always")


def verdicts(out):
    return [json.loads(line)["verdict"] for line in out.splitlines()]


def test_claims_as_arguments(run, claims):
    code, out, err = run(*claims, *PROBABILITY, "--format", "jsonl")
    assert code == 0
    assert verdicts(out) == ["true", "false", "unknown"]
    assert "1 true, 1 false, 1 unknown." in err
    rows = [json.loads(line) for line in out.splitlines()]
    assert tuple(rows[0]) == COLUMNS
    assert rows[0]["score"] == rows[0]["p_claim"] > rows[0]["threshold"]
    assert rows[2]["reason"] == "its subject is not in the index"


@pytest.mark.parametrize("args", [(), ("--help",), ("-h",)])
def test_the_groups_help_has_the_options_of_a_check(capfd, args):
    main(["factcheck", *args])
    help, _ = capfd.readouterr()
    for shown in ("--file", "--method", "--explain", "--exit-code", "--fact", "CLAIM", "calibrate"):
        assert shown in help
    assert " --split " not in help
    main(["factcheck", "calibrate", "--help"])
    help, _ = capfd.readouterr()
    assert " --split " in help
    assert "--explain" not in help


@pytest.fixture
def barren(calibrated, tmp_path, monkeypatch):
    """The database, without degenerate neurons in its search."""
    path = tmp_path / "barren.duckdb"
    shutil.copyfile(calibrated, path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE degenerate_set SET is_degenerate = false")
    monkeypatch.setenv("KNDB_DB", str(path))
    return path


@pytest.mark.long
def test_what_lacks_degenerate_neurons_says_what_helps(run, barren, claims):
    code, _, err = run("calibrate")
    assert code == 0
    assert "2 of 2 relation-language pairs have no degenerate neurons" in err
    assert "search all with 'kndb graph degenerate'" in err
    for method in ("degenerate", "ensemble"):
        (row,) = json.loads(run(claims[0], "--method", method, "--json")[1])
        needs = "no degenerate neurons for the relation; the method probability needs none"
        assert (row["verdict"], row["reason"]) == ("unknown", needs)
    assert verdicts(run(claims[0], *PROBABILITY, "--format", "jsonl")[1]) == ["true"]


@pytest.fixture
def bare(calibrated, tmp_path, monkeypatch):
    """The database as ``kndb demo`` leaves it: not calibrated."""
    path = tmp_path / "bare.duckdb"
    shutil.copyfile(calibrated, path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("DELETE FROM factcheck_calibration")
    monkeypatch.setenv("KNDB_DB", str(path))


def test_without_a_calibration(run, bare, claims):
    code, out, err = run(*claims, "--format", "jsonl")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [row["verdict"] for row in rows] == ["true", "false", "unknown"]
    assert [row["method"] for row in rows] == ["probability", "probability", "auto"]
    assert rows[1]["threshold"] == rows[0]["score"]  # the stored answer is the likeliest other
    assert err.count("not calibrated: a claim is true if no other answer of the relation is") == 1
    assert "F1" not in err
    code, _, err = run(claims[0], "--method", "degenerate")
    assert (code, "is not calibrated" in err) == (NotFound.exit_code, True)


def test_the_best_method_on_validation_facts_is_the_default(run, calibrated, claims):
    with duckdb.connect(str(calibrated), read_only=True) as connection:
        found = connection.execute(
            "SELECT method, f1 FROM factcheck WHERE lang = 'en' AND method <> 'random'"
        ).fetchall()
    best = max(f1 for _, f1 in found)
    code, out, err = run(*claims, "--always", "--format", "jsonl")
    methods = [json.loads(line)["method"] for line in out.splitlines()]
    assert code == 0
    assert methods[0] == methods[1]
    assert (methods[0], best) in found
    assert f"Judged by {methods[0]}: 2, F1 {best:.2f} on validation facts (" in err
    (row, *_) = map(json.loads, out.splitlines())
    assert row["f1_low"] < row["f1"] == best <= row["f1_high"] <= 1
    assert "not calibrated" not in err


def test_the_exit_code_says_that_a_claim_is_false(run, claims):
    true, false, unclear = claims
    assert run(true, unclear, *PROBABILITY, "--exit-code")[0] == 0
    assert run(true, false, *PROBABILITY, "--exit-code")[0] == ExitCode.FAILED
    assert run(true, false, *PROBABILITY)[0] == 0


def test_a_fact_and_an_answer(run, claims):
    first = json.loads(run(claims[0], *PROBABILITY, "--format", "jsonl")[1])
    answer = first["best_answer"]
    code, out, _ = run(
        "--fact", first["fact_key"], "--answer", answer, "--format", "jsonl", *PROBABILITY
    )
    assert (code, verdicts(out)) == (0, ["true"])


def test_neurons_explain(run, claims):
    code, out, _ = run(claims[0], "--method", "knowledge", "--explain", "--always", "--json")
    (row,) = json.loads(out)
    assert code == 0
    assert row["neurons"] > 10
    assert row["decided"].count(":") == 10
    assert f"and {row['neurons'] - 10} more; " in row["decided"]


def test_what_decided_without_neurons_is_shown(run, claims):
    rows = json.loads(run(*claims[:2], *PROBABILITY, "--explain", "--json")[1])
    own, best = (part.rsplit(" ", 1) for part in rows[1]["decided"].split(", "))
    assert best[0] == rows[1]["best_answer"]
    assert float(own[1]) == pytest.approx(rows[1]["score"], rel=1e-3)
    assert "," not in rows[0]["decided"]  # the answer is the model's first choice


def test_other_columns_are_kept(run, claims, tmp_path):
    (tmp_path / "c.csv").write_text(
        "".join(["id,claim,lang\n", *(f'{n},"{one}",x\n' for n, one in enumerate(claims))])
    )
    (tmp_path / "c.jsonl").write_text(
        "".join(
            json.dumps({"id": n, "claim": one, f"x{n}": [n]}) + "\n" for n, one in enumerate(claims)
        )
    )
    for name, beside in (("c.csv", ("id", "given_lang")), ("c.jsonl", ("id", "x0"))):
        code, out, err = run("--file", str(tmp_path / name), *PROBABILITY, "--format", "jsonl")
        rows = [json.loads(line) for line in out.splitlines()]
        assert code == 0
        assert tuple(rows[0]) == (*COLUMNS, *beside)
        assert [int(row["id"]) for row in rows] == [0, 1, 2]
    assert [row["x0"] for row in rows] == [[0], None, None]
    assert err.count("'x1' is left out of the output") == 1


@pytest.mark.parametrize("form", ["txt", "jsonl", "csv"])
def test_claims_from_a_file(run, claims, tmp_path, form):
    file, out_file = tmp_path / f"claims.{form}", tmp_path / "out.jsonl"
    texts = {
        "txt": "\n\n".join(claims),
        "jsonl": "\n".join(json.dumps({"id": 1, "claim": claim}) for claim in claims),
        "csv": "\n".join(["id,claim", *(f'1,"{claim}"' for claim in claims)]),
    }
    file.write_text(texts[form], encoding="utf-8")
    code, out, _ = run("--file", str(file), *PROBABILITY, "-o", str(out_file))
    assert (code, out) == (0, "")
    assert verdicts(out_file.read_text()) == ["true", "false", "unknown"]


def test_claims_from_standard_input(run, claims, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(claims)))
    code, out, err = run("-", *PROBABILITY)
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].startswith("claim,fact_key,lang,verdict,")
    assert [line.count(",true,") for line in lines[1:]] == [1, 0, 0]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "Give claims, or --file"),
        (("A claim.", "--file", "x.txt"), "one of the three"),
        (("--fact", "P36:Q142"), "go together"),
        (("--file", "missing.txt"), "cannot be read"),
        (("A claim.", "--method", "magic"), "choose from auto"),
    ],
)
def test_what_makes_no_sense(run, args, said):
    code, _, err = run(*args)
    assert code == 2
    assert said in err
    assert "Loading" not in err


def test_another_precision_than_at_calibration(run, claims, capfd, calibrated):
    code, _, err = run(claims[0], "--dtype", "bfloat16")
    assert code == 2
    assert "calibrated with float32, but bfloat16" in err
    model = ["--model", "demo-masked", "--dtype", "bfloat16", "--db", str(calibrated)]
    assert main(["evaluate", "factcheck", *model]) == 2
    assert "use --dtype float32" in capfd.readouterr().err


@pytest.mark.long
def test_evaluation(run, calibrated, capfd, tmp_path):
    file = tmp_path / "rows.jsonl"
    arguments = ["evaluate", "factcheck", "--model", "demo-masked", "--db", str(calibrated)]
    code = main([*arguments, "--replicates", "100", "-o", str(file)])
    _, err = capfd.readouterr()
    assert code == 0, err
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert {row["method"] for row in rows} >= {"degenerate", "random", "everything-true"}
    assert all(row["f1_low"] <= row["f1"] <= row["f1_high"] for row in rows)


@pytest.mark.long
def test_an_interrupt_of_all_evaluations_keeps_what_was_done(calibrated, tmp_path):
    arguments = ["--model", "demo-masked", "--db", str(calibrated), "--report", "report"]
    started = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "evaluate", "all", *arguments],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
    )
    first = tmp_path / "report" / "tables" / "factcheck.json"
    try:
        wait_for(first, started)
        started.send_signal(signal.SIGINT)
        _, err = started.communicate(timeout=READY)
    finally:
        started.kill()
    assert started.returncode == ExitCode.INTERRUPTED, err.decode()
    *_, said, last = err.decode().splitlines()
    assert said == "Finished work is stored; run the same command again to continue."
    assert last == "Interrupted."
    assert first.exists()
    assert not (tmp_path / "report" / "index.html").exists()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("\n It rains. \n\nIt snows.\n", ["It rains.", "It snows."]),
        ('{"claim": "It rains."}\n', ["It rains."]),
        ('"It rains."\n"It snows."\n', ["It rains.", "It snows."]),
        ('claim,id\n"Rain, it is.",7\n', ["Rain, it is."]),
        ("\ufeffclaim,id\nIt rains.,7\n", ["It rains."]),
        ('"claim","id"\n"It rains.","7"\n', ["It rains."]),
        ('id;"Claim"\n7;Rain, it is.\n', ["Rain, it is."]),
        ("claim\tid\nRain; or snow, it is.\t7\n", ["Rain; or snow, it is."]),
        ("A, b, c.\n", ["A, b, c."]),
    ],
)
def test_the_first_line_says_the_form(text, found):
    assert [claim for claim, _ in claims_in(io.StringIO(text), None).lines] == found


@pytest.mark.parametrize(("name", "mark"), [("a.csv", ";"), ("a.csv", "\t"), ("a.tsv", "\t")])
def test_columns_may_be_parted_by_other_marks(tmp_path, name, mark):
    (tmp_path / name).write_text(f"id{mark}claim\n7{mark}Rain, it is.\n")
    with opened(tmp_path / name) as claims:
        assert claims.columns == ("id",)
        assert list(claims.lines) == [("Rain, it is.", ("7",))]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.jsonl", '{"claim": "x"}\n{', "line 2 is not JSON"),
        ("a.jsonl", '{"text": "x"}', 'line 1 has no "claim" among text'),
        ("a.csv", "id,text\n1,x\n", "no column 'claim' among id, text"),
        ("a.csv", "id,claim\n7\n", "row 2 has no column"),
        ("a.csv", 'claim,id\n"It rains.,7\nIt snows.,8\n', "line 3 is not CSV"),
        ("a.csv", f"claim\nx\n{'x' * 200_000}\n", "line 3 is not CSV"),
        ("a.jsonl", '{"claim": "x"}\n{"claim": ' + "[" * 100_000, "line 2 is not JSON"),
        ("a.jsonl", '{"claim": ' + "9" * 5000 + "}", "line 1 is not JSON"),
        ("a.jsonl", '{"claim": "\\ud800"}', "is not UTF-8 text"),
    ],
)
def test_a_malformed_file(tmp_path, name, text, said):
    from kndb.errors import UsageError

    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=said), opened(tmp_path / name) as claims:
        list(claims.lines)


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_standard_input_that_is_no_text(monkeypatch, errors):
    from kndb.errors import UsageError

    stdin = io.TextIOWrapper(io.BytesIO(b"It rains.\n\xff\n"), "utf-8", errors)
    monkeypatch.setattr("sys.stdin", stdin)
    with (
        pytest.raises(UsageError, match="standard input is not UTF-8"),
        opened(Path("-")) as claims,
    ):
        list(claims.lines)


def test_an_answer_that_is_no_text_is_no_name(run, claims):
    broken = claims[0].replace(".", "\udcff.")
    code, out, _ = run(broken, *PROBABILITY, "--json")
    assert (code, json.loads(out)[0]["verdict"]) == (0, "unknown")


def test_a_file_that_is_no_text(tmp_path):
    from kndb.errors import UsageError

    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not UTF-8"), opened(tmp_path / "a.txt") as claims:
        list(claims.lines)
