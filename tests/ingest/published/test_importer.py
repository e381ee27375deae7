"""Published lists of neurons are joined with published facts and stored as a run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import kndb
from kndb.errors import DatasetError, NotFound, UsageError
from kndb.graph.overlap import overlap
from kndb_ingest.published.importer import import_published
from published_lists import write_facts, write_neurons


@pytest.fixture
def pararel(tmp_path: Path) -> Path:
    return write_facts(tmp_path)


@pytest.fixture
def neurons(tmp_path: Path) -> Path:
    return write_neurons(tmp_path)


def test_an_imported_run_answers_queries(tmp_path: Path, pararel: Path, neurons: Path) -> None:
    path = tmp_path / "k.duckdb"
    done = import_published(path, [neurons], pararel, "bert-base-uncased")
    assert (done.facts, done.neurons, done.langs) == (3, 3, ("en",))
    assert (done.is_new, done.without_fact, done.inferred) == (True, 0, ())
    assert (done.model.n_layers, done.model.n_neurons) == (12, 3072)
    with kndb.open(path) as db:
        rows = db.query(neuron="10:188").to_dicts()
        assert [(row["fact_key"], row["answer"]) for row in rows] == [
            ("P36:u1", "Paris"),
            ("P38:u3", "euro"),
        ]
        assert {(row["score"], row["support"], row["model"]) for row in rows} == {
            (None, None, "bert-base-uncased")
        }
        (run,) = db.runs().to_dicts()
    assert (run["preset"], run["status"], run["facts"], run["done"]) == (
        *("imported", "finished"),
        *(3, 6),
    )


def test_importing_again_changes_nothing(tmp_path: Path, pararel: Path, neurons: Path) -> None:
    path = tmp_path / "k.duckdb"
    first = import_published(path, [neurons], pararel, "bert-base-uncased")
    again = import_published(path, [neurons], pararel, "bert-base-uncased")
    assert (again.run_id, again.is_new) == (first.run_id, False)
    with kndb.open(path) as db:
        for table in ("knowledge_neuron", "knowledge_by_neuron"):
            assert db.sql(f"SELECT count(*) FROM {table}").rows() == [(3,)]


def test_overlap_of_an_imported_run(tmp_path: Path, pararel: Path, neurons: Path) -> None:
    path = tmp_path / "k.duckdb"
    import_published(path, [neurons], pararel, "bert-base-uncased")
    with pytest.raises(NotFound, match="one language only, en"):
        overlap(path)
    with pytest.raises(UsageError, match="imported without raw scores"):
        overlap(path, tau=0.3)


AMIG = {
    uuid: {
        lang: {"sentences": [f"{uuid} {lang} [MASK]"], "relation_name": "P36", "obj_label": "o"}
        for lang in ("en", "zh")
    }
    for uuid in ("u1", "u2")
}


@pytest.fixture
def amig(tmp_path: Path) -> Path:
    path = tmp_path / "bilingual.json"
    path.write_text(json.dumps(AMIG))
    return path


def amig_results(folder: Path, neurons: dict[str, list[list[int]]]) -> Path:
    """Results as the AMIG code writes them: appended, each object repeating the earlier ones."""
    folder.mkdir()
    entries = [
        {uuid: {"neurons": listed, "relation_name": "P36"}} for uuid, listed in neurons.items()
    ]
    text = "".join(json.dumps(entry, indent=4) for entry in entries)
    (folder / "temp_neurons_0.json").write_text(text)
    whole = {uuid: {"neurons": listed, "suppression": {}} for uuid, listed in neurons.items()}
    (folder / "pararel_results_0.json").write_text(json.dumps(whole))
    return folder


def test_amig_results_in_two_languages_are_compared(tmp_path: Path, amig: Path) -> None:
    path = tmp_path / "k.duckdb"
    english = amig_results(tmp_path / "en", {"u1": [[0, 1], [1, 2]], "u2": [[0, 3]]})
    chinese = amig_results(tmp_path / "results", {"u1": [[1, 2]], "u2": [[0, 4]]})
    done = import_published(path, [english, f"zh={chinese}"], amig, "my-model")
    assert (done.facts, done.neurons, done.langs) == (2, 5, ("en", "zh"))
    assert (done.model.n_layers, done.model.n_neurons) == (2, 256)
    assert done.inferred == ("layers", "neurons")
    rows = {row["fact_key"]: row["neurons"] for row in overlap(path).to_dicts()}
    assert rows == {"P36:u1": "1:2", "P36:u2": None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "not a JSON object"),
        ('{"u1": 3}', r"a.json entry 'u1': there is no list"),
        ('{"u1": [[1, 2, 3]]}', r"\[1, 2, 3\] is not \[layer, neuron\]"),
        ('{"u1": [[1, -2]]}', "counted from 0"),
        ('{"u1": [[1, true]]}', "counted from 0"),
        ('{"u1": [[1, 2]]', "a.json line 1: not JSON"),
        ('{"u1": [[1, 2]]} {"u1": [[1, 3]]}', "differ from those read earlier"),
        ('{"u9": [[1, 2]]}', "None of the 1 lists"),
    ],
)
def test_malformed_lists_are_named(tmp_path: Path, pararel: Path, text: str, message: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(DatasetError, match=message):
        import_published(tmp_path / "k.duckdb", [file], pararel, "bert-base-uncased")
    assert not (tmp_path / "k.duckdb").exists()


def test_missing_files_and_languages_are_named(
    tmp_path: Path, pararel: Path, neurons: Path, amig: Path
) -> None:
    path = tmp_path / "k.duckdb"
    with pytest.raises(DatasetError, match="There is no file"):
        import_published(path, [tmp_path / "none.json"], pararel, "m")
    with pytest.raises(UsageError, match="give the language of the neurons"):
        import_published(path, [neurons], amig, "m")
    with pytest.raises(UsageError, match="no language 'fr'"):
        import_published(path, [f"fr={neurons}"], pararel, "m")
    with pytest.raises(UsageError, match="up to layer 11 and index 500"):
        import_published(path, [neurons], pararel, "m", n_layers=11)


def test_the_published_neurons_of_bert(tmp_path: Path) -> None:
    root = Path(os.environ.get("KNDB_DATA", "nowhere"))
    lists, facts = root / "published_neurons", root / "pararel"
    if not (lists.exists() and facts.exists()):
        pytest.skip("needs published_neurons and pararel in $KNDB_DATA")
    done = import_published(tmp_path / "k.duckdb", [lists], facts, "bert-base-uncased")
    assert (done.facts, done.neurons, done.without_fact) == (27_610, 304_711, 0)
