"""Samples a run's facts and prompts for an evaluation, by a seed. Runs no model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kndb.crew.each import Items, Tell, each
from kndb.crew.engines import Engine
from kndb.crew.placement import Placement, check_placement
from kndb.errors import KndbError, UsageError
from kndb.evaluation.methods import check_methods
from kndb.facts import content_id
from kndb.models import LanguageModel, ModelChoice, Unusable
from kndb.neurons import Neuron
from kndb.store.calibrations import knowledge_neurons
from kndb.store.prompts import RelationLang, StoredPrompt, read_prompts
from kndb.store.runs import StoredRun


@dataclass(frozen=True)
class NeuronRequest(Placement):
    """Whose neurons to evaluate, and on what; where the model runs, see :class:`Placement`.

    Attributes:
        database: the database's path.
        model: which model, and how it is loaded.
        run: a run's id or its first digits; the model's newest finished run when None.
        facts: number of facts to draw from those with knowledge neurons.
        langs: languages; empty means all languages of the run.
        seed: seed of every draw: facts, prompts, random neurons, bootstrap.
        replicates: number of bootstrap resamples.
        methods: methods to compare, of :data:`kndb.evaluation.methods.SCORING`; empty means all.
    """

    database: Path
    model: ModelChoice
    run: str | None = None
    facts: int = 40
    langs: Sequence[str] = ()
    seed: int = 0
    replicates: int = 1000
    methods: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            UsageError: fewer than one fact or bootstrap resample is asked for, or an unknown
                method, or the model cannot run there.
        """
        super().__post_init__()
        check_placement(self)
        check_methods(self.methods)
        for name in ("facts", "replicates"):
            if getattr(self, name) < 1:
                raise UsageError(
                    f"The number of {name} must be at least 1; {getattr(self, name)} was given."
                )

    def settings(self, run: StoredRun) -> dict[str, Any]:
        """Everything needed to reproduce a table."""
        return {
            "model": run.model,
            "run": run.run_id,
            "facts": self.facts,
            "langs": list(self.langs) or "all",
            "methods": list(self.methods) or "all",
            "seed": self.seed,
            "replicates": self.replicates,
            "dtype": self.model.dtype,
            "tau": run.tau,
            "share": run.share,
        }


@dataclass(frozen=True)
class AskedFact:
    """A fact in a language, as stored in a run.

    Attributes:
        fact_id: the fact.
        relation_lang: relation and language.
        prompts: the prompts that the run has attributed.
        neurons: its knowledge neurons.
    """

    fact_id: int
    relation_lang: RelationLang
    prompts: tuple[StoredPrompt, ...]
    neurons: tuple[Neuron, ...]


@dataclass(frozen=True)
class Sample:
    """The facts drawn, and the prompts they were drawn from.

    Attributes:
        facts: fact after fact, each in its languages.
        pool: all prompts of the run, per language.
        notes: sentences that say what was left out.
    """

    facts: tuple[AskedFact, ...]
    pool: dict[str, list[StoredPrompt]]
    notes: tuple[str, ...]


def draw_sample(request: NeuronRequest, run_id: int) -> Sample:
    """Draw facts that have knowledge neurons in at least one of the languages asked for.

    Raises:
        UsageError: the run has no such language.
        KndbError: no fact has knowledge neurons.
    """
    pool: dict[str, list[StoredPrompt]] = defaultdict(list)
    prompts: dict[tuple[int, RelationLang], list[StoredPrompt]] = defaultdict(list)
    for prompt in read_prompts(request.database, run_id):
        pool[prompt.relation_lang.lang].append(prompt)
        prompts[prompt.fact_id, prompt.relation_lang].append(prompt)
    langs = _langs(request.langs, set(pool))
    neurons: dict[tuple[int, RelationLang], list[Neuron]] = defaultdict(list)
    for fact_id, relation_lang, layer, index in knowledge_neurons(request.database, run_id):
        if relation_lang.lang in langs and (fact_id, relation_lang) in prompts:
            neurons[fact_id, relation_lang].append(Neuron(layer, index))
    if not neurons:
        raise KndbError(
            f"No fact of the run {run_id} has knowledge neurons in {', '.join(sorted(langs))}; "
            "`kndb runs` lists other runs, `kndb ingest` makes one."
        )
    facts = {fact_id for fact_id, _ in neurons}
    order = sorted(facts, key=lambda fact: content_id("draw", request.seed, fact))
    ranks = {fact: rank for rank, fact in enumerate(order[: request.facts])}
    drawn = sorted(
        (key for key in prompts if key[0] in ranks and key[1][1] in langs),
        key=lambda key: (ranks[key[0]], key[1]),
    )
    return Sample(
        tuple(
            AskedFact(*key, tuple(prompts[key]), tuple(neurons[key]))
            for key in drawn
            if key in neurons
        ),
        pool,
        _notes(len(facts), request.facts, sum(key not in neurons for key in drawn)),
    )


def _langs(asked: Sequence[str], known: set[str]) -> set[str]:
    unknown = sorted(set(asked) - known)
    if unknown:
        raise UsageError(
            f"There is no language {unknown[0]!r} in this run; "
            f"choose from {', '.join(sorted(known))}."
        )
    return set(asked) or known


def _notes(facts: int, asked: int, without: int) -> tuple[str, ...]:
    notes = []
    if facts < asked:
        notes.append(f"The run has {facts} facts with knowledge neurons; all of them are used.")
    if without:
        notes.append(
            f"Facts without knowledge neurons in a language are left out there: {without} times."
        )
    return tuple(notes)


def unrelated(
    fact: AskedFact, pool: Sequence[StoredPrompt], n: int, seed: int
) -> list[StoredPrompt]:
    """Prompts of up to ``n`` other facts, one of each, drawn by the seed.

    Relation, subject, object and the object's label all differ.
    """
    own = fact.prompts[0]
    generator = np.random.default_rng(
        content_id("unrelated", seed, fact.fact_id, *fact.relation_lang)
    )
    found: dict[int, StoredPrompt] = {}
    for at in generator.permutation(len(pool)):
        if len(found) == n:
            break
        other = pool[at]
        if other.fact_id not in found and _is_unrelated(own, other):
            found[other.fact_id] = other
    return list(found.values())


def _is_unrelated(own: StoredPrompt, other: StoredPrompt) -> bool:
    return (
        other.relation_lang.relation_id != own.relation_lang.relation_id
        and other.object_id != own.object_id
        and other.answer != own.answer
        and _subject(other) != _subject(own)
    )


def _subject(prompt: StoredPrompt) -> str:
    """The subject's id, from a key such as ``P36:Q142``."""
    return prompt.fact_key.removeprefix(f"{prompt.relation_lang.relation_id}:")


def only_askable(engine: Engine, sample: Sample) -> Sample:
    """The sample without the prompts that the model cannot be asked, which a note counts.

    Such prompts occur when the run was made with another tokenizer.

    Raises:
        KndbError: no prompt of the sample is left.
    """
    kept = each(engine, _only_askable, Items(sample.facts, "facts", first_text, most=64))
    lost = sum(len(fact.prompts) for fact in sample.facts) - sum(len(fact.prompts) for fact in kept)
    if not lost:
        return sample
    facts = tuple(fact for fact in kept if fact.prompts)
    if not facts:
        raise KndbError(
            f"The model {engine.info.name} cannot be asked any prompt of the sample; "
            "give the model, with its tokenizer, that the run was made with."
        )
    note = f"Prompts that the model cannot be asked are left out: {lost} of the sample's."
    return replace(sample, facts=facts, notes=(*sample.notes, note))


def _only_askable(model: LanguageModel[Any], fact: AskedFact, tell: Tell) -> AskedFact:
    return replace(fact, prompts=tuple(p for p in fact.prompts if askable(model, p)))


def first_text(fact: AskedFact) -> str:
    """The text of a fact's first prompt, by which a reader knows it."""
    return fact.prompts[0].text


def askable(model: LanguageModel[Any], prompt: StoredPrompt) -> bool:
    """Whether this model can be asked this prompt."""
    try:
        model.targets(prompt.text, prompt.answer)
    except Unusable:
        return False
    return True
