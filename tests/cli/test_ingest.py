"""``kndb ingest`` with a tiny real model: its messages, and resuming."""

import json

import pytest

from kndb_cli.main import main
from kndb_ingest import pipeline
from saved_models import saved

FACTS = [
    ("Q142", "Q90", "en", "The capital of [X] is [Y].", "France", "Paris"),
    ("Q142", "Q90", "zh", "[X]的首都是[Y]。", "法国", "巴黎"),
    ("Q17", "Q1490", "en", "The capital of [X] is [Y].", "Japan", "New Tokyo"),
    ("Q29", "Q2807", "en", "The capital of [X] is [Y].", "Spain", "Madrid"),
]
COLUMNS = ("subject_id", "object_id", "lang", "template", "subject", "answer")


@pytest.fixture(scope="module")
def model():
    return saved("tiny-bert")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "facts.jsonl"
    rows = [{"relation": "P36", **dict(zip(COLUMNS, row, strict=True))} for row in FACTS]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@pytest.fixture
def ingest(model, dataset, tmp_path, capsys):
    def run(*args):
        given = ("--dataset", str(dataset), "--db", str(tmp_path / "a.db"))
        default = () if "--model" in args else ("--model", str(model))
        code = main(["ingest", *given, *default, *args])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_it_sums_up_and_the_second_time_does_nothing(ingest, tmp_path):
    code, out, err = ingest()
    assert (code, out) == (0, "")
    assert "tiny-bert on facts: 4 prompts in " in err
    assert "\n  facts         3\n" in err
    assert "the answer has unknown tokens" in err
    assert (tmp_path / "a.db").exists()
    code, out, err = ingest()
    assert (code, out) == (0, "")
    assert "Nothing to do: tiny-bert on facts was already finished." in err


def test_facts_without_a_place_for_the_answer_are_refused(ingest, tmp_path):
    row = {"relation": "P36", **dict(zip(COLUMNS, FACTS[0], strict=True))}
    lines = [row | {"template": "The capital of [X] is it."}, row | {"answer": ""}]
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    code, out, err = ingest("--dataset", str(wrong))
    assert (code, out) == (1, "")
    assert "No prompt of wrong can be used (1 answer missing, 1 no [Y] placeholder)" in err
    assert "Loading" not in err
    assert not (tmp_path / "a.db").exists()


@pytest.mark.parametrize(
    ("finished", "says"),
    [(0, "nothing was stored; the same command starts again"), (1, "Finished work is stored")],
)
def test_ctrl_c_says_what_is_kept(ingest, monkeypatch, finished, says):
    found = pipeline._store

    def interrupted(writer, run, rows, left, progress, most):
        def report(done, total):
            progress(done, total)
            if done == finished:
                raise KeyboardInterrupt

        return found(writer, run, rows, left, report, most)

    monkeypatch.setattr(pipeline, "_store", interrupted)
    code, _, err = ingest()
    assert code == 130
    assert says in err


def test_quiet_says_nothing(ingest):
    assert ingest("--quiet", "--langs", "en, zh", "--limit", "1", "--templates", "1") == (0, "", "")


def test_it_can_be_asked(ingest, tmp_path, capsys):
    assert ingest("--langs", "en")[0] == 0
    asked = ["query", "--db", str(tmp_path / "a.db"), "--fact", "France", "--json", "--top", "2"]
    assert main(asked) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["fact_key"] for row in rows] == ["P36:Q142", "P36:Q142"]
    assert rows[0]["score"] > rows[1]["score"] > 0


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("--langs", "xx"), 2, "en"),
        (("--preset", "amg"), 2, "amig-paper"),
        (("--tau", "0.01"), 2, "0.05"),
        (("--device", "tpu"), 2, "cuda"),
        (("--dtype", "int4"), 2, "bfloat16"),
        (("--engine", "spark"), 2, "local, ray"),
        (("--workers", "2"), 2, "--workers goes with --engine ray"),
        (("--engine", "ray", "--workers", "0"), 2, "at least 1"),
        (("--engine", "ray", "--gpus-per-worker", "-1"), 2, "at least 0"),
        (("--engine", "ray", "--gpus-per-worker", "1.5"), 2, "must be whole"),
        (("--model", "no/such/folder"), 1, "no/such/folder"),
        (("--dataset", "no/such/file.jsonl"), 1, "no/such/file.jsonl"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_leaves_no_database(ingest, tmp_path, args, code, says):
    found, out, err = ingest("--quiet", *args)
    assert (found, out) == (code, "")
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert says in err
    assert not (tmp_path / "a.db").exists()


def test_without_ray_it_says_how_to_install_it(ingest, monkeypatch):
    monkeypatch.setattr("kndb.crew.cluster.find_spec", lambda name: None)
    code, out, err = ingest("--engine", "ray")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "pip install 'kndb[ray]'" in err


def test_a_run_is_named(ingest, tmp_path, capsys):
    assert ingest("--name", "first")[0] == 0
    assert main(["runs", "show", "first", "--json", "--db", str(tmp_path / "a.db")]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["name"], found["status"]) == ("first", "finished")


def test_a_name_that_no_run_can_have_is_refused_before_the_work(ingest, tmp_path):
    code, _, err = ingest("--name", "123")
    assert (code, err.count("\n")) == (2, 1)
    assert not (tmp_path / "a.db").exists()
