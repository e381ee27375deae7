"""What people try first in Python gives a result or one sentence, never a traceback from inside."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import kndb
from small_store import finished_run
from tiny import PROMPTS, tiny

NAME: Any = "demo-masked"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("newcomers") / "k.duckdb"
    finished_run(path)
    return path


@pytest.fixture
def db(path: Path) -> Iterator[kndb.Database]:
    with kndb.open(path) as database:
        yield database


def test_one_or_several_names_are_the_same(db: kndb.Database) -> None:
    assert db.query(lang=["en"]).rows() == db.query(lang="en").rows()
    assert db.query(lang=("en", "zh")).rows() == db.query().rows()
    assert db.query(lang="en, zh").rows() == db.query().rows()
    assert db.facts("France", lang=["zh"]).rows() == db.facts("France", lang="zh").rows()
    assert len(db.neurons(layer=(0, 1))) == len(db.neurons())
    assert db.measures(langs="en").rows() == db.measures(langs=["en"]).rows()
    with pytest.raises(kndb.UsageError, match="'en' is one language; give two"):
        db.overlap(langs="en")
    assert db.overlap(langs=["en", "zh"], fact="P36:Q142").rows()


ASKED: dict[str, Callable[[Any], Any]] = {
    "top is 'x', but must be a whole number": lambda db: db.query(top="x"),
    "top is 2.5, but": lambda db: db.query(top=2.5),
    "top is True, but": lambda db: db.measures(top=True),
    "top is 0, but": lambda db: db.query(top=0),
    "tau is 'x', but must be a number": lambda db: db.query(tau="x"),
    "share is 'x', but must be a number": lambda db: db.neurons(share="x"),
    "'2' is not a layer": lambda db: db.neurons(layer="2"),
    "5 is not a name": lambda db: db.query(fact=5),
    "'demo-masked' is not a loaded model; load one": lambda db: kndb.erase(NAME, db.query()),
    "'demo-masked' is not a loaded model": lambda db: kndb.attribute(NAME, PROMPTS),
    "None is not a name": lambda db: db.query(lang=["en", None]),
    "2 is not a neuron; write LAYER:INDEX": lambda db: db.query(neuron=(2, 641)),
    "'2' is not a neuron": lambda db: db.query(neuron="2"),
    "There is no picture 'layer'; choose from layers": lambda db: db.plot("layer"),
    "'' is not a fact": lambda db: db.query(fact=""),
}


@pytest.mark.parametrize("message", ASKED)
def test_a_wrong_value_is_one_sentence(message: str, db: kndb.Database) -> None:
    with pytest.raises(kndb.UsageError) as error:
        ASKED[message](db)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_request_takes_text_for_its_path_and_its_model(tmp_path: Path) -> None:
    path = str(tmp_path / "a.duckdb")
    request = kndb.IngestRequest(path, "demo-masked", "demo", langs="en", limit=1)  # type: ignore[arg-type]
    assert (request.database, request.langs) == (Path(path), ("en",))
    assert request.model == kndb.ModelChoice("demo-masked")
    done = kndb.ingest(request)
    assert done.prompts.keys() == {"en"}
    with kndb.open(path) as db:
        assert [*db.query(lang="en").models.values()] == ["demo-masked"]


def test_writing_while_a_database_is_open_is_refused_at_once(path: Path, db: Any) -> None:
    started = time.monotonic()
    with pytest.raises(kndb.DatabaseLocked, match="open for reading in this process"):
        kndb.overlap(db, fact="P36:Q142", store=True)
    assert time.monotonic() - started < 5
    db.close()
    assert kndb.overlap(path, fact="P36:Q142", store=True)


def test_a_single_prompt_is_asked_without_a_list() -> None:
    (alone,) = kndb.attribute(tiny("bert"), PROMPTS[0])
    (listed,) = kndb.attribute(tiny("bert"), [PROMPTS[0]])
    assert (alone.scores == listed.scores).all()


def test_models_say_what_they_are() -> None:
    assert repr(tiny("bert")) == "<Model bert: bert, 3 layers of 48 neurons, float32 on cpu>"


def test_what_edits_the_weights_is_public() -> None:
    assert {"erase", "update", "direction", "suppress", "enhance", "edited"} <= {*kndb.__all__}
