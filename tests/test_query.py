"""Queries over hand-written scores: they find the right facts, and rows are as defined."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import kndb
from kndb.errors import NotFound, UsageError
from kndb.neurons import Neuron
from kndb.store.letters import plain
from kndb.store.matching import Asked
from kndb.store.writer import Writer
from small_store import Model, finished_run, scored_run, start_from_empty

COLUMNS = (
    "fact_key",
    "relation",
    "lang",
    "subject",
    "answer",
    "layer",
    "neuron",
    "score",
    "support",
    "n_langs",
    "langs",
    "model",
    "run_id",
)
CAPITAL_OF_FRANCE = [
    ("en", 0, 1, 0.75),
    ("en", 1, 3, 0.375),
    ("zh", 0, 7, 1.0),
    ("zh", 0, 1, 0.75),
]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("query") / "k.duckdb"
    finished_run(path)
    return path


@pytest.fixture
def db(path: Path) -> Iterator[kndb.Database]:
    with kndb.open(path) as database:
        yield database


def facts(db: kndb.Database, asked: str) -> set[str]:
    return {row["fact_key"] for row in db.query(fact=asked).to_dicts()}


def neurons(result: kndb.Result) -> list[tuple[Any, ...]]:
    return [(row["lang"], row["layer"], row["neuron"], row["score"]) for row in result.to_dicts()]


def test_a_row_says_all_there_is_to_say(db: kndb.Database) -> None:
    result = db.query(fact="P36:Q142", lang="zh", top=1)
    assert result.columns == COLUMNS
    (run_id,) = (row["run_id"] for row in db.runs().to_dicts())
    assert result.rows() == [
        ("P36:Q142", "capital", "zh", "法国", "巴黎", 0, 7, 1.0, 1.0, 1, "zh", "tiny", run_id)
    ]


def test_a_row_says_which_languages_share_the_neuron(db: kndb.Database) -> None:
    (row,) = db.query(fact="P36:Q142", lang="zh", neuron="0:1").to_dicts()
    assert (row["n_langs"], row["langs"]) == (2, "en,zh")


def test_rows_are_ordered_by_fact_language_and_falling_score(db: kndb.Database) -> None:
    assert neurons(db.query(fact="P36:Q142")) == CAPITAL_OF_FRANCE
    keys = [row["fact_key"] for row in db.query().to_dicts()]
    assert keys == sorted(keys)
    assert len(set(keys)) == 5


def test_languages_are_counted_whatever_is_left_to_be_seen(db: kndb.Database) -> None:
    counts = {
        (row["layer"], row["neuron"]): row["n_langs"]
        for row in db.query(fact="P36:Q142", lang="en").to_dicts()
    }
    assert counts == {(0, 1): 2, (1, 3): 1}


@pytest.mark.parametrize(
    ("asked", "keys"),
    [
        ("P36:Q142", {"P36:Q142"}),
        (" p36:q142 ", {"P36:Q142"}),
        ("The capital of France is [MASK].", {"P36:Q142"}),
        ("the capital of  france is [mask]", {"P36:Q142"}),
        ("The capital of France is <mask>", {"P36:Q142"}),
        ("The capital of France is", {"P36:Q142"}),
        ("The capital of France is Paris.", {"P36:Q142"}),
        ("[MASK] is the capital of France", {"P36:Q142"}),
        ("法国的首都是[MASK]。", {"P36:Q142"}),
        ("法国的首都是巴黎", {"P36:Q142"}),
        ("France", {"P36:Q142", "P38:Q142"}),
        ("FRANCE", {"P36:Q142", "P38:Q142"}),
        ("法国", {"P36:Q142"}),
        ("法", {"P36:Q142"}),
        ("cote d'ivoire", {"P36:Q1008"}),
        ("Ivoire Côte", {"P36:Q1008"}),
        ("guinea", {"P36:Q1006"}),  # exactly, so not Equatorial Guinea
        ("equatorial guinea", {"P36:Q983"}),
        ("equatorial", {"P36:Q983"}),
    ],
)
def test_a_fact_is_found_by_key_prompt_or_words(
    db: kndb.Database, asked: str, keys: set[str]
) -> None:
    assert facts(db, asked) == keys


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("Frnace", "France"),
        ("法過", "法国"),
        ("P36:Q143", "P36:Q142"),
        ("The capitol of Frances is [MASK].", "The capital of France is [MASK]."),
        ("Fran", "France"),
    ],
)
def test_what_is_not_found_comes_with_the_nearest(
    db: kndb.Database, asked: str, nearest: str
) -> None:
    with pytest.raises(NotFound) as missing:
        db.query(fact=asked)
    assert missing.value.nearest[0] == nearest
    assert asked in str(missing.value)


@pytest.mark.parametrize("asked", ["", " ", "?!"])
def test_a_fact_without_a_word_is_refused(db: kndb.Database, asked: str) -> None:
    with pytest.raises(UsageError, match="is not a fact"):
        db.query(fact=asked)


@pytest.mark.parametrize(
    ("several", "each"),
    [
        ({"fact": ["法国", "Côte"]}, [{"fact": "法国"}, {"fact": "P36:Q1008"}]),
        ({"lang": ["ZH", "en"]}, [{"lang": "zh"}, {"lang": "en"}]),
        ({"neuron": ["0:7", Neuron(1, 3)]}, [{"neuron": "0:7"}, {"neuron": "1:3"}]),
        ({"relation": ["P36", "currency"]}, [{"relation": "P36"}, {"relation": "P38"}]),
        ({"model": ["tiny", "TINY"]}, [{"model": "tiny"}]),
    ],
)
def test_several_names_are_a_union(
    db: kndb.Database, several: dict[str, Any], each: list[dict[str, Any]]
) -> None:
    found = db.query(**several).rows()
    assert found
    assert set(found) == {row for one in each for row in db.query(**one).rows()}


def test_of_several_facts_each_must_be_there(db: kndb.Database) -> None:
    with pytest.raises(NotFound, match="Atlantis"):
        db.query(fact=["France", "Atlantis"])


@pytest.mark.parametrize("relation", ["P38", "p38", "currency", "Currency"])
def test_a_relation_is_found_by_id_or_label(db: kndb.Database, relation: str) -> None:
    rows = db.query(fact="France", relation=relation).to_dicts()
    assert [row["fact_key"] for row in rows] == ["P38:Q142"]


@pytest.mark.parametrize("neuron", ["1:3", Neuron(1, 3)])
def test_a_neuron_says_which_facts_use_it(db: kndb.Database, neuron: str | Neuron) -> None:
    rows = db.query(neuron=neuron).to_dicts()
    assert [(row["fact_key"], row["lang"]) for row in rows] == [
        ("P36:Q142", "en"),
        ("P38:Q142", "en"),
    ]


@pytest.mark.parametrize(
    ("wanted", "nearest"),
    [
        ({"relation": "continent"}, ("P36 (capital)", "P38 (currency)")),
        ({"lang": "fr"}, ("en", "zh")),
        ({"fact": "P38:Q142", "lang": "zh"}, ("en",)),
        ({"neuron": "1:7"}, ("0:2", "1:3", "0:1", "0:7")),
        ({"model": "gpt"}, ("tiny",)),
    ],
)
def test_nothing_found_offers_what_there_is(
    db: kndb.Database, wanted: dict[str, Any], nearest: tuple[str, ...]
) -> None:
    with pytest.raises(NotFound) as missing:
        db.query(**wanted)
    assert missing.value.nearest == nearest


def test_thresholds_select_anew_exactly_as_a_run_made_with_them(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    run_id = finished_run(path)
    for tau, share in [(0.2, 0.5), (0.1, 0.5), (0.05, 0.0), (0.6, 0.2), (0.2, 0.7)]:
        with kndb.open(path) as db:
            asked = db.query(tau=tau, share=share).rows()
        Writer(path).finish(run_id, tau, share)
        with kndb.open(path) as db:
            assert db.query().rows() == asked


def test_a_threshold_given_alone_leaves_the_other_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    Writer(path).finish(scored_run(path), 0.2, 0.7)
    with kndb.open(path) as db:
        assert "en" not in {row[0] for row in neurons(db.query(fact="P36:Q142", tau=0.1))}
        assert ("zh", 1, 5, 0.125) in neurons(db.query(fact="P36:Q142", tau=0.1))
        assert neurons(db.query(fact="P36:Q142", share=0.5)) == CAPITAL_OF_FRANCE


@pytest.mark.parametrize(
    "wanted",
    [{"tau": 0.04}, {"tau": 1.0}, {"share": 1.0}, {"share": -1.0}, {"top": 0}, {"neuron": "x"}],
)
def test_values_out_of_range_are_refused(db: kndb.Database, wanted: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        db.query(**wanted)


def test_the_newest_finished_run_of_each_model_answers(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    old = finished_run(path)
    new = finished_run(path, factor=0.5, limit=1)
    other = finished_run(path, Model(name="tiny-causal", architecture="gpt2", family="causal_lm"))
    unfinished = scored_run(path, limit=2)
    with kndb.open(path) as db:
        assert {row["run_id"] for row in db.query().to_dicts()} == {new, other}
        assert {row["run_id"] for row in db.query(model="causal").to_dicts()} == {other}
        assert {row["run_id"] for row in db.query(model="TINY").to_dicts()} == {new}
        assert {row["run_id"] for row in db.query(run=old).to_dicts()} == {old}
        assert {row["run_id"] for row in db.query(run=str(old)[:9]).to_dicts()} == {old}
        with pytest.raises(UsageError, match="give more of the number"):
            db.query(run="")
        with pytest.raises(NotFound) as missing:
            db.query(run=other, model="tiny")
        assert str(other) not in missing.value.nearest
        assert len(db.query(run=unfinished)) == len(db.query(run=unfinished, tau=0.2)) == 8


def test_without_a_run_the_way_on_is_told(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    start_from_empty(path)
    with kndb.open(path) as db, pytest.raises(NotFound, match="`kndb ingest` makes one"):
        db.query()


def test_runs_say_what_became_of_the_prompts(db: kndb.Database) -> None:
    (run,) = db.runs().to_dicts()
    assert (run["model"], run["dataset"], run["preset"]) == ("tiny", "facts", "amig")
    assert (run["status"], run["facts"], run["done"], run["skipped"]) == ("finished", 5, 8, 0)
    assert (run["tau"], run["share"]) == (0.2, 0.5)
    assert run["started_at"] <= run["finished_at"]


def test_a_closed_database_lets_the_file_go(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    with kndb.open(path) as db:
        db.query()
    finished_run(path, dataclasses.replace(Model(), weights_sha256="ef" * 32))


@pytest.mark.parametrize(
    ("wanted", "heading", "listed"),
    [
        ({"relation": "captial"}, "Nearest", ("P36 (capital)",)),
        ({"relation": "colour"}, "Relations that there are", ("P36 (capital)", "P38 (currency)")),
        ({"lang": "xx"}, "Languages that there are", ("en", "zh")),
        ({"lang": "zhh"}, "Nearest", ("zh",)),
        ({"model": "tinny"}, "Nearest", ("tiny",)),
        ({"model": "bert"}, "Models that there are", ("tiny",)),
    ],
)
def test_only_what_is_near_is_called_so(
    tmp_path: Path, wanted: dict[str, Any], heading: str, listed: tuple[str, ...]
) -> None:
    finished_run(tmp_path / "own.duckdb")
    with kndb.open(tmp_path / "own.duckdb") as db, pytest.raises(NotFound) as missing:
        db.query(**wanted)
    assert (missing.value.heading, missing.value.nearest) == (heading, listed)


@pytest.mark.parametrize(
    ("asked", "known", "near"),
    [
        ("Viêt Nam", "Việt-Nam (!!!) [MASK] …", True),  # three bytes a letter, and signs
        ("abcd", "ab", True),
        ("abcd", "abcdefgh", True),
        ("abcd", "abcdefghi", False),
        ("abcde", "ab", False),
        ("法國", "法国", True),
    ],
)
def test_near_is_what_differs_in_half_of_its_letters(asked: str, known: str, near: bool) -> None:
    with duckdb.connect() as connection:
        form = plain(f"'{known}'")
        found = Asked(connection, asked).nearest(f"SELECT '{known}' AS known, {form} AS form")
    assert found == [known] * near
