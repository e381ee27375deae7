"""From what is asked of an edit to a plan: which neurons, which new answers, which prompts to ask.

It reads the index and runs no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import inf
from typing import Any

from kndb.edit.scores import MODES, Kind, Mode, Probe
from kndb.errors import NotFound, UsageError
from kndb.facts import content_id
from kndb.neurons import Neuron
from kndb.store.edit_source import EditSource, Labels, Neurons, StoredFact
from kndb.store.prompts import StoredPrompt

SELECTIONS = ("sequential", "language-independent", "one-language", "knowledge", "degenerate")

DEFAULT_STRENGTH = 0.4
"""Lambda of an update: of 0.2, 0.4, 0.6, 1, 2 and 4 the one with the highest harmonic mean,
averaged over both demo models, for ``sequential`` on 30 facts each that are not among those
reported (``benchmarks/editing.py``); 0.6 does as well. Fewer neurons want a larger one, and so do
models with other embeddings."""

DEFAULT_TOP = 20
"""Knowledge neurons of each language that are edited: more cost locality and gain nothing."""


@dataclass(frozen=True)
class EditSettings:
    """All that is asked of an edit but its fact.

    Attributes:
        mode: ``suppress``, ``enhance``, ``erase`` or ``update``.
        neurons: which. ``sequential``: each language's knowledge neurons, changed for that
            language; ``one-language``: those of the target's language, changed for all languages;
            ``language-independent``: those in all languages; ``knowledge``: those in any;
            ``degenerate``: of the fact's degenerate sets; ``all-layers:N``: the N of the highest
            scores in each language; ``2:117,3:5``: these.
        target: the new answer, in ``target_lang``.
        target_lang: the language to edit from; found by the target where not given.
        labels: the new answer in other languages, where the data set does not know it.
        langs: languages whose neurons are taken; all of the run when empty.
        strength: lambda of an update.
        top: at most so many knowledge neurons of each language, the strongest; shared ones
            (``language-independent``) are looked for among all.
        held_out: paraphrases per language that are kept back from finding the neurons.
        unrelated: number of unrelated facts.
        seed: of all that is drawn.
    """

    mode: Mode
    neurons: str = "sequential"
    target: str | None = None
    target_lang: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    langs: tuple[str, ...] = ()
    strength: float = DEFAULT_STRENGTH
    top: int = DEFAULT_TOP
    held_out: int = 1
    unrelated: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            UsageError: an unknown mode or choice of neurons, a target where there is none, or a
                number out of range.
        """
        if self.mode not in MODES:
            raise UsageError(f"There is no mode {self.mode!r}; choose from {', '.join(MODES)}.")
        if (self.mode == "update") != (self.target is not None):
            raise UsageError("--mode update needs a new answer, --target, and no other mode does.")
        if not 0 < self.strength < inf:
            raise UsageError(
                f"--lambda is a finite number above 0, but {self.strength:g} was given; a smaller "
                "one pushes less."
            )
        if self.top < 1:
            raise UsageError(f"At least 1 neuron is needed; --top {self.top} was given.")
        if min(self.held_out, self.unrelated) < 0:
            raise UsageError(
                "The numbers of paraphrases and of unrelated facts cannot be negative."
            )
        named_neurons(self.neurons)

    def as_dict(self) -> dict[str, Any]:
        """What sets this edit apart from others of the same fact."""
        values = {**asdict(self), "labels": dict(self.labels), "langs": sorted(self.langs)}
        return values if self.mode == "update" else {**values, "strength": None}


@dataclass(frozen=True)
class Part:
    """Neurons, and the languages whose new answers they are to say."""

    neurons: tuple[Neuron, ...]
    langs: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """An edit, ready to be carried out.

    Attributes:
        fact: the fact.
        lang: the language it is edited from.
        langs: languages whose neurons are taken, sorted.
        target_object: identifier of the new object, where the data set knows it.
        parts: neurons and languages; a neuron may be in several.
        probes: the prompts to measure.
        reason: why nothing is edited; None where something is.
    """

    fact: StoredFact
    lang: str
    langs: tuple[str, ...]
    target_object: str | None
    parts: tuple[Part, ...]
    probes: tuple[Probe, ...]
    reason: str | None

    @property
    def neurons(self) -> tuple[Neuron, ...]:
        """Every neuron once, ascending."""
        return tuple(sorted({neuron for part in self.parts for neuron in part.neurons}))


def named_neurons(text: str) -> tuple[Neuron, ...] | int | str:
    """Neurons written ``2:117,3:5``, N of ``all-layers:N``, or one of the known choices.

    Raises:
        UsageError: it is none of these.
    """
    if text in SELECTIONS:
        return text
    name, _, number = text.partition(":")
    if name == "all-layers":
        if not number.isdecimal() or int(number) < 1:
            raise UsageError(f"{text!r} says no number of neurons; write all-layers:20.")
        return int(number)
    try:
        return tuple(sorted({Neuron.parse(part.strip()) for part in text.split(",")}))
    except UsageError as error:
        raise UsageError(
            f"{text!r} names no neurons; choose from {', '.join(SELECTIONS)}, all-layers:N, or "
            "write LAYER:INDEX,LAYER:INDEX."
        ) from error


def plan_edit(source: EditSource, fact: StoredFact, settings: EditSettings) -> Plan:
    """Find the neurons, the new answers and the prompts of an edit.

    Raises:
        NotFound: the fact has no prompts in the run.
        UsageError: an unknown language, or the target says nothing new.
    """
    prompts = source.prompts(fact)
    known = sorted({prompt.lang for prompt in prompts})
    if not prompts:
        raise NotFound(f"The run {source.run_id} could not ask about the fact {fact.key}.")
    langs = _languages(settings, known)
    lang, labels = _target(source, fact, settings, langs, known)
    back = _held_out(prompts, settings)
    shown = [p for p in prompts if p.prompt_id not in back and p.lang in {*langs, lang}]
    parts = _parts(source, fact, settings, lang, langs, shown)
    others = [labels.object_id] if labels and labels.object_id else []
    unrelated = source.unrelated(fact, others, settings.unrelated, settings.seed)
    asked = [_asked(p, _kind(p, lang, back), labels) for p in prompts]
    asked += [_asked(p, "unrelated", None) for p in unrelated]
    object_id = labels.object_id if labels and labels.object_id else None
    reason = _reason(settings, langs, parts)
    return Plan(fact, lang, tuple(langs), object_id, parts, tuple(asked), reason)


def _languages(settings: EditSettings, known: list[str]) -> list[str]:
    asked = {*settings.langs, *settings.labels, settings.target_lang or known[0]}
    unknown = sorted(asked - set(known))
    if unknown:
        raise UsageError(
            f"There is no language {unknown[0]!r} here; choose from {', '.join(known)}."
        )
    return sorted(settings.langs) or known


def _target(
    source: EditSource,
    fact: StoredFact,
    settings: EditSettings,
    langs: list[str],
    known: list[str],
) -> tuple[str, Labels | None]:
    """The language to edit from, and what the new object is called."""
    if settings.target is None:
        return settings.target_lang or langs[0], None
    choices = [settings.target_lang] if settings.target_lang else [*langs, *known]
    named = ((x, source.object_named(settings.target, x, fact.relation_id)) for x in choices)
    lang, object_id = next(((x, found) for x, found in named if found), (None, None))
    if object_id == fact.object_id:
        raise UsageError(f"{settings.target!r} is the answer of {fact.key} already; give another.")
    lang = lang or settings.target_lang or (langs[0] if len(langs) == 1 else None)
    if lang is None:
        raise UsageError(
            f"The data do not know {settings.target!r}, so its language cannot be told; "
            "give --target-lang."
        )
    found = source.labels(object_id, fact.relation_id) if object_id else Labels("", {}, {})
    own = {**settings.labels, lang: settings.target}
    exact = {at: label for at, label in found.by_template.items() if at[0] not in settings.labels}
    return lang, Labels(found.object_id, {**found.by_lang, **own}, exact)


def _held_out(prompts: Sequence[StoredPrompt], settings: EditSettings) -> frozenset[int]:
    """Prompts kept back: some templates of each language, drawn by the seed; never the last."""
    back: set[int] = set()
    for lang in {prompt.lang for prompt in prompts}:
        own = sorted(
            (prompt for prompt in prompts if prompt.lang == lang),
            key=lambda prompt: content_id("held out", settings.seed, prompt.template),
        )
        back.update(p.prompt_id for p in own[: min(settings.held_out, len(own) - 1)])
    return frozenset(back)


def _kind(prompt: StoredPrompt, lang: str, back: frozenset[int]) -> Kind:
    if prompt.lang != lang:
        return "language"
    return "paraphrase" if prompt.prompt_id in back else "own"


def _asked(prompt: StoredPrompt, kind: Kind, labels: Labels | None) -> Probe:
    new = None
    if labels is not None:
        new = labels.by_template.get((prompt.lang, prompt.template))
        new = new or labels.by_lang.get(prompt.lang)
    return Probe(
        prompt.prompt_id, prompt.fact_key, kind, prompt.lang, prompt.text, prompt.answer, new
    )


def _parts(
    source: EditSource,
    fact: StoredFact,
    settings: EditSettings,
    lang: str,
    langs: list[str],
    shown: Sequence[StoredPrompt],
) -> tuple[Part, ...]:
    choice = named_neurons(settings.neurons)
    every = tuple(langs)
    if isinstance(choice, tuple):
        return (Part(choice, every),)
    if isinstance(choice, int):
        return (Part(_any(source.strongest(shown, choice), every), every),)
    if choice == "degenerate":
        return (Part(_any(source.degenerate(fact), every), every),)
    if choice == "one-language":
        shown = [prompt for prompt in shown if prompt.lang == lang]
    found = source.knowledge(fact, shown)
    if choice == "language-independent":
        shared = set.intersection(*(set(found.get(x, ())) for x in every))
        return (Part(tuple(sorted(shared)), every),)
    found = {x: neurons[: settings.top] for x, neurons in found.items()}
    if choice == "sequential":
        return tuple(Part(_any(found, (x,)), (x,)) for x in every)
    if choice == "one-language":
        return (Part(_any(found, (lang,)), every),)
    return (Part(_any(found, every), every),)


def _any(found: Neurons, langs: Sequence[str]) -> tuple[Neuron, ...]:
    return tuple(sorted({neuron for lang in langs for neuron in found.get(lang, ())}))


def _reason(settings: EditSettings, langs: Sequence[str], parts: Sequence[Part]) -> str | None:
    if any(part.neurons for part in parts):
        return None
    return f"no {settings.neurons} neurons in {','.join(langs)}"
