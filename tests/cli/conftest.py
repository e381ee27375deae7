"""A real database with three facts, and the program as a process or as a function."""

import os
import subprocess
import sys
from dataclasses import dataclass

import pyarrow as pa
import pytest

from kndb.facts import Fact, Prompt, Relation
from kndb.store.ids import dataset_id, prompt_id
from kndb.store.writer import Writer
from kndb_cli.main import main

CAPITAL = Relation("P36", "capital")
FRANCE = Fact("P36", "Q142", "Q90")
CHINA = Fact("P36", "Q148", "Q956")
PORTUGAL = Fact("P36", "Q45", "Q597")

PROMPTS = [
    Prompt(FRANCE, "en", "The capital of [X] is [Y].", "France", "Paris"),
    Prompt(FRANCE, "en", "[X] is governed from [Y].", "France", "Paris"),
    Prompt(FRANCE, "zh", "[X]的首都是[Y]。", "法国", "巴黎"),
    Prompt(CHINA, "en", "The capital of [X] is [Y].", "China", "Beijing"),
    Prompt(CHINA, "zh", "[X]的首都是[Y]。", "中国", "北京"),
    Prompt(PORTUGAL, "en", "The capital of [X] is [Y].", "Portugal", "Lisbon"),
]

# (layer, neuron, score) for each prompt, in the order of PROMPTS; the last is skipped.
SCORES = [
    [(2, 117, 0.30), (1, 33, 0.10), (0, 5, 0.02)],
    [(2, 117, 0.20), (1, 34, 0.10)],
    [(2, 117, 0.25), (0, 8, 0.125)],
    [(1, 33, 0.40), (1, 34, 0.20)],
    [(2, 50, 0.50)],
]


@dataclass(frozen=True)
class Model:
    name: str = "tiny-masked"
    revision: str = ""
    architecture: str = "bert"
    family: str = "masked_lm"
    n_layers: int = 3
    n_neurons: int = 128
    weights_sha256: str = "00"


@dataclass(frozen=True)
class Data:
    name: str = "capitals"
    format: str = "kndb"
    sha256: str = "11"


def predictions() -> pa.Table:
    rows = [_prediction(prompt) for prompt in PROMPTS[:-1]]
    skipped = {**dict.fromkeys(rows[0]), "prompt_id": _id(PROMPTS[-1])}
    return pa.Table.from_pylist([*rows, {**skipped, "status": "skipped", "reason": "too long"}])


def _id(prompt: Prompt) -> int:
    return prompt_id(dataset_id(Data.sha256), prompt)


def _prediction(prompt: Prompt) -> dict[str, object]:
    return {
        "prompt_id": _id(prompt),
        "status": "done",
        "reason": None,
        "p_answer": 0.75,
        "p_tokens": [0.75],
        "rank": 1,
        "predicted": prompt.answer,
        "n_answer_tokens": 1,
        "completeness": 0.001,
        "score_error": 0.002,
    }


def attributions() -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"prompt_id": _id(prompt), "layer": layer, "neuron": neuron, "score": score}
            for prompt, scores in zip(PROMPTS[:-1], SCORES, strict=True)
            for layer, neuron, score in scores
        ]
    )


@pytest.fixture(scope="session")
def database(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "small.duckdb"
    write_run(path, "amig", seed=0)
    return path


def write_run(path, preset, **settings):
    writer = Writer(path)
    facts = [FRANCE, CHINA, PORTUGAL]
    run = writer.begin(Model(), Data(), [CAPITAL], facts, PROMPTS, preset, settings)
    writer.append(run.run_id, predictions(), attributions())
    writer.finish(run.run_id, tau=0.2, share=0.5)
    return run.run_id


@pytest.fixture
def two_runs(database, tmp_path, monkeypatch):
    """A copy of the database with a second run, which the fixture ``kndb`` then uses."""
    path = tmp_path / "two.duckdb"
    path.write_bytes(database.read_bytes())
    run_id = write_run(path, "ig-zero", seed=1)
    monkeypatch.setenv("KNDB_DB", str(path))
    return run_id


@pytest.fixture
def kndb(database, monkeypatch, capsys):
    """Run the program in this process on the small database: ``kndb("query", ...)``."""
    monkeypatch.setenv("KNDB_DB", str(database))

    def run(*args):
        code = main(args)
        out, err = capsys.readouterr()
        return code, out, err

    return run


PROGRAM = "import sys; from kndb_cli.main import main; sys.exit(main())"


class Processes:
    """Runs the program, other Python code or a shell line as processes on the small database."""

    def __init__(self, database):
        self._env = {**os.environ, "KNDB_DB": str(database), "PYTHON": sys.executable}
        self._env |= {"KNDB": PROGRAM}

    def __call__(self, *args, **options):
        return self.python(PROGRAM, *args, **options)

    def python(self, code, *args, **options):
        return self._run([sys.executable, "-c", code, *args], **options)

    def shell(self, line):
        return self._run(["bash", "-c", line])

    def start(
        self,
        *args,
        env=None,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ):
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *args],
            env={**self._env, **(env or {})},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )

    def _run(self, command, env=None, **options):
        env = {**self._env, **(env or {})}
        return subprocess.run(command, env=env, capture_output=True, timeout=600, **options)


@pytest.fixture(scope="session")
def processes(database):
    return Processes(database)


@pytest.fixture
def process(processes):
    return processes
