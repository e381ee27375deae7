"""Figures of a demo model: what it knows, and what its knowledge neurons do.

``python -m kndb_ingest.demo.measure FOLDER`` prints them. The definitions of the figures are here;
the scores come from the attribution engine with its default preset.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from itertools import combinations
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kndb.attribution import attribute
from kndb.facts import Prompt
from kndb.models import LanguageModel, Target, Unusable, load_model
from kndb.models.asking import Answer, Asker
from kndb.neurons import Neuron
from kndb_ingest.datasets import read_dataset
from kndb_ingest.demo import facts_path

# A score above this share of the prompt's highest, in more than this share of a fact's prompts.
TAU, SHARE = 0.2, 0.5
# A pair is degenerate when each neuron alone drops p by at most LOW, and both by more than HIGH.
LOW, HIGH = 0.2, 0.25
CANDIDATES = 10
RANDOM_SETS = 5

Model = LanguageModel[Any]


@dataclass(frozen=True)
class Figures:
    """The measured figures. Changes are relative, averaged over facts, languages and prompts.

    Attributes:
        prompts: number of prompts the model can be given.
        right: share of them in which every token of the answer is the first choice.
        p: median probability of the answer.
        facts: number of facts sampled for the remaining figures.
        neurons: mean number of knowledge neurons per fact and language.
        suppressed: change in the answer's probability with the knowledge neurons set to zero.
        random: the same with as many random neurons in the same layers set to zero.
        enhanced: the same with the knowledge neurons doubled.
        others: change in the answer of another subject, with the same relation and language, with
            the fact's knowledge neurons set to zero.
        shared: mean number of knowledge neurons shared by two languages of a fact.
        chance: the same, expected for random sets of these sizes.
        degenerate: share of facts and languages with a degenerate pair among the ten neurons with
            the highest scores.
        completeness: the largest completeness residual of a path.
    """

    prompts: int
    right: float
    p: float
    facts: int
    neurons: float
    suppressed: float
    random: float
    enhanced: float
    others: float
    shared: float
    chance: float
    degenerate: float
    completeness: float

    def lines(self) -> list[str]:
        """One line per figure: ``right        0.998``."""
        values = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return [f"{n:13}{v if isinstance(v, int) else format(v, '.3f')}" for n, v in values]


@dataclass(frozen=True)
class Asked:
    """A prompt that the model can be given, with its targets."""

    prompt: Prompt
    targets: tuple[Target, ...]


@dataclass(frozen=True)
class Located:
    """A fact in a language: its prompts, knowledge neurons and top-scoring neurons."""

    asked: tuple[Asked, ...]
    neurons: frozenset[Neuron]
    top: tuple[Neuron, ...]
    completeness: float

    @property
    def fact(self) -> str:
        """The fact's key."""
        return self.asked[0].prompt.fact.key


def measure(folder: Path, facts: int = 60, prompts: int | None = None, seed: int = 0) -> Figures:
    """Measure the model in a folder: its knowledge on all prompts, the rest on a sample of facts.

    Args:
        folder: the model's folder.
        facts: number of facts to attribute and to intervene on, the same number per relation.
        prompts: number of prompts to sample, for a quicker result; None for all.
        seed: seed of the samples.
    """
    model = load_model(folder, device="cpu")
    rng = random.Random(seed)
    every = read_dataset(facts_path()).prompts
    asked = list(_asked(model, every if prompts is None else rng.sample(every, prompts)))
    known = _known(model, asked)
    found = [_locate(model, group) for group in _groups(model, rng, every, facts)]
    changes = [_changes(model, fact, rng, asked) for fact in found]
    shared, chance = _overlap(model, found)
    return Figures(
        prompts=len(asked),
        right=fmean(answer.is_first for answer in known),
        p=median(answer.p for answer in known),
        facts=len({fact.fact for fact in found}),
        neurons=fmean(len(fact.neurons) for fact in found),
        **{name: fmean(change[name] for change in changes) for name in changes[0]},
        shared=shared,
        chance=chance,
        degenerate=fmean(_degenerate(model, fact) for fact in found),
        completeness=max(fact.completeness for fact in found),
    )


def _asked(model: Model, prompts: Iterable[Prompt]) -> Iterator[Asked]:
    for prompt in prompts:
        try:
            yield Asked(prompt, model.targets(prompt.text, prompt.answer))
        except Unusable:  # the model is causal, and the object is not last
            continue


def _known(model: Model, asked: Sequence[Asked]) -> list[Answer]:
    """The model's answers to prompts that it can be given."""
    questions = [(one.prompt.text, one.prompt.answer) for one in asked]
    answers = Asker(model, shared_prefix=True).stream(questions)
    return [answer for answer in answers if isinstance(answer, Answer)]


def _groups(
    model: Model, rng: random.Random, prompts: Iterable[Prompt], facts: int
) -> list[tuple[Asked, ...]]:
    """Prompts grouped by fact and language, for facts sampled evenly from the relations."""
    keys = defaultdict(list)
    groups = defaultdict(list)
    for prompt in prompts:
        keys[prompt.fact.relation_id].append(prompt.fact.key)
        groups[prompt.fact.key, prompt.lang].append(prompt)
    drawn = {
        key for found in keys.values() for key in rng.sample(sorted({*found}), facts // len(keys))
    }
    return [tuple(_asked(model, group)) for (key, _), group in groups.items() if key in drawn]


def _locate(model: Model, asked: tuple[Asked, ...]) -> Located:
    """Attribute the prompts of a fact in a language."""
    results = list(attribute(model, [one.prompt for one in asked], words=False))
    votes = Counter(
        neuron
        for result in results
        for neuron in _neurons(np.argwhere(result.scores > TAU * result.scores.max()))
    )
    total = np.sum([result.scores for result in results], axis=0)
    best = np.argsort(-total, axis=None)[:CANDIDATES]
    return Located(
        asked,
        frozenset(neuron for neuron, count in votes.items() if count > SHARE * len(asked)),
        tuple(_neurons(np.stack(np.unravel_index(best, total.shape), axis=1))),
        max(result.completeness for result in results),
    )


def _neurons(places: Any) -> list[Neuron]:
    return [Neuron(int(layer), int(index)) for layer, index in places]


def _changes(
    model: Model, fact: Located, rng: random.Random, asked: Sequence[Asked]
) -> dict[str, float]:
    """The figures that depend on a fact's knowledge neurons, by their names in Figures."""
    random_sets = [_random_set(model, fact, rng) for _ in range(RANDOM_SETS)]
    other = rng.choice([one for one in asked if _comparable(one.prompt, fact.asked[0].prompt)])
    return {
        "suppressed": fmean(_change(model, fact.asked, [fact.neurons])),
        "random": fmean(_change(model, fact.asked, random_sets)),
        "enhanced": fmean(_change(model, fact.asked, [fact.neurons], 2.0)),
        "others": fmean(_change(model, [other], [fact.neurons])),
    }


def _random_set(model: Model, fact: Located, rng: random.Random) -> set[Neuron]:
    layers = Counter(neuron.layer for neuron in fact.neurons)
    indices = range(model.info.n_neurons)
    return {Neuron(x, i) for x, count in layers.items() for i in rng.sample(indices, count)}


def _comparable(one: Prompt, other: Prompt) -> bool:
    """Whether two prompts share relation and language but have different objects."""
    same = one.fact.relation_id == other.fact.relation_id and one.lang == other.lang
    return same and one.fact.object_id != other.fact.object_id


def _change(
    model: Model, asked: Sequence[Asked], sets: Sequence[Collection[Neuron]], factor: float = 0.0
) -> list[float]:
    """Relative change in the answer's probability for each set, averaged over the prompts."""
    scales = torch.ones(len(sets) + 1, model.info.n_layers, model.info.n_neurons)
    for row, neurons in enumerate(sets, start=1):
        for neuron in neurons:
            scales[row, neuron.layer, neuron.index] = factor
    changes = []
    for one in asked:
        p = torch.stack([_scaled(model, target, scales) for target in one.targets]).mean(0)
        changes.append((p[1:] - p[0]) / p[0])
    return torch.stack(changes).mean(0).tolist()


@torch.no_grad()
def _scaled(model: Model, target: Target, scales: Tensor) -> Tensor:
    """The target's probability with neurons scaled at the answer position.

    Args:
        model: the model.
        target: the answer token.
        scales: ``(rows, n_layers, n_neurons)``.

    Returns:
        ``(rows,)``.
    """
    tokens = torch.tensor([target.tokens]).expand(len(scales), -1)
    with _scaling(model, target.position, scales):
        logits: Tensor = model.hf(tokens).logits
    return logits[:, target.position].softmax(1)[:, target.answer]


@contextmanager
def _scaling(model: Model, position: int, scales: Tensor) -> Iterator[None]:
    def hook(layer: int) -> Any:
        def scale(module: Any, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            values = args[0].clone()
            values[:, position] *= scales[:, layer]
            return (values, *args[1:])

        return scale

    with ExitStack() as stack:
        for layer, down in enumerate(model.down):
            stack.callback(down.register_forward_pre_hook(hook(layer)).remove)
        yield


def _overlap(model: Model, found: Sequence[Located]) -> tuple[float, float]:
    """Neurons shared by two languages of a fact, and the number expected by chance; means."""
    by_fact = defaultdict(list)
    for fact in found:
        by_fact[fact.fact].append(fact.neurons)
    pairs = [pair for sets in by_fact.values() for pair in combinations(sets, 2)]
    neurons = model.info.n_layers * model.info.n_neurons
    return fmean(len(a & b) for a, b in pairs), fmean(len(a) * len(b) / neurons for a, b in pairs)


def _degenerate(model: Model, fact: Located) -> bool:
    """Whether some pair of top neurons matters together, but neither neuron alone."""
    pairs = list(combinations(fact.top, 2))
    sets = [{neuron} for neuron in fact.top] + [set(pair) for pair in pairs]
    drops = [-change for change in _change(model, fact.asked, sets)]
    alone = dict(zip(fact.top, drops, strict=False))
    together = zip(pairs, drops[len(fact.top) :], strict=True)
    return any(d > HIGH and max(alone[a], alone[b]) <= LOW for (a, b), d in together)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure a demo model on the demo facts.")
    parser.add_argument("folder", type=Path)
    print("\n".join(measure(parser.parse_args().folder).lines()))


if __name__ == "__main__":
    main()
