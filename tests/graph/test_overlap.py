"""Language-independent neurons of planted facts, and the rows stored for them."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import kndb
from kndb.errors import NotFound, UsageError
from kndb.graph.overlap import overlap
from kndb.store.database import connect
from planted_store import POPULATION, Planted, plant
from small_store import finished_run

LANGS = ("en", "fr", "zh")

FACTS: Planted = {
    "P36:Q1": {
        "en": [(0, 1), (0, 2), (2, 9)],
        "fr": [(0, 2), (2, 9), (1, 1)],
        "zh": [(2, 9), (1, 1), (0, 2), (1, 5)],
    },
    "P36:Q2": {"en": [(0, 1)], "fr": [(0, 1)], "zh": [(0, 3)]},
    "P36:Q3": {"en": [(0, 7)], "fr": [], "zh": [(0, 7)]},
    "P38:Q4": {"en": [(0, 7), (1, 7)], "zh": [(0, 7), (1, 7)]},
    "P38:Q5": {"zh": [(0, 7)]},
    "P38:Q6": {"en": [], "fr": [], "zh": []},
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("overlap") / "k.duckdb"
    plant(path, FACTS)
    return path


def by_key(result: kndb.Result) -> dict[str, dict[str, object]]:
    return {row["fact_key"]: row for row in result.to_dicts()}


def test_neurons_planted_in_every_language_come_out_exactly(path: Path) -> None:
    found = by_key(overlap(path))
    assert {key: row["neurons"] for key, row in found.items()} == {
        "P36:Q1": "0:2,2:9",
        "P36:Q2": None,
        "P36:Q3": None,
        "P38:Q4": "0:7,1:7",
        "P38:Q5": None,
        "P38:Q6": None,
    }
    row = found["P36:Q1"]
    assert (row["langs"], row["sizes"]) == ("en,fr,zh", [3, 3, 4])
    assert (row["n_shared"], row["n_union"], row["jaccard"]) == (2, 5, 2 / 5)
    assert row["expected"] == pytest.approx(3 * 3 * 4 / POPULATION**2)


def test_what_is_missing_is_said(path: Path) -> None:
    notes = {key: row["note"] for key, row in by_key(overlap(path)).items()}
    assert notes == {
        "P36:Q1": None,
        "P36:Q2": None,
        "P36:Q3": "no neurons in fr",
        "P38:Q4": "not asked in fr",
        "P38:Q5": "one language only; not asked in en, fr",
        "P38:Q6": "no neurons in en, fr, zh",
    }


def test_a_fact_without_neurons_has_a_row_and_one_language_has_no_p(path: Path) -> None:
    found = by_key(overlap(path))
    nothing, single = found["P38:Q6"], found["P38:Q5"]
    assert (nothing["n_shared"], nothing["jaccard"], nothing["p_value"]) == (0, None, 1.0)
    assert (single["p_value"], single["q_value"], single["expected"]) == (None, None, None)


def test_two_languages_have_scipys_p_and_q_values(path: Path) -> None:
    rows = [row for row in overlap(path, langs=["zh", "en"]).to_dicts() if row["p_value"]]
    expected = [
        stats.hypergeom.sf(row["n_shared"] - 1, POPULATION, *row["sizes"])
        for row in rows
        if all(row["sizes"])
    ]
    with_neurons = [row["p_value"] for row in rows if all(row["sizes"])]
    assert len(expected) == 4
    np.testing.assert_allclose(with_neurons, expected, rtol=1e-9)
    q_values = stats.false_discovery_control([row["p_value"] for row in rows], method="bh")
    np.testing.assert_allclose([row["q_value"] for row in rows], q_values, rtol=1e-9)


def test_language_pairs_sum_over_the_facts_asked_in_both(path: Path) -> None:
    rows = {row["langs"]: row for row in overlap(path, "language-pair").to_dicts()}
    assert list(rows) == ["en,fr", "en,zh", "fr,zh"]
    row = rows["en,zh"]
    assert (row["n_facts"], row["sizes"], row["n_shared"]) == (5, [7, 8], 5)
    assert (row["n_union"], row["jaccard"]) == (10, 0.5)
    assert row["expected"] == pytest.approx((3 * 4 + 1 + 1 + 2 * 2) / POPULATION)
    assert row["p_value"] < 1e-6
    assert row["n_significant"] == 3


def test_relations_sum_over_their_facts(path: Path) -> None:
    capital, currency = overlap(path, "relation").to_dicts()
    assert (capital["relation"], capital["n_facts"], capital["n_shared"]) == ("capital", 3, 2)
    assert (currency["n_facts"], currency["n_shared"], currency["n_union"]) == (2, 2, 2)
    # In Chinese, two facts with neurons share 0:7; in English only one fact has neurons.
    assert currency["shared_by_facts"] == 1
    assert currency["shared_by_facts_expected"] == pytest.approx(2 * 1 / POPULATION)
    # en: (1, 2) share 0:1, (1, 3) and (2, 3) nothing. fr: (1, 2) nothing. zh: three pairs, nothing.
    assert capital["shared_by_facts"] == pytest.approx(1 / 7)


def test_facts_relations_and_languages_can_be_chosen(path: Path) -> None:
    assert list(by_key(overlap(path, relation="currency"))) == ["P38:Q4", "P38:Q5", "P38:Q6"]
    (row,) = overlap(path, fact="P36:Q1", langs=["FR", "zh"]).to_dicts()
    assert (row["langs"], row["neurons"], row["sizes"]) == ("fr,zh", "0:2,1:1,2:9", [3, 4])
    (row,) = overlap(path, "language-pair", langs=["fr", "zh"], relation="P36").to_dicts()
    assert (row["n_facts"], row["n_shared"], row["note"]) == (3, 3, None)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"langs": ["en"]}, UsageError, "one language"),
        ({"langs": ["en", "xx"]}, NotFound, "no prompts in language 'xx'"),
        ({"fact": "P36:Q1", "relation": "currency"}, NotFound, "relation P38 matches"),
        ({"by": "planet"}, UsageError, "fact, relation, language-pair"),
        ({"tau": 2.0}, UsageError, "tau is 2"),
    ],
)
def test_what_cannot_be_compared_is_said(
    path: Path, options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        overlap(path, **options)  # type: ignore[arg-type]


def stored(path: Path) -> list[tuple[object, ...]]:
    sql = "SELECT level, langs, settings, n_shared FROM neuron_overlap ORDER BY ALL"
    with kndb.open(path) as db:
        return db.sql(sql).rows()


def test_answers_are_stored_and_the_same_question_replaces_them(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    plant(path, FACTS)
    overlap(path, langs=["en", "zh"])
    assert stored(path) == []
    overlap(path, langs=["en", "zh"], store=True)
    once = stored(path)
    assert len(once) == len(FACTS)
    assert json.loads(str(once[0][2]))["langs"] == ["en", "zh"]
    overlap(path, langs=["zh", "EN"], store=True)
    assert stored(path) == once
    overlap(path, langs=["en", "zh"], relation="P36")
    assert stored(path) == once
    overlap(path, "language-pair", store=True)
    assert len(stored(path)) == len(once) + 3
    with kndb.open(path) as db:
        row = db.sql("SELECT * FROM language_overlaps WHERE fact_key = 'P36:Q1'").to_dicts()[0]
    assert (row["n_shared"], row["relation"], row["model"]) == (2, "capital", "tiny")


def test_other_thresholds_select_other_neurons(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    (row,) = overlap(path, fact="P36:Q142", relation="capital", tau=0.1).to_dicts()
    assert row["sizes"] == [2, 3]
    (row,) = overlap(path, fact="P36:Q142", relation="capital").to_dicts()
    assert row["sizes"] == [2, 2]


def random_facts(seed: int, n_langs: int) -> dict[str, dict[str, list[tuple[int, int]]]]:
    rng = random.Random(seed)
    cells = [(layer, neuron) for layer in range(3) for neuron in range(20)]
    return {
        f"P36:Q{n}": {
            f"l{lang:02}": sorted(rng.sample(cells, rng.randrange(15)))
            for lang in range(n_langs)
            if rng.random() < 0.8
        }
        for n in range(60)
    }


def naive(neurons: Sequence[Sequence[tuple[int, int]]]) -> set[tuple[int, int]]:
    return set.intersection(*map(set, neurons))


@pytest.mark.parametrize("n_langs", [3, pytest.param(40, marks=pytest.mark.long)])
def test_counts_equal_sets_whatever_the_order_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_langs: int
) -> None:
    monkeypatch.setattr("kndb.graph.overlap.counts._BATCH_ROWS", 2048)  # facts span batches
    facts = random_facts(n_langs, n_langs)
    path = tmp_path / "k.duckdb"
    plant(path, facts)
    expected = {
        key: naive(list(langs.values())) if len(langs) > 1 else set()
        for key, langs in facts.items()
        if langs
    }
    for _ in range(2):
        found = by_key(overlap(path, store=False))
        assert {key: row["n_shared"] for key, row in found.items()} == {
            key: len(shared) for key, shared in expected.items()
        }
        pairs = {
            row["langs"]: row for row in overlap(path, "language-pair", store=False).to_dicts()
        }
        for a, b in list(combinations(sorted({la for f in facts.values() for la in f}), 2))[:30]:
            both = [langs for langs in facts.values() if a in langs and b in langs]
            assert pairs[f"{a},{b}"]["n_facts"] == len(both)
            shared = sum(len(naive([langs[a], langs[b]])) for langs in both)
            assert pairs[f"{a},{b}"]["n_shared"] == shared
        with connect(path, write=True) as connection:
            connection.execute("CREATE TEMP TABLE kept AS FROM knowledge_neuron")
            connection.execute("DELETE FROM knowledge_neuron")
            connection.execute("INSERT INTO knowledge_neuron FROM kept ORDER BY hash(lang, neuron)")
