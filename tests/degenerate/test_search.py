"""The search over a stored run: rows, resuming, the model's identity, facts without neurons."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import kndb
from degenerate.test_criterion import redundant
from kndb.attribution.suppression import Questions
from kndb.degenerate import search as degenerate
from kndb.degenerate.criterion import Criterion
from kndb.degenerate.search import SearchRequest, find_degenerate
from kndb.errors import DatabaseMissing, NotFound, UsageError
from kndb.models import ModelChoice
from kndb.store.searches import facts_to_search
from kndb_ingest.pipeline import ingest
from kndb_ingest.request import IngestRequest
from overflowing import Overflowing
from pausing import READY, paused
from same_rows import assert_same_rows
from saved_models import save, saved
from tiny import hf_model, tokenizer_of

LOOSE = Criterion(t_low=0.1, t_high=0.1)
"""Thresholds loose enough for models with random weights to have degenerate sets."""

TABLES = ("degenerate_fact", "degenerate_set", "degenerate_member", "degenerate_subset")
COUNTRIES = {
    "Q142": ("France", "Paris"),
    "Q17": ("Japan", "New Tokyo"),
    "Q183": ("Germany", "German"),
    "Q29": ("Spain", "euro"),
}
TEMPLATES = ["The capital of [X] is [Y] .", "People in [X] speak [Y] ."]


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Saved models: two random BERTs, a random GPT-2, and one with two redundant neurons."""
    planted = tmp_path_factory.mktemp("models") / "planted"
    save(redundant("bert", 1, [17, 30]).hf, planted)
    random = {name: saved(name) for name in ("tiny-bert", "other-bert", "tiny-gpt2")}
    return {**random, "planted": planted}


@pytest.fixture(scope="session")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four facts in one language, two templates each; one fact also in a second language."""
    rows = [
        {"relation": "P36", "subject_id": key, "object_id": f"of-{key}", "lang": "en"}
        | {"template": template, "subject": subject, "answer": answer}
        for key, (subject, answer) in COUNTRIES.items()
        for template in TEMPLATES
    ]
    rows.append(rows[0] | {"lang": "de", "template": "The capital of [X] is the [Y] ."})
    rows.append(rows[0] | {"subject_id": "Q0", "subject": "Nowhere", "lang": "en"})
    path = tmp_path_factory.mktemp("data") / "facts.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def run(folders: dict[str, Path], facts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one run each of tiny-bert and tiny-gpt2."""
    path = tmp_path_factory.mktemp("runs") / "run.duckdb"
    for name in ("tiny-bert", "tiny-gpt2"):
        ingest(IngestRequest(path, ModelChoice(str(folders[name])), str(facts)))
    return path


@pytest.fixture
def database(run: Path, tmp_path: Path) -> Path:
    path = tmp_path / "k.duckdb"
    path.write_bytes(run.read_bytes())
    return path


def table(path: Path, name: str) -> list[tuple[Any, ...]]:
    with kndb.open(path) as db:
        return sorted(db.sql(f"SELECT * FROM {name}").rows(), key=repr)


def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with kndb.open(path) as db:
        return list(db.sql(sql).rows())


@pytest.mark.parametrize(
    ("name", "searched"), [("tiny-bert", 4), pytest.param("tiny-gpt2", 5, marks=pytest.mark.long)]
)
def test_what_is_stored(name: str, searched: int, folders: dict[str, Path], database: Path) -> None:
    criterion = Criterion(max_size=3, t_low=LOOSE.t_low, t_high=LOOSE.t_high)
    done = find_degenerate(
        SearchRequest(database, ModelChoice(str(folders[name])), criterion=criterion, top=8)
    )
    # "Nowhere" is not in tiny-bert's vocabulary.
    assert (done.facts, done.questions, done.new) == (searched, searched + 1, 6)
    assert sum(done.skipped.values()) == 5 - searched
    assert sum(done.found.values()) > 0
    assert done.control == done.tried > 0
    rows = ask(
        database,
        "SELECT n_neurons, n_tried, n_found, n_control, n_control_found FROM degenerate_fact "
        "WHERE status = 'done'",
    )
    assert sum(row[1] for row in rows) == done.tried
    assert sum(row[2] for row in rows) == sum(done.found.values())
    assert sum(row[4] for row in rows) == done.control_found
    assert all(row[0] <= 8 and row[1] == row[3] for row in rows)
    ((wrong,),) = ask(
        database,
        """
        SELECT count(*) FROM degenerate_set
        WHERE is_degenerate != (drop_share > 0.1 AND max_subset_drop <= 0.1)
              OR (kind = 'degenerate' AND NOT is_degenerate)
        """,
    )
    assert wrong == 0
    ((wrong,),) = ask(
        database,
        """
        SELECT count(*) FROM degenerate_set AS found
        WHERE size != (SELECT count(*) FROM degenerate_member WHERE set_id = found.set_id)
           OR 2 ** size - 2 != (SELECT count(*) FROM degenerate_subset WHERE set_id = found.set_id)
           OR max_subset_drop != (
                SELECT max("drop") FROM degenerate_subset WHERE set_id = found.set_id)
        """,
    )
    assert wrong == 0
    assert ask(database, "SELECT status, finished_at IS NULL FROM degenerate_search") == [
        ("finished", False)
    ]
    # Members are knowledge neurons of their fact and language; members of controls are not.
    rows = ask(
        database,
        """
        SELECT DISTINCT kind, known.neuron IS NOT NULL
        FROM degenerate_set JOIN degenerate_member USING (search_id, set_id)
        LEFT JOIN knowledge_neuron AS known USING (run_id, fact_id, lang, layer, neuron)
        """,
    )
    assert set(rows) == {("degenerate", True), ("control", False)}


def test_controls_have_the_sizes_and_layers_of_the_sets(
    folders: dict[str, Path], database: Path
) -> None:
    find_degenerate(
        SearchRequest(database, ModelChoice(str(folders["tiny-bert"])), criterion=LOOSE)
    )
    layers = """
        SELECT list(layers ORDER BY layers) FROM (
            SELECT kind, set_id, list(layer ORDER BY layer) AS layers
            FROM degenerate_set JOIN degenerate_member USING (search_id, set_id)
            GROUP BY kind, set_id
        ) GROUP BY kind = 'control' ORDER BY kind = 'control'
    """
    (own,), (control,) = ask(database, layers)
    for sizes in map(tuple, own):  # every degenerate set has a counterpart
        assert own.count(list(sizes)) <= control.count(list(sizes))


def test_planted_neurons_through_the_whole_chain(
    folders: dict[str, Path], facts: Path, tmp_path: Path
) -> None:
    database = tmp_path / "k.duckdb"
    ingest(IngestRequest(database, ModelChoice(str(folders["planted"])), str(facts), templates=1))
    done = find_degenerate(
        SearchRequest(database, ModelChoice(str(folders["planted"])), fact="P36:Q142", langs=["en"])
    )
    assert done.found[2] >= 1
    rows = ask(
        database,
        "SELECT neurons, drop_share > 0.5 FROM degenerate_sets "
        "WHERE kind = 'degenerate' AND fact_key = 'P36:Q142' ORDER BY drop_share DESC",
    )
    assert rows[0] == ("1:17,1:30", True)


def test_running_again_does_nothing(folders: dict[str, Path], database: Path) -> None:
    request = SearchRequest(database, ModelChoice(str(folders["tiny-bert"])), criterion=LOOSE)
    first = find_degenerate(request)
    before = {name: table(database, name) for name in (*TABLES, "degenerate_search")}
    again = find_degenerate(request)
    assert (first.new, again.new) == (6, 0)
    assert again.found == first.found
    assert before == {name: table(database, name) for name in before}


def test_a_search_of_few_facts_is_widened(folders: dict[str, Path], database: Path) -> None:
    model = str(folders["tiny-bert"])
    few = find_degenerate(SearchRequest(database, ModelChoice(model), fact="Japan"))
    assert (few.new, len(few.asked)) == (1, 1)
    drawn = find_degenerate(SearchRequest(database, ModelChoice(model), limit=2, langs=["en"]))
    assert len(drawn.asked) == 2
    every = find_degenerate(SearchRequest(database, ModelChoice(model)))
    assert every.search_id == few.search_id
    assert 0 < every.new < 6
    assert len(every.asked) == 6
    # The figures cover the requested facts only, not everything in the search.
    again = find_degenerate(SearchRequest(database, ModelChoice(model), fact="Japan"))
    assert replace(again, new=1, seconds=few.seconds) == few
    assert every.tried > few.tried
    # Different thresholds make a different search.
    other = find_degenerate(
        SearchRequest(database, ModelChoice(model), fact="Japan", criterion=LOOSE)
    )
    assert other.search_id != few.search_id
    assert other.new == 1


def killed(request: SearchRequest) -> None:
    """A process that searches, killed without warning once four facts are done."""
    code = f"""
from pathlib import Path
from kndb.degenerate import search
from kndb.degenerate.criterion import Criterion
from kndb.models import ModelChoice
from kndb.progress import silent
search.COMMIT_FACTS = 1
criterion = Criterion(t_low={LOOSE.t_low}, t_high={LOOSE.t_high})
model = ModelChoice({request.model.name!r})
request = search.SearchRequest(Path({str(request.database)!r}), model, criterion=criterion)
search.find_degenerate(request, pausing(silent, 4))
"""
    with paused(code, request.database.with_name("some-are-stored")) as child:
        child.kill()
        assert child.wait(READY) == -signal.SIGKILL


def interrupted(request: SearchRequest) -> None:
    """Ctrl-C once four facts are done."""

    def press(done: int, total: int) -> None:
        if done == 4:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        find_degenerate(request, press)


@pytest.mark.parametrize("stop", [pytest.param(killed, marks=pytest.mark.long), interrupted])
def test_an_interrupted_search_goes_on(
    stop: Callable[[SearchRequest], None], folders: dict[str, Path], run: Path, tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole.duckdb", tmp_path / "broken.duckdb"
    model = str(folders["tiny-bert"])
    for path in (whole, broken):
        path.write_bytes(run.read_bytes())
    find_degenerate(SearchRequest(whole, ModelChoice(model, device="cpu"), criterion=LOOSE))
    stop(SearchRequest(broken, ModelChoice(model), criterion=LOOSE))
    stored = len(table(broken, "degenerate_fact"))
    assert 3 <= stored < 6
    rest = find_degenerate(SearchRequest(broken, ModelChoice(model), criterion=LOOSE))
    assert rest.new == 6 - stored
    # No set is so near a threshold that rounding could decide whether it is degenerate.
    ((nearest,),) = ask(
        whole,
        f"SELECT min(least(abs(drop_share - {LOOSE.t_high}), abs(max_subset_drop - {LOOSE.t_low})))"
        " FROM degenerate_set",
    )
    assert nearest > 1e-5
    assert_same_rows(broken, whole, TABLES)
    assert ask(broken, "SELECT status FROM degenerate_search") == [("finished",)]


def test_an_error_keeps_what_was_done(
    folders: dict[str, Path], database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(Exception):
        pass

    told: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        told.append((done, total))
        if done == 3:
            raise Stopped

    request = SearchRequest(database, ModelChoice(str(folders["tiny-bert"])))
    monkeypatch.setattr(degenerate, "COMMIT_FACTS", 2)
    with pytest.raises(Stopped):
        find_degenerate(request, stop)
    assert told == [(n, 6) for n in range(4)]
    assert ask(database, "SELECT status FROM degenerate_search") == [("interrupted",)]
    assert len(table(database, "degenerate_fact")) == 3
    told.clear()
    find_degenerate(request, lambda done, total: told.append((done, total)))
    assert told == [(n, 6) for n in range(3, 7)]


def test_a_fact_that_overflows_is_skipped_and_counted(
    folders: dict[str, Path], database: Path
) -> None:
    model = Overflowing(str(folders["tiny-bert"]))
    done = find_degenerate(SearchRequest(database, model, criterion=LOOSE))
    assert done.skipped["the activations of layer 0 are not finite"] == 1
    reasons = "SELECT reason FROM degenerate_fact WHERE contains(reason, 'finite')"
    ((reason,),) = ask(database, reasons)
    assert reason.endswith("are not finite for the prompt 'People in Japan speak [MASK] .'")
    wrong = "SELECT count(*) FROM degenerate_set WHERE NOT isfinite(p_after)"
    assert ask(database, wrong) == [(0,)]


def test_a_set_without_which_the_model_overflows_skips_the_fact(
    folders: dict[str, Path], database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Questions.probabilities

    def one_overflows(self: Questions, sets: Any, factor: float = 0.0) -> Any:
        found = whole(self, sets, factor)
        found[0, 1] = torch.nan
        return found

    monkeypatch.setattr(Questions, "probabilities", one_overflows)
    model = ModelChoice(str(folders["tiny-bert"]))
    done = find_degenerate(SearchRequest(database, model, criterion=LOOSE))
    assert done.facts == 0
    reasons = ask(database, "SELECT DISTINCT reason FROM degenerate_fact WHERE n_neurons > 1")
    assert all("probability is not finite without" in reason for (reason,) in reasons)
    assert reasons


def test_the_budget_is_kept_and_what_it_left_is_said(
    folders: dict[str, Path], database: Path
) -> None:
    request = SearchRequest(
        database,
        ModelChoice(str(folders["tiny-bert"])),
        criterion=Criterion(budget=5, t_low=0.9, t_high=0.9),
    )
    done = find_degenerate(request)
    assert done.partly == 5
    rows = ask(
        database,
        "SELECT n_neurons, n_tried, reason FROM degenerate_fact WHERE status = 'done'",
    )
    for n, tried, reason in rows:
        assert tried == 5
        left = n * (n - 1) // 2 - 5
        assert reason == f"the budget left {left} sets of 2 neurons, and all larger ones, untried"


def test_facts_without_neurons_have_a_row(folders: dict[str, Path], database: Path) -> None:
    with_one = "(SELECT fact_id FROM fact WHERE fact_key = 'P36:Q17')"
    with kndb.store.database.connect(database, write=True) as connection:
        connection.execute(
            "DELETE FROM knowledge_neuron WHERE fact_id = "
            "(SELECT fact_id FROM fact WHERE fact_key = 'P36:Q29')"
        )
        connection.execute(
            f"DELETE FROM knowledge_neuron WHERE fact_id = {with_one} AND (layer, neuron) NOT IN "
            f"(SELECT (layer, neuron) FROM knowledge_neuron WHERE fact_id = {with_one} LIMIT 1)"
        )
    done = find_degenerate(SearchRequest(database, ModelChoice(str(folders["tiny-bert"]))))
    assert done.skipped == {
        "no knowledge neurons": 1,
        "no prompt was attributed": 1,
        "only one knowledge neuron": 1,
    }
    assert ask(
        database,
        "SELECT n_neurons, n_tried, n_control, status FROM degenerate_fact JOIN fact USING "
        "(fact_id) WHERE fact_key = 'P36:Q29'",
    ) == [(0, 0, 0, "skipped")]


def test_a_probability_of_zero_has_a_row(
    folders: dict[str, Path], facts: Path, tmp_path: Path
) -> None:
    """Weights that give one answer a probability of 0 in float32."""
    hf = hf_model("bert")
    (token,) = tokenizer_of("bert")("Paris", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        hf.cls.predictions.bias[token] = -1e6
    folder, database = save(hf, tmp_path / "zero"), tmp_path / "k.duckdb"
    ingest(IngestRequest(database, ModelChoice(str(folder)), str(facts), langs=["en"]))
    with kndb.store.database.connect(database, write=True) as connection:
        # Such an answer scores 0 and selects no neurons, so pretend another run selected some.
        connection.execute(
            "INSERT INTO knowledge_neuron SELECT run_id, (SELECT fact_id FROM fact WHERE "
            "fact_key = 'P36:Q142'), 'en', layer, neuron, score, support FROM knowledge_neuron "
            "WHERE fact_id = (SELECT fact_id FROM fact WHERE fact_key = 'P36:Q17')"
        )
    done = find_degenerate(SearchRequest(database, ModelChoice(str(folder))))
    assert done.skipped["the answer's probability is 0"] == 1


def test_the_model_must_be_the_runs(folders: dict[str, Path], database: Path) -> None:
    ((run_id,),) = ask(
        database,
        "SELECT run_id FROM run JOIN model USING (model_id) WHERE model.name = 'tiny-bert'",
    )
    other = str(folders["other-bert"])
    with pytest.raises(UsageError, match=r"model tiny-bert, whose weights are not those of other"):
        find_degenerate(SearchRequest(database, ModelChoice(other), run=str(run_id)))
    with pytest.raises(
        NotFound, match="no finished run of the model other-bert with these weights"
    ) as error:
        find_degenerate(SearchRequest(database, ModelChoice(other)))
    assert sorted(error.value.nearest) == ["tiny-bert", "tiny-gpt2"]
    assert table(database, "degenerate_search") == []


def test_a_run_that_is_not_finished_is_refused(folders: dict[str, Path], database: Path) -> None:
    with kndb.store.database.connect(database, write=True) as connection:
        connection.execute("UPDATE run SET status = 'interrupted'")
    ((run_id, *_), *_) = ask(database, "SELECT run_id FROM run")
    with pytest.raises(UsageError, match="not finished"):
        find_degenerate(
            SearchRequest(database, ModelChoice(str(folders["tiny-bert"])), run=str(run_id))
        )


def test_what_is_not_there(folders: dict[str, Path], database: Path, tmp_path: Path) -> None:
    model = str(folders["tiny-bert"])
    with pytest.raises(DatabaseMissing):
        find_degenerate(SearchRequest(tmp_path / "no.duckdb", ModelChoice(model)))
    with pytest.raises(NotFound, match="Atlantis"):
        find_degenerate(SearchRequest(database, ModelChoice(model), fact="Atlantis"))
    with pytest.raises(NotFound, match="P99"):
        find_degenerate(SearchRequest(database, ModelChoice(model), relation="P99"))
    with pytest.raises(UsageError, match=r"'xx'; choose from de, en"):
        find_degenerate(SearchRequest(database, ModelChoice(model), langs=["xx"]))
    with pytest.raises(UsageError, match="at least 2 neurons"):
        SearchRequest(database, ModelChoice(model), top=1)
    with pytest.raises(UsageError, match="at least 1 fact"):
        SearchRequest(database, ModelChoice(model), limit=0)


def test_the_draw_of_facts_is_the_same_in_every_language(run: Path) -> None:
    ((run_id, *_), *_) = ask(run, "SELECT run_id FROM run")
    both = facts_to_search(run, run_id, limit=3, seed=5)
    english = facts_to_search(run, run_id, limit=3, seed=5, langs=["en"])
    assert {fact.fact_id for fact in english} == {fact.fact_id for fact in both}
    draws = {
        tuple(fact.fact_id for fact in facts_to_search(run, run_id, limit=1, langs=["en"], seed=s))
        for s in range(8)
    }
    assert len(draws) > 1
