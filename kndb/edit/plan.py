"""Plans an edit: its neurons, its new answers in each language, and the prompts that measure it.

Reads the index and runs no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import inf
from typing import Any

from kndb.edit.scores import MODES, REWRITING, Kind, Mode, Probe
from kndb.edit.selection import Part, parse_selection, select_parts
from kndb.errors import NotFound, UsageError
from kndb.facts import content_id
from kndb.neurons import Neuron
from kndb.plain import is_text
from kndb.store.edit_source import EditSource, Labels, StoredFact
from kndb.store.prompts import StoredPrompt

DEFAULT_STRENGTH = 0.8
"""Lambda of an update, in lengths of a typical row (:mod:`kndb.edit.directions`). Of 0.1, 0.2, 0.4,
0.8, 1.6 and 3.2 the one whose harmonic mean is highest on the model where it does worst, of both
demo models (0.81, 0.62) and SmolLM2-135M (0.35), for ``sequential`` on facts that are not reported
(``benchmarks/editing_methods.py --constants``). The demo models alone want 1.6, and SmolLM2 0.4, as
its neurons serve many facts."""

UNITS = "rows"
"""What lambda is counted in; edits of the ledger without it are in differences of embeddings."""

KEPT = 20
"""Facts of the same relation, and as many of others, whose outputs a fit keeps."""

DEFAULT_TOP = 20
"""How many knowledge neurons of each language are edited. More cost locality and gain nothing."""


@dataclass(frozen=True)
class EditSettings:
    """The settings of an edit, without its fact.

    Attributes:
        mode: ``suppress``, ``enhance``, ``erase``, ``update`` or ``fit``.
        neurons: which. ``sequential``: each language's knowledge neurons, changed for that
            language; ``one-language``: those of the target's language, changed for all languages;
            ``language-independent``: those in all languages; ``knowledge``: those in any;
            ``specific``: as ``sequential``, without those that are knowledge neurons of many facts
            of other relations (``specific:0.05``: of more than 5 %); ``degenerate``: of the fact's
            degenerate sets; ``all-layers:N``: the N of the highest scores in each language;
            ``layer:N``: all of a layer; ``2:117,3:5``: these. A fit uses all of them for all
            languages.
        target: the new answer, in ``target_lang``.
        target_lang: the language to edit from; by default one in which the data have the target.
        labels: the new answer in other languages, if the data set does not have it.
        langs: languages whose neurons are taken; all of the run when empty.
        strength: lambda of an update.
        top: at most this many knowledge neurons of each language, the strongest; not for
            ``language-independent``.
        held_out: paraphrases per language, left out when neurons are found.
        unrelated: number of facts of other relations to measure; half as many are measured of
            the same relation.
        seed: for every random draw.
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
        """Refuse settings that contradict each other.

        Raises:
            UsageError: an unknown mode or choice of neurons, a target where there is none, or a
                number out of range.
        """
        if self.mode not in MODES:
            raise UsageError(f"There is no mode {self.mode!r}; choose from {', '.join(MODES)}.")
        if (self.mode in REWRITING) != (self.target is not None):
            raise UsageError(
                f"The modes {' and '.join(REWRITING)} need a new answer, --target, and no other "
                f"mode does; {self.mode} was given."
            )
        if not 0 < self.strength < inf:
            raise UsageError(
                f"--lambda is a finite number above 0, but {self.strength:g} was given; a smaller "
                "one pushes less."
            )
        if self.top < 1:
            raise UsageError(f"At least 1 neuron is needed; --top {self.top} was given.")
        if min(self.held_out, self.unrelated) < 0:
            raise UsageError("The numbers of paraphrases and of other facts cannot be negative.")
        for text in (self.target, self.target_lang, *self.langs, *self.labels.values()):
            if text is not None and not is_text(text):
                raise UsageError(f"{text!r} is not valid Unicode; give it in UTF-8.")
        parse_selection(self.neurons)

    def as_dict(self) -> dict[str, Any]:
        """What distinguishes this edit from others of the same fact."""
        values = {**asdict(self), "labels": dict(self.labels), "langs": sorted(self.langs)}
        if self.mode != "update":
            return {**values, "strength": None}
        return {**values, "units": UNITS}


@dataclass(frozen=True)
class Plan:
    """An edit, ready to be carried out.

    Attributes:
        fact: the fact.
        lang: the language it is edited from.
        langs: languages whose neurons are taken, sorted.
        target_object: identifier of the new object, if the data set has it.
        parts: neurons and languages; a neuron may be in several.
        probes: the prompts to measure.
        kept: texts and answers of prompts whose outputs a fit keeps; those of other facts are
            not measured.
        reason: why nothing is edited; None if something is.
    """

    fact: StoredFact
    lang: str
    langs: tuple[str, ...]
    target_object: str | None
    parts: tuple[Part, ...]
    probes: tuple[Probe, ...]
    kept: tuple[tuple[str, str], ...]
    reason: str | None

    @property
    def neurons(self) -> tuple[Neuron, ...]:
        """Every neuron once, ascending."""
        return tuple(sorted({neuron for part in self.parts for neuron in part.neurons}))

    def given(self, lang: str) -> list[Probe]:
        """The prompts of a language that neurons were found with."""
        return [probe for probe in self.probes if probe.given and probe.lang == lang]

    def with_neurons(self, others: Mapping[Neuron, Neuron]) -> Plan:
        """The same plan with other neurons in the places of its own."""
        parts = (replace(p, neurons=tuple(others[n] for n in p.neurons)) for p in self.parts)
        return replace(self, parts=tuple(parts))


def plan_edit(source: EditSource, fact: StoredFact, settings: EditSettings) -> Plan:
    """Find the neurons, the new answers and the prompts of an edit.

    Raises:
        NotFound: the fact has no prompts in the run.
        UsageError: an unknown language, or the target is the fact's own answer.
    """
    prompts = source.prompts(fact)
    known = sorted({prompt.lang for prompt in prompts})
    if not prompts:
        raise NotFound(f"The run {source.run_id} could not ask about the fact {fact.key}.")
    langs = _languages(settings, known)
    lang, labels = _target(source, fact, settings, langs, known)
    back = _held_out(prompts, settings)
    shown = [p for p in prompts if p.prompt_id not in back and p.lang in {*langs, lang}]
    selection = parse_selection(settings.neurons)
    parts = select_parts(source, fact, selection, lang, langs, shown, settings.top)
    own = [_probe(p, _kind(p, lang, back), labels, p in shown) for p in prompts]
    objects = [labels.object_id] if labels and labels.object_id else []
    measured = _measured_others(source, fact, objects, settings)
    kept = _kept(source, fact, objects, settings, [other.fact_id for other, _ in measured])
    return Plan(
        fact,
        lang,
        tuple(langs),
        objects[0] if objects else None,
        parts,
        (*own, *(_probe(other, kind, None, False) for other, kind in measured)),
        tuple((p.text, p.answer) for p in [*kept, *_unedited(prompts, langs, settings)]),
        _reason(settings, langs, parts),
    )


def _measured_others(
    source: EditSource, fact: StoredFact, objects: Sequence[str], settings: EditSettings
) -> list[tuple[StoredPrompt, Kind]]:
    """Prompts of other facts to measure, and how far they are."""
    n, seed = settings.unrelated, settings.seed
    near = source.others(fact, objects, n // 2, seed, same_relation=True)
    far = source.others(fact, objects, n, seed, same_relation=False)
    alike = source.objects(fact.relation_id)
    return [
        *((p, "same-relation") for p in near),
        *((p, "same-type" if p.object_id in alike else "unrelated") for p in far),
    ]


def _kept(
    source: EditSource,
    fact: StoredFact,
    objects: Sequence[str],
    settings: EditSettings,
    measured: Sequence[int],
) -> list[StoredPrompt]:
    """Prompts of other facts for a fit to keep; measuring these would flatter it."""
    if settings.mode != "fit":
        return []
    found = (
        source.others(fact, objects, KEPT, settings.seed, same_relation=same, exclude=measured)
        for same in (True, False)
    )
    return [prompt for prompts in found for prompt in prompts]


def _unedited(
    prompts: Sequence[StoredPrompt], langs: Sequence[str], settings: EditSettings
) -> list[StoredPrompt]:
    """The fact's prompts in languages that are not edited: a fit keeps these too."""
    return [p for p in prompts if p.lang not in langs] if settings.mode == "fit" else []


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
            f"{settings.target!r} is not in the data, so its language is unknown; give "
            "--target-lang."
        )
    found = source.labels(object_id, fact.relation_id) if object_id else Labels("", {}, {})
    own = {**settings.labels, lang: settings.target}
    exact = {at: label for at, label in found.by_template.items() if at[0] not in settings.labels}
    return lang, Labels(found.object_id, {**found.by_lang, **own}, exact)


def _held_out(prompts: Sequence[StoredPrompt], settings: EditSettings) -> frozenset[int]:
    """Held-out prompts: some templates of each language, drawn by the seed, but never all."""
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


def _probe(prompt: StoredPrompt, kind: Kind, labels: Labels | None, given: bool) -> Probe:
    new = None
    if labels is not None:
        new = labels.by_template.get((prompt.lang, prompt.template))
        new = new or labels.by_lang.get(prompt.lang)
    of_fact = (prompt.prompt_id, prompt.fact_key, kind, prompt.lang, prompt.text, prompt.answer)
    return Probe(*of_fact, new, given)


def _reason(settings: EditSettings, langs: Sequence[str], parts: Sequence[Part]) -> str | None:
    if any(part.neurons for part in parts):
        return None
    return f"no {settings.neurons} neurons in {','.join(langs)}"
