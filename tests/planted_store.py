"""Runs with hand-written knowledge neurons: a real database, by the real writer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kndb.facts import Fact, Prompt, Relation
from kndb.store.ids import dataset_id, prompt_id
from kndb.store.writer import Writer
from small_store import Dataset, Model, attributions, predictions, start_from_empty

MODEL = Model(n_layers=3, n_neurons=100)
POPULATION = 300
RELATIONS = [Relation("P36", "capital"), Relation("P38", "currency")]

Planted = Mapping[str, Mapping[str, Sequence[tuple[int, int]]]]
"""For each fact (``P36:Q1``), its neurons ``(layer, neuron)`` in each language."""


def plant(path: Path, planted: Planted, model: Model = MODEL) -> int:
    """Write a finished run with these knowledge neurons, all of score 1; return its id."""
    prompts = {
        (key, lang): Prompt(_fact(key), lang, "[X] [Y]", key, "answer")
        for key, langs in planted.items()
        for lang in langs
    }
    ids = {at: prompt_id(dataset_id(Dataset.sha256), prompt) for at, prompt in prompts.items()}
    start_from_empty(path)
    writer = Writer(path)
    facts = [_fact(key) for key in planted]
    every = list(prompts.values())
    run = writer.begin(model, Dataset(), RELATIONS, facts, every, "amig", {"seed": 0})
    scores = [
        (ids[key, lang], layer, neuron, 1.0)
        for key, langs in planted.items()
        for lang, neurons in langs.items()
        for layer, neuron in neurons
    ]
    writer.append(run.run_id, predictions(list(ids.values())), attributions(scores))
    writer.finish(run.run_id, 0.2, 0.5)
    return run.run_id


def _fact(key: str) -> Fact:
    relation, _, subject = key.partition(":")
    return Fact(relation, subject, "Q0")
