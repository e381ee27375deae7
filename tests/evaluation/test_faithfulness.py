"""True effects against whole hooked runs, rank correlations against SciPy's, planted knowledge."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from kndb.errors import NotFound, UsageError
from kndb.evaluation import effects, faithfulness
from kndb.evaluation.effects import drops
from kndb.evaluation.faithfulness import FaithfulnessRequest, one_of_each, spearman
from kndb.evaluation.methods import SCORING, best, scores
from kndb.evaluation.sample import NeuronRequest, draw_sample
from kndb.evaluation.table import Table
from kndb.model_runs import model_and_run
from kndb.models import ModelChoice
from kndb.neurons import Neuron
from neuron_runs import PLANTED, loaded, make_run, probability, questions_of
from saved_models import saved

Run = tuple[Path, Path]
NEURONS = [Neuron(layer, index) for layer in range(3) for index in range(48)]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("bert"), "tiny-bert")


def dicts(table: Table) -> dict[str, dict[str, Any]]:
    return {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}


@pytest.mark.parametrize("name", ["tiny-bert", pytest.param("tiny-gpt2", marks=pytest.mark.long)])
def test_true_effects_are_those_of_a_hook_on_each_neuron(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, folder = make_run(tmp_path, name, ["en"])
    model, facts = loaded(NeuronRequest(database, ModelChoice(str(folder))))
    (prompt,) = facts["P36:Q17/en"].prompts  # an answer of two tokens
    monkeypatch.setattr(effects, "SETS_AT_ONCE", 50)
    told: list[int] = []
    found = drops(model, questions_of(model, [prompt]), told.append)[0].ravel()
    assert told == [50, 100, 144]
    before = probability(folder, prompt.text, prompt.answer)
    expected = [
        before - probability(folder, prompt.text, prompt.answer, [neuron]) for neuron in NEURONS
    ]
    np.testing.assert_allclose(found, expected, atol=1e-5 * before)
    assert np.abs(expected).max() > 0.01 * before


def test_figures_are_scipys_and_those_of_hooked_models(bert: Run) -> None:
    database, folder = bert
    request = FaithfulnessRequest(
        database, ModelChoice(str(folder)), facts=1, top=(5, 12), replicates=100
    )
    table = faithfulness.evaluate(request)
    rows = dicts(table)
    assert tuple(rows) == ("true", *SCORING)
    model, run = model_and_run(request)
    (prompt,) = one_of_each(draw_sample(request, run.run_id), request.seed)
    questions = questions_of(model, [prompt])
    truth = drops(model, questions)[0]
    p = probability(folder, prompt.text, prompt.answer)
    for method in ("amig", "amig-paper", "ig-zero", "most-active"):
        scored = scores(model, method, [[prompt]], 0)[0]
        expected = stats.spearmanr(scored.ravel(), truth.ravel()).statistic
        assert rows[method]["spearman"] == pytest.approx(expected, abs=1e-6)
        for k in (5, 12):
            top = best(scored, k)
            shared = len(set(top) & set(best(truth, k))) / k
            assert rows[method][f"overlap_{k}"] == pytest.approx(shared)
            without = probability(folder, prompt.text, prompt.answer, top)
            assert rows[method][f"removed_{k}"] == pytest.approx((p - without) / p, rel=1e-3)
    assert rows["true"]["spearman"] == pytest.approx(1)
    assert rows["true"]["overlap_5"] == rows["true"]["overlap_12"] == 1
    assert table.settings["top"] == [5, 12]


def test_planted_knowledge_is_the_true_top_and_scores_find_it(tmp_path: Path) -> None:
    database, folder = make_run(tmp_path, "planted", ["en"])
    model, facts = loaded(NeuronRequest(database, ModelChoice(str(folder))))
    (prompt,) = facts["P36:Q142/en"].prompts
    truth = drops(model, questions_of(model, [prompt]))[0]
    assert best(truth, 1) == (PLANTED,)
    request = FaithfulnessRequest(database, ModelChoice(str(folder)))
    found = faithfulness.compare(
        model, prompt, lambda done: None, scoring=SCORING, top=[1], request=request
    )
    assert found is not None
    correlation, overlap, removed = dict(zip(("true", *SCORING), found, strict=True))["ig-zero"]
    assert correlation > 0.8
    assert overlap == 1
    p = probability(folder, prompt.text, prompt.answer)
    without = probability(folder, prompt.text, prompt.answer, [PLANTED])
    assert removed == pytest.approx((p - without) / p, rel=1e-4)
    rows = dict(zip(("true", *SCORING), found.tolist(), strict=True))
    assert all(rows[name][1] == 1 for name in ("true", "amig", "amig-paper"))
    assert abs(rows["random"][0]) < 0.3


def test_a_sample_of_neurons_has_the_top_of_each_method(tmp_path: Path) -> None:
    database, folder = make_run(tmp_path, "planted", ["en"])
    model, facts = loaded(NeuronRequest(database, ModelChoice(str(folder))))
    (prompt,) = facts["P36:Q142/en"].prompts
    request = FaithfulnessRequest(database, ModelChoice(str(folder)), neurons=20)
    told: list[int] = []
    compare = partial(
        faithfulness.compare, model, prompt, told.append, scoring=["amig", "random"], top=[1, 2]
    )
    few = compare(request=request)
    assert few is not None
    assert 20 <= told[-1] <= 20 + 2 * 2
    whole = compare(request=FaithfulnessRequest(database, ModelChoice(str(folder))))
    assert whole is not None
    removed = slice(-2, None)
    np.testing.assert_allclose(few[1:, removed], whole[1:, removed], atol=1e-6)
    assert few[1, 1] == 1  # the planted neuron, which amig finds, whether it was drawn or not
    assert not np.allclose(few[:, 0], whole[:, 0])


def test_drawn_neurons_are_as_many_as_asked_for() -> None:
    assert faithfulness.draw((3, 4), None, seed=0).all()
    assert [faithfulness.draw((3, 4), n, seed=0).sum() for n in (1, 5, 99)] == [1, 5, 12]


def test_ranks_are_scipys_with_ties_and_infinities() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        a, b = generator.integers(0, 6, (2, 40)).astype(float)
        a[0] = -np.inf
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
    assert np.isnan(spearman(np.ones(5), np.arange(5.0)))


def test_one_prompt_of_each_fact_in_any_language(bert: Run) -> None:
    request = FaithfulnessRequest(bert[0], ModelChoice(str(bert[1])))
    _, run = model_and_run(request)
    sample = draw_sample(request, run.run_id)
    drawn = [one_of_each(sample, seed) for seed in range(10)]
    assert all(len({prompt.fact_id for prompt in own}) == len(own) == 4 for own in drawn)
    assert {prompt.relation_lang.lang for own in drawn for prompt in own} == {"de", "en"}
    assert drawn[0] == one_of_each(sample, 0)


def test_tops_that_are_larger_than_the_model_are_a_note(bert: Run) -> None:
    request = FaithfulnessRequest(bert[0], ModelChoice(str(bert[1])), facts=1, top=(144, 5, 200))
    table = faithfulness.evaluate(request)
    assert [name for name in table.columns if name[-1].isdigit()] == [
        f"{what}_{k}" for what in ("overlap", "removed") for k in (5, 144)
    ]
    assert table.settings["top"] == [5, 144]
    assert "The top 200 is left out: the model has 144 neurons." in table.notes


def test_intervals_and_progress(bert: Run) -> None:
    told: list[tuple[int, int]] = []
    request = FaithfulnessRequest(bert[0], ModelChoice(str(bert[1])), facts=3, replicates=200)
    table = faithfulness.evaluate(request, lambda done, total: told.append((done, total)))
    assert told[0] == (0, 3 * 144)
    assert told[-1] == (3 * 144, 3 * 144)
    for row in dicts(table).values():
        assert row["n_prompts"] == 3
        for name in ("spearman", "overlap_10", "removed_50"):
            assert row[f"{name}_low"] - 1e-9 <= row[name] <= row[f"{name}_high"] + 1e-9


def test_what_makes_no_sense(bert: Run, tmp_path: Path) -> None:
    database, folder = bert
    with pytest.raises(UsageError, match="at least 1 neuron; 0, 5 was given"):
        FaithfulnessRequest(database, ModelChoice(str(folder)), top=(0, 5))
    with pytest.raises(UsageError, match="nothing was given"):
        FaithfulnessRequest(database, ModelChoice(str(folder)), top=())
    with pytest.raises(UsageError, match="top of 145 neurons was given, but tiny-bert has 144"):
        faithfulness.evaluate(
            FaithfulnessRequest(database, ModelChoice(str(folder)), top=(200, 145))
        )
    other = saved("other-bert")
    with pytest.raises(
        NotFound, match="no finished run of the model other-bert with these weights"
    ):
        faithfulness.evaluate(FaithfulnessRequest(database, ModelChoice(str(other))))
