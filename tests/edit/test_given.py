"""Neurons from a query: suppressed, enhanced and erased on planted weights, of this model only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import kndb
from kndb.edit.given import Given, neurons_of
from kndb.errors import ModelError, UsageError
from kndb.models import LanguageModel
from kndb.neurons import Neuron
from planted_search import add_search
from planted_store import plant as plant_rows
from planting import plant, quiet_model
from small_store import Model
from tiny import PROMPTS

FRANCE, _, _, GERMAN = PROMPTS
STORED = Model(n_layers=3, n_neurons=48)
FACTS = {"P36:Q142": {"en": [(1, 17)], "zh": [(1, 17)]}, "P38:Q3": {"en": [(0, 2)]}}


@pytest.fixture(scope="module")
def model() -> LanguageModel[Any]:
    """A model in which neuron 1:17 carries the answer Paris."""
    model = quiet_model("bert")
    own, other = (model.targets(*prompt)[0] for prompt in (FRANCE, GERMAN))
    plant(model, 1, 17, own, [other], strength=1.0)
    model.info = replace(model.info, weights_sha256=STORED.weights_sha256)
    return model


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("given") / "k.duckdb"
    plant_rows(path, FACTS, STORED)
    return path


@pytest.fixture
def db(path: Path) -> Iterator[kndb.Database]:
    with kndb.open(path) as database:
        yield database


def p(model: LanguageModel[Any], prompt: tuple[str, str]) -> float:
    target = model.targets(*prompt)[0]
    with torch.no_grad():
        logits = model.hf(input_ids=torch.tensor([target.tokens])).logits
    return float(logits[0, target.position].softmax(0)[target.answer])


def test_the_neurons_of_a_fact_are_suppressed_and_enhanced(
    model: LanguageModel[Any], db: kndb.Database
) -> None:
    found = db.query(fact="P36:Q142")
    before, other = p(model, FRANCE), p(model, GERMAN)
    with kndb.suppress(model, [Neuron(1, 17)]):
        expected = p(model, FRANCE)
    with kndb.suppress(model, found):
        assert p(model, FRANCE) == expected < 0.8 * before
        assert p(model, GERMAN) == pytest.approx(other, rel=1e-3)
    with kndb.enhance(model, found):
        assert p(model, FRANCE) > 1.1 * before
    with kndb.edited(model, kndb.erase(model, found)):
        assert p(model, FRANCE) < 0.8 * before
    assert p(model, FRANCE) == before


def test_neurons_come_from_every_kind_of_rows(model: LanguageModel[Any], db: kndb.Database) -> None:
    both = {Neuron(1, 17), Neuron(0, 2)}
    for found in (db.query(), db.neurons(), db.measures()):
        assert set(neurons_of(model, found)) == both
        assert len(neurons_of(model, found)) == 2
    assert neurons_of(model, db.overlap(fact="Q142")) == (Neuron(1, 17),)
    given: list[Given] = [[Neuron(1, 17)], ["1:17"], [(1, 17)], [(1, 17, 0.5)]]
    for one in given:
        assert neurons_of(model, one) == (Neuron(1, 17),)


def test_a_degenerate_set_gives_its_neurons(model: LanguageModel[Any], tmp_path: Path) -> None:
    from planted_search import FACTS as SEARCHED

    path = tmp_path / "k.duckdb"
    add_search(path, plant_rows(path, SEARCHED, STORED))
    with kndb.open(path) as db:
        assert neurons_of(model, db.degenerate(langs="zh")) == (Neuron(0, 2), Neuron(2, 8))


def test_rows_of_other_weights_are_refused(model: LanguageModel[Any], tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    plant_rows(path, FACTS, Model("other", weights_sha256="cd" * 32))
    with kndb.open(path) as db:
        found = db.query()
    refused = "found in other with weights cdcdcdcdcdcd, but those of bert are abababababab"
    with pytest.raises(ModelError, match=refused), kndb.suppress(model, found):
        pass
    with pytest.raises(ModelError, match=refused):
        kndb.erase(model, found)
    plant_rows(path, FACTS, STORED)
    with kndb.open(path) as db:
        found = db.query()
        with pytest.raises(UsageError, match="about 2 models, other, tiny; choose one"):
            neurons_of(model, found)
        assert neurons_of(model, db.query(model="tiny"))


def test_what_holds_no_neurons_is_refused(model: LanguageModel[Any], db: kndb.Database) -> None:
    with pytest.raises(UsageError, match="do not say whose neurons"):
        neurons_of(model, db.facts())
    runs = db.runs().of_models({STORED.weights_sha256: STORED.name})
    with pytest.raises(UsageError, match="no column of neurons, only run_id"):
        neurons_of(model, runs)
    given: Any
    for given in ("1:17", Neuron(1, 17), 5, [5], ["x"]):
        with pytest.raises(UsageError, match=r"not a (list of )?neuron"):
            neurons_of(model, given)
