"""Whatever is asked for, the answer is rows or one of kndb's errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

import kndb
from kndb.edit import Delta
from kndb.edit.selection import parse_selection
from kndb.errors import KndbError, UsageError
from kndb.factcheck.claims import Claim, Index
from kndb.factcheck.labelled_claims import parse_split
from kndb.factcheck.spelling import canonical, fold, name_problem
from kndb.neurons import Neuron
from odd_inputs import TEXTS, broken
from small_store import finished_run

NUMBERS = st.integers().map(str) | st.text("0123456789²٣", max_size=5) | st.just("9" * 5000)
NEURONS = st.builds("{}:{}".format, NUMBERS, NUMBERS) | TEXTS


def refused(error: KndbError, *codes: int) -> None:
    assert error.exit_code in codes
    assert len(str(error)) < 10_000
    assert "\n" not in str(error)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("questions") / "k.duckdb"
    finished_run(path)
    return path


@pytest.fixture(scope="module")
def database(path: Path) -> Iterator[kndb.Database]:
    with kndb.open(path) as opened:
        yield opened


@given(asked=TEXTS | st.builds("{}:{}".format, TEXTS, TEXTS) | st.builds("France{}".format, TEXTS))
def test_facts(database: kndb.Database, asked: str) -> None:
    try:
        assert len(database.query(fact=asked))
    except KndbError as error:
        refused(error, 2, 4)


@example(name="model", asked="9" * 1000)  # too long for the name of a file
@given(name=st.sampled_from(["relation", "lang", "model", "run"]), asked=TEXTS | NUMBERS)
def test_names(database: kndb.Database, name: str, asked: str) -> None:
    try:
        assert len(database.query(**{name: asked}))  # type: ignore[arg-type]
    except KndbError as error:
        refused(error, 2, 4)


@given(text=NEURONS)
def test_neurons(database: kndb.Database, text: str) -> None:
    try:
        neuron = Neuron.parse(text)
    except UsageError:
        return
    assert Neuron.parse(str(neuron)) == neuron
    with pytest.raises(KndbError):
        database.query(neuron=Neuron(neuron.layer + 2, neuron.index))  # the model has two layers


@given(text=NEURONS | st.builds("{}:{}".format, st.sampled_from(["layer", "specific"]), NUMBERS))
def test_selections(text: str) -> None:
    try:
        parse_selection(text)
    except UsageError as error:
        refused(error, 2)


@given(text=st.lists(NUMBERS, max_size=4).map("/".join) | TEXTS)
def test_splits(text: str) -> None:
    try:
        assert sum(parse_split(text)) == 100
    except UsageError as error:
        refused(error, 2)


@pytest.fixture(scope="module")
def index(path: Path) -> Index:
    return Index.read(path)


@given(before=TEXTS, answer=TEXTS, plain=st.booleans())
def test_claims(index: Index, before: str, answer: str, plain: bool) -> None:
    text = f"The capital of France is {answer}." if plain else before
    found = index.match(text)
    assert found.text == text
    if isinstance(found, Claim):
        assert name_problem(found.answer) is None or found.answer in ("Paris", "euro")


@given(text=TEXTS)
def test_spelling(text: str) -> None:
    assert len(fold(text)) == len(text)
    assert canonical(canonical(text)) == canonical(text)


DELTA = Delta("ab" * 32, (Neuron(0, 1), Neuron(1, 3)), torch.zeros(2, 4), torch.ones(2, 4))


@given(data=broken(DELTA.to_bytes()) | st.binary(max_size=60))
def test_deltas(data: bytes) -> None:
    try:
        Delta.from_bytes(data)
    except KndbError as error:
        refused(error, 1)
