"""What can be listed and asked by answer: facts, neurons, relations, languages."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kndb
from kndb.errors import NotFound, UsageError
from kndb.store.database import connect
from kndb.store.listings import list_facts
from small_store import Model, finished_run


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("listings") / "k.duckdb"
    finished_run(path)
    return path


@pytest.fixture
def db(path: Path) -> Iterator[kndb.Database]:
    with kndb.open(path) as database:
        yield database


def keys(found: kndb.Result) -> list[str]:
    return list(dict.fromkeys(row["fact_key"] for row in found.to_dicts()))


def test_the_facts_of_a_run_are_no_list_of_parameters(path: Path) -> None:
    """Where pandas is not installed, each element of a list costs DuckDB a failed import."""
    seen: list[Any] = []

    class Recording:
        def execute(self, sql: str, params: Any = None) -> Any:
            seen.append(params)
            return connection.execute(sql, params)

    with connect(path) as connection:
        found = list_facts(Recording(), None, None, None, None, 1, "tiny", None)  # type: ignore[arg-type]
    assert len(found) > 1
    assert not [value for value in seen[-1].values() if isinstance(value, list)]


def test_a_fact_is_listed_in_each_language(db: kndb.Database) -> None:
    found = db.facts("P36:Q142")
    columns = ("fact_key", "relation", "lang", "subject", "answer", "prompts", "dataset")
    assert found.columns == columns
    assert found.rows() == [
        ("P36:Q142", "capital", "en", "France", "Paris", 3, "facts"),
        ("P36:Q142", "capital", "zh", "法国", "巴黎", 1, "facts"),
    ]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["P36:Q1006", "P36:Q1008", "P36:Q142", "P36:Q983", "P38:Q142"]),
        ({"words": "guinea"}, ["P36:Q1006", "P36:Q983"]),
        ({"words": "EQUATORIAL"}, ["P36:Q983"]),
        ({"words": "paris"}, ["P36:Q142"]),
        ({"words": "巴"}, ["P36:Q142"]),
        ({"relation": "currency"}, ["P38:Q142"]),
        ({"lang": ["zh", "ru"]}, ["P36:Q142"]),
        ({"answer": "Conakry"}, ["P36:Q1006"]),
        ({"answer": ["Conakry", "euro"]}, ["P36:Q1006", "P38:Q142"]),
        ({"words": "France", "answer": "Euro"}, ["P38:Q142"]),
        ({"layer": 1}, ["P36:Q142", "P38:Q142"]),
        (
            {"layer": [0], "lang": "en", "model": "tiny"},
            ["P36:Q1006", "P36:Q1008", "P36:Q142", "P36:Q983"],
        ),
    ],
)
def test_facts_are_narrowed(db: kndb.Database, asked: dict[str, Any], expected: list[str]) -> None:
    assert keys(db.facts(**asked)) == expected


@pytest.mark.parametrize(
    "asked",
    [
        {"words": "Atlantis"},
        {"words": "Guinea", "answer": "Paris"},
        {"layer": 7},
        {"answer": "Atlantis"},
        {"words": "Guinea", "relation": "currency"},
    ],
)
def test_facts_that_are_not_there(db: kndb.Database, asked: dict[str, Any]) -> None:
    with pytest.raises(NotFound):
        db.facts(**asked)


def test_words_must_have_a_letter(db: kndb.Database) -> None:
    with pytest.raises(UsageError):
        db.facts("?!")


def test_neurons_with_the_most_facts_come_first(db: kndb.Database) -> None:
    found = db.neurons().to_dicts()
    shown = [(row["layer"], row["neuron"], row["n_facts"], row["langs"]) for row in found]
    assert shown == [(0, 2, 3, "en"), (1, 3, 2, "en"), (0, 7, 1, "zh"), (0, 1, 1, "en,zh")]
    assert [row["n_relations"] for row in found] == [1, 2, 1, 1]
    assert found[1]["score"] == pytest.approx((0.375 + 0.5) / 2)
    assert [row["neuron"] for row in db.neurons(layer=1).to_dicts()] == [3]
    assert [row["neuron"] for row in db.neurons(answer="巴黎", lang="zh").to_dicts()] == [7, 1]


def test_relations_and_languages_have_their_counts(db: kndb.Database) -> None:
    assert db.relations().columns == ("relation_id", "label", "facts", "langs")
    assert db.relations().rows() == [("P36", "capital", 4, 2), ("P38", "currency", 1, 1)]
    assert db.languages().rows() == [("en", 5, 2, 7), ("zh", 1, 1, 1)]


def test_models_and_data_sets_have_their_runs(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    finished_run(path, factor=0.5, limit=1)
    finished_run(path, Model(name="other", architecture="gpt2", family="causal_lm"))
    with kndb.open(path) as db:
        assert db.models().rows() == [
            ("other", "gpt2", "causal_lm", 2, 8, 1),
            ("tiny", "bert", "masked_lm", 2, 8, 2),
        ]
        assert db.datasets().rows() == [("facts", "kndb", 5, 3)]


def test_neurons_are_asked_by_answer(db: kndb.Database) -> None:
    assert keys(db.query(answer="巴黎")) == ["P36:Q142"]
    assert keys(db.query(answer="PARIS", lang="en")) == ["P36:Q142"]
    with pytest.raises(NotFound) as missing:
        db.query(answer="Pariss")
    assert missing.value.nearest == ("Paris",)
    with pytest.raises(NotFound, match="has the answer"):
        db.query(fact="Guinea", answer="Paris")


def test_a_fact_that_is_only_an_answer_says_of_what(db: kndb.Database) -> None:
    with pytest.raises(NotFound, match=r"'Conakry' is the answer of P36:Q1006 \(capital: Guinea\)"):
        db.query(fact="Conakry")


def test_an_exact_subject_is_meant_and_the_others_are_counted(
    db: kndb.Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="kndb")
    assert keys(db.query(fact="guinea")) == ["P36:Q1006"]
    assert caplog.messages == [
        "Another fact has these words in the subject; `kndb facts 'guinea'` lists all."
    ]


@pytest.mark.parametrize("asked", ["Atlantis", "Xyzzyx", "ΑΒΓΔΕ"])
def test_what_is_far_is_not_called_near(db: kndb.Database, asked: str) -> None:
    with pytest.raises(NotFound) as missing:
        db.query(fact=asked)
    assert missing.value.nearest == ()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("P36:France", ["P36:Q142"]),
        ("capital:france", ["P36:Q142"]),
        ("Currency: France", ["P38:Q142"]),
        ("P36:法国", ["P36:Q142"]),
        ("P36:Equatorial", ["P36:Q983"]),
        ("P36:guinea", ["P36:Q1006"]),
    ],
)
def test_a_key_is_typed_by_names(db: kndb.Database, asked: str, expected: list[str]) -> None:
    assert keys(db.query(fact=asked)) == expected
    assert keys(db.facts(asked)) == expected


@pytest.mark.parametrize("asked", ["P38:Guinea", "mayor:France", "P36:", ":"])
def test_a_typed_key_of_another_relation_is_not_found(db: kndb.Database, asked: str) -> None:
    with pytest.raises((NotFound, UsageError)):
        db.query(fact=asked)


def test_a_relation_whose_name_has_a_comma(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    with connect(path, write=True) as connection:
        connection.execute("UPDATE relation SET label = 'money, a coin' WHERE relation_id = 'P38'")
    with kndb.open(path) as db:
        assert keys(db.query(relation="Money, a coin")) == ["P38:Q142"]
        assert len(keys(db.query(relation="P36, p38"))) == 5
        assert len(keys(db.query(relation=["capital,P38"]))) == 5
