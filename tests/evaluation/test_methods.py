"""Scores of all methods, the neurons they pick, and the sample they are compared on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kndb.attribution import attribute
from kndb.crew.engines import Here
from kndb.errors import DatabaseMissing, KndbError, NotFound, UsageError
from kndb.evaluation.localisation import METHODS, pick
from kndb.evaluation.methods import SCORING, activations, best, scores, usable
from kndb.evaluation.sample import (
    AskedFact,
    NeuronRequest,
    Sample,
    askable,
    draw_sample,
    only_askable,
    unrelated,
)
from kndb.model_runs import model_and_run
from kndb.models import LanguageModel, ModelChoice
from kndb.neurons import Neuron
from kndb.store.database import connect
from neuron_runs import loaded, make_run
from saved_models import saved

REQUEST = NeuronRequest(Path("unused"), ModelChoice("unused"))

Loaded = tuple[LanguageModel[Any], dict[str, AskedFact]]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_run(tmp_path_factory.mktemp("bert"), "tiny-bert")


@pytest.fixture(scope="module")
def asked(bert: tuple[Path, Path]) -> Loaded:
    return loaded(NeuronRequest(bert[0], ModelChoice(str(bert[1]))))


def test_scores_are_the_engines_means(asked: Loaded) -> None:
    model, facts = asked
    cases = [
        [*facts["P36:Q17/de"].prompts, *facts["P36:Q17/en"].prompts],
        facts["P36:Q142/en"].prompts,
    ]
    found = scores(model, "ig-zero", cases, seed=0)
    for own, prompts in zip(found, cases, strict=True):
        every = attribute(model, [(p.text, p.answer) for p in prompts], "ig-zero")
        expected = np.mean([single.scores for single in every], axis=0)
        np.testing.assert_allclose(own, expected, rtol=1e-4, atol=1e-8)


def test_the_most_active_are_what_the_projections_get(asked: Loaded) -> None:
    model, facts = asked
    prompts = [facts["P36:Q142/en"].prompts[0], facts["P36:Q17/de"].prompts[0]]
    found = activations(model, prompts)
    for prompt, own in zip(prompts, found, strict=True):
        per_token = []
        for target in model.targets(prompt.text, prompt.answer):
            seen: list[torch.Tensor] = []
            handles = [
                down.register_forward_pre_hook(lambda m, args, seen=seen: seen.append(args[0]))
                for down in model.down
            ]
            with torch.no_grad():
                model.hf(input_ids=torch.tensor([target.tokens]))
            for handle in handles:
                handle.remove()
            per_token.append(torch.stack([layer[0, target.position] for layer in seen]))
        expected = torch.stack(per_token).mean(0)
        np.testing.assert_allclose(own, expected.numpy(), rtol=1e-4, atol=1e-6)
    assert len(model.targets(prompts[1].text, prompts[1].answer)) == 2
    mean = scores(model, "most-active", [prompts], seed=0)[0]
    np.testing.assert_allclose(mean, found.mean(0))


def test_best_are_the_highest_and_come_in_order() -> None:
    scored = np.array([[0.1, 5.0, -9.0], [5.0, -np.inf, 0.2]])
    assert best(scored, 2) == (Neuron(0, 1), Neuron(1, 0))
    assert best(scored, 3) == (Neuron(0, 1), Neuron(1, 0), Neuron(1, 2))
    assert best(scored, 5)[-1] == Neuron(1, 2)
    assert best(np.zeros((2, 3)), 2) == (Neuron(0, 0), Neuron(0, 1))


def test_every_method_has_as_many_neurons(asked: Loaded) -> None:
    model, facts = asked
    every = list(facts.values())
    sizes = set()
    for fact, chosen in zip(every, pick(model, every, SCORING, REQUEST), strict=True):
        assert tuple(chosen) == METHODS
        assert {len(set(neurons)) for neurons in chosen.values()} == {len(fact.neurons)}
        assert all(neurons == tuple(sorted(neurons)) for neurons in chosen.values())
        layers = [Counter(n.layer for n in chosen[name]) for name in ("amig", "random-layers")]
        assert layers[0] == layers[1]
        # One prompt: the run's neurons are those of the highest scores.
        assert chosen["knowledge"] == chosen["amig"]
        sizes.add(len(fact.neurons))
    assert len(sizes) > 1


def test_random_neurons_come_from_everywhere_and_by_the_seed(asked: Loaded) -> None:
    model, facts = asked
    every = list(facts.values())
    draws = [
        pick(model, every, ("amig", "random"), replace(REQUEST, seed=seed)) for seed in range(5)
    ]
    assert pick(model, every, ("amig", "random"), REQUEST) == draws[0]
    drawn = [neuron for facts in draws for own in facts for neuron in own["random"]]
    assert {neuron.layer for neuron in drawn} == {0, 1, 2}
    assert np.mean([neuron.index for neuron in drawn]) == pytest.approx(23.5, abs=4)
    assert len(set(drawn)) > 100


@pytest.mark.parametrize("name", ["tiny-gpt2", pytest.param("tiny-llama", marks=pytest.mark.long)])
def test_what_a_model_cannot_be_scored_by_is_said(name: str, tmp_path: Path) -> None:
    database, folder = make_run(tmp_path, name, ["en"])
    model, facts = loaded(NeuronRequest(database, ModelChoice(str(folder))))
    methods, notes = usable(Here(model), facts["P36:Q142/en"].prompts[0])
    if name == "tiny-gpt2":
        assert (tuple(methods), notes) == (SCORING, [])
    else:
        assert methods == [method for method in SCORING if method != "amig-code"]
        assert notes[0].startswith("amig-code is left out: Pre-activation neurons were asked of")


def test_unrelated_facts_share_nothing(bert: tuple[Path, Path]) -> None:
    request = NeuronRequest(bert[0], ModelChoice(str(bert[1])))
    _, run = model_and_run(request)
    sample = draw_sample(request, run.run_id)
    for fact in sample.facts:
        lang = fact.relation_lang.lang
        found = unrelated(fact, sample.pool[lang], 6, seed=0)
        own = fact.prompts[0]
        # Four facts: two capitals, a language, a currency.
        assert len(found) == (2 if own.relation_lang.relation_id == "P36" else 3)
        assert all(other.relation_lang.lang == lang for other in found)
        assert all(
            other.relation_lang.relation_id != own.relation_lang.relation_id for other in found
        )
        assert len(unrelated(fact, sample.pool[lang], 1, seed=0)) == 1
    same = [replace_object(sample.facts[0], prompt) for prompt in sample.pool["en"]]
    assert unrelated(sample.facts[0], same, 6, seed=0) == []


def replace_object(fact: AskedFact, prompt: Any) -> Any:
    """The prompt with the answer of a fact, under another id."""
    return replace(prompt, answer=fact.prompts[0].answer, object_id="Q0")


def test_the_sample_is_drawn_by_the_seed_for_all_languages(bert: tuple[Path, Path]) -> None:
    request = NeuronRequest(bert[0], ModelChoice(str(bert[1])))
    run_id = model_and_run(request)[1].run_id

    def drawn(**changes: Any) -> Sample:
        return draw_sample(replace(request, **changes), run_id)

    two = drawn(facts=2)
    assert len({fact.fact_id for fact in two.facts}) == 2
    assert [f.relation_lang.lang for f in two.facts] == ["de", "en"] * 2
    assert two == drawn(facts=2)
    assert two.facts[:2] == drawn(facts=1).facts
    english = drawn(facts=2, langs=["en"])
    assert {f.fact_id for f in english.facts} == {f.fact_id for f in two.facts}
    assert len({drawn(facts=1, seed=seed).facts[0].fact_id for seed in range(8)}) > 1
    assert drawn(facts=9).notes == (
        "The run has 4 facts with knowledge neurons; all of them are used.",
    )
    with pytest.raises(UsageError, match=r"no language 'xx' in this run; choose from de, en\."):
        drawn(langs=["xx"])


def test_facts_without_neurons_are_a_note(bert: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    path.write_bytes(bert[0].read_bytes())
    with connect(path, write=True) as connection:
        connection.execute(
            "DELETE FROM knowledge_neuron WHERE lang = 'de' AND fact_id = "
            "(SELECT fact_id FROM fact WHERE fact_key = 'P36:Q142')"
        )
    request = NeuronRequest(path, ModelChoice(str(bert[1])), facts=4)
    run_id = model_and_run(request)[1].run_id
    sample = draw_sample(request, run_id)
    assert len(sample.facts) == 7
    assert sample.notes == (
        "Facts without knowledge neurons in a language are left out there: 1 times.",
    )
    with connect(path, write=True) as connection:
        connection.execute("DELETE FROM knowledge_neuron")
    with pytest.raises(KndbError, match=r"No fact of the run \d+ has knowledge neurons in de, en"):
        draw_sample(request, run_id)


def test_prompts_of_another_tokenizer_are_a_note(bert: tuple[Path, Path]) -> None:
    request = NeuronRequest(bert[0], ModelChoice(str(bert[1])))
    model, run = model_and_run(request)
    sample = draw_sample(request, run.run_id)
    first, *rest = sample.facts
    strange = replace(first, prompts=(replace(first.prompts[0], answer="Atlantis"),))
    assert not askable(model, strange.prompts[0])
    kept = only_askable(Here(model), replace(sample, facts=(strange, *rest)))
    assert kept.facts == tuple(rest)
    assert (
        kept.notes[-1] == "Prompts that the model cannot be asked are left out: 1 of the sample's."
    )
    assert only_askable(Here(model), sample) is sample
    with pytest.raises(KndbError, match="cannot be asked any prompt"):
        only_askable(Here(model), replace(sample, facts=(strange,)))


def test_the_model_must_be_the_runs(bert: tuple[Path, Path], tmp_path: Path) -> None:
    other = saved("other-bert")
    with pytest.raises(
        NotFound, match="no finished run of the model other-bert with these weights"
    ):
        model_and_run(NeuronRequest(bert[0], ModelChoice(str(other))))
    _, run = model_and_run(NeuronRequest(bert[0], ModelChoice(str(bert[1]))))
    with pytest.raises(UsageError, match="whose weights are not those of other-bert"):
        model_and_run(NeuronRequest(bert[0], ModelChoice(str(other)), run=str(run.run_id)))
    with pytest.raises(DatabaseMissing):
        model_and_run(NeuronRequest(tmp_path / "no.duckdb", ModelChoice(str(bert[1]))))
    with pytest.raises(UsageError, match="number of facts must be at least 1; 0 was given"):
        NeuronRequest(bert[0], ModelChoice(str(bert[1])), facts=0)
