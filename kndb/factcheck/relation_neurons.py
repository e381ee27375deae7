"""Which neurons score the claims of a relation: chosen on training facts only."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from kndb.facts import content_id
from kndb.neurons import Neuron, random_like
from kndb.store.calibrations import NeuronOfFact
from kndb.store.prompts import RelationLang

Counted = dict[Neuron, int]
"""Neurons, each with the number of training facts that have it."""

KINDS = ("degenerate", "knowledge", "random")


def count_facts(found: Iterable[NeuronOfFact], train: set[int]) -> dict[RelationLang, Counted]:
    """How many training facts (by id) have each neuron, per relation and language."""
    counts: dict[RelationLang, Counter[Neuron]] = defaultdict(Counter)
    for fact, relation_lang, layer, index in found:
        if fact in train:
            counts[relation_lang][Neuron(layer, index)] += 1
    return {relation_lang: dict(counter) for relation_lang, counter in counts.items()}


def frequent(counted: Counted, share: float) -> Counted:
    """The neurons whose count exceeds ``share`` times the highest count.

    This is the rule of AMIG's released code, with 0.7.

    >>> frequent({Neuron(0, 1): 10, Neuron(0, 2): 8, Neuron(1, 3): 7}, 0.7)
    {Neuron(layer=0, index=1): 10, Neuron(layer=0, index=2): 8}
    """
    most = max(counted.values(), default=0)
    return {neuron: n for neuron, n in counted.items() if n > share * most}


def random_others(
    chosen: Mapping[RelationLang, Counted], n_neurons: int, seed: int
) -> dict[RelationLang, Counted]:
    """Equally many other neurons of the same layers, drawn at random; none if there are too few."""
    found: dict[RelationLang, Counted] = {}
    for relation_lang, counted in chosen.items():
        neurons = sorted(counted)
        drawn = random_like(neurons, neurons, n_neurons, content_id("random", seed, *relation_lang))
        if drawn is not None:
            found[relation_lang] = dict.fromkeys(sorted(drawn), 0)
    return found
