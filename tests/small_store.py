"""A small fact set with hand-written scores, written into a real database by the real writer."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyarrow as pa

from kndb.facts import Fact, Prompt, Relation
from kndb.store import ids
from kndb.store.database import connect
from kndb.store.writer import Run, Writer


@dataclass(frozen=True)
class Model:
    name: str = "tiny"
    revision: str | None = None
    architecture: str = "bert"
    family: str = "masked_lm"
    n_layers: int = 2
    n_neurons: int = 8
    weights_sha256: str = "ab" * 32


@dataclass(frozen=True)
class Dataset:
    name: str = "facts"
    format: str = "kndb"
    sha256: str = "cd" * 32


RELATIONS = [Relation("P36", "capital"), Relation("P38", "currency")]
FRANCE = Fact("P36", "Q142", "Q90")
EURO = Fact("P38", "Q142", "Q4916")
IVORY_COAST = Fact("P36", "Q1008", "Q3768")
GUINEA = Fact("P36", "Q1006", "Q3733")
EQUATORIAL_GUINEA = Fact("P36", "Q983", "Q3818")

PROMPTS = [
    Prompt(FRANCE, "en", "The capital of [X] is [Y].", "France", "Paris"),
    Prompt(FRANCE, "en", "[X]'s capital is [Y].", "France", "Paris"),
    Prompt(FRANCE, "en", "[Y] is the capital of [X].", "France", "Paris"),
    Prompt(FRANCE, "zh", "[X]的首都是[Y]。", "法国", "巴黎"),
    Prompt(EURO, "en", "The currency of [X] is the [Y].", "France", "euro"),
    Prompt(IVORY_COAST, "en", "The capital of [X] is [Y].", "Côte d’Ivoire", "Yamoussoukro"),
    Prompt(GUINEA, "en", "The capital of [X] is [Y].", "Guinea", "Conakry"),
    Prompt(EQUATORIAL_GUINEA, "en", "The capital of [X] is [Y].", "Equatorial Guinea", "Malabo"),
]
DATASET_ID = ids.dataset_id(Dataset.sha256)
PROMPT_IDS = [ids.prompt_id(DATASET_ID, prompt) for prompt in PROMPTS]

SCORES = [
    # France, capital, English: at tau 0.2 and share 0.5 the neurons 0:1 and 1:3.
    (0, 0, 1, 1.0),
    (0, 1, 2, 0.1),
    (0, 1, 3, 0.5),
    (1, 0, 1, 0.5),
    (1, 1, 3, 0.25),
    (2, 0, 1, 0.0),  # nothing above 0: this prompt selects none, but counts
    (2, 1, 4, -0.5),
    # France, capital, Chinese: 0:1 and 0:7; at tau 0.1 also 1:5.
    (3, 0, 7, 1.0),
    (3, 0, 1, 0.75),
    (3, 1, 5, 0.125),
    (4, 1, 3, 0.5),
    (5, 0, 2, 0.5),
    (6, 0, 2, 0.5),
    (7, 0, 2, 0.5),
]
"""Rows of (index of the prompt, layer, neuron, score)."""

WORDS = [("The", 0.25, [0.5, -0.25]), ("France", 1.25, [0.5, 0.75])]
"""Words of the first prompt, with what they contribute, and that by layer."""


def begin(writer: Writer, model: Model | None = None, **settings: object) -> Run:
    """Begin a run over all prompts; other ``settings`` make another run."""
    facts = list(dict.fromkeys(prompt.fact for prompt in PROMPTS))
    return writer.begin(
        model or Model(), Dataset(), RELATIONS, facts, PROMPTS, "amig", {"seed": 0, **settings}
    )


def predictions(prompt_ids: list[int], status: str = "done") -> pa.Table:
    """A batch of predictions with nothing but a status."""
    return pa.table({"prompt_id": prompt_ids, "status": [status] * len(prompt_ids)})


def attributions(rows: list[tuple[int, int, int, float]]) -> pa.Table:
    """A batch of scores; each row begins with the id of its prompt."""
    names = ("prompt_id", "layer", "neuron", "score")
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])


def words() -> pa.Table:
    """``WORDS`` as a batch."""
    names = ("prompt_id", "position", "word", "contribution", "by_layer")
    rows = [(PROMPT_IDS[0], at, *word) for at, word in enumerate(WORDS)]
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])


def scored_run(
    path: Path, model: Model | None = None, factor: float = 1, **settings: object
) -> int:
    """A run with ``SCORES`` times ``factor``, not yet finished."""
    start_from_empty(path)
    writer = Writer(path)
    run = begin(writer, model, **settings)
    rows = [(PROMPT_IDS[at], layer, neuron, factor * score) for at, layer, neuron, score in SCORES]
    writer.append(run.run_id, predictions(PROMPT_IDS), attributions(rows), words())
    return run.run_id


def finished_run(
    path: Path, model: Model | None = None, factor: float = 1, **settings: object
) -> int:
    """A finished run at tau 0.2 and share 0.5."""
    if not path.exists() and not settings:
        content, run_id = _finished_run(model or Model(), factor)
        path.write_bytes(content)
        return run_id
    run_id = scored_run(path, model, factor, **settings)
    Writer(path).finish(run_id, 0.2, 0.5)
    return run_id


@cache
def _finished_run(model: Model, factor: float) -> tuple[bytes, int]:
    """A database with such a run alone, made once for all tests."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "k.duckdb")
        run_id = scored_run(path, model, factor)
        Writer(path).finish(run_id, 0.2, 0.5)
        return path.read_bytes(), run_id


def start_from_empty(path: Path) -> None:
    """Make a database without rows, unless there is one: the migrations run once for all tests."""
    if not path.exists():
        path.write_bytes(_empty_database())


@cache
def _empty_database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "k.duckdb")
        connect(path, write=True, create=True).close()
        return path.read_bytes()
