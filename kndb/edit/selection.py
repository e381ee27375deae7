"""Which neurons an edit changes: the choices by name, and the neurons they stand for.

It reads the index and runs no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kndb.errors import UsageError
from kndb.neurons import LONGEST, Neuron
from kndb.store.edit_source import EditSource, Neurons, StoredFact
from kndb.store.prompts import StoredPrompt

NAMES = (
    "sequential",
    "language-independent",
    "one-language",
    "knowledge",
    "degenerate",
    "specific",
)

SPECIFIC_SHARE = 0.1
"""``specific`` leaves out knowledge neurons of more than this share of other relations' facts."""

_FORMS = "all-layers:N, layer:N, specific:SHARE, or write LAYER:INDEX,LAYER:INDEX"


@dataclass(frozen=True)
class Selection:
    """A choice of neurons, as :func:`parse_selection` reads it.

    Attributes:
        name: one of :data:`NAMES`, ``all-layers``, ``layer`` or ``named``.
        number: how many of ``all-layers``, which ``layer``, which share of ``specific``.
        named: the neurons of ``named``.
    """

    name: str
    number: float = 0
    named: tuple[Neuron, ...] = ()


@dataclass(frozen=True)
class Part:
    """Neurons, and the languages whose new answers they are to say."""

    neurons: tuple[Neuron, ...]
    langs: tuple[str, ...]


def parse_selection(text: str) -> Selection:
    """Read a choice of neurons.

    >>> parse_selection("layer:3")
    Selection(name='layer', number=3, named=())
    >>> parse_selection("3:5,2:117").named
    (Neuron(layer=2, index=117), Neuron(layer=3, index=5))

    Raises:
        UsageError: the text is not a choice.
    """
    name, colon, number = text.partition(":")
    if name == "specific":
        return Selection(name, _share(text, number) if colon else SPECIFIC_SHARE)
    if text in NAMES:
        return Selection(text)
    if name in ("all-layers", "layer"):
        least = 1 if name == "all-layers" else 0
        if not number.isdecimal() or len(number) > LONGEST or int(number) < least:
            example = "all-layers:20" if least else "layer:5"
            raise UsageError(f"{text!r:.40} has no valid number; write for example {example}.")
        return Selection(name, int(number))
    try:
        named = {Neuron.parse(part.strip()) for part in text.split(",")}
    except UsageError as error:
        raise UsageError(
            f"{text!r:.40} names no neurons; choose from {', '.join(NAMES)}, {_FORMS}."
        ) from error
    return Selection("named", named=tuple(sorted(named)))


def _share(text: str, number: str) -> float:
    try:
        share = float(number)
    except ValueError:
        share = -1
    if not 0 <= share < 1:
        raise UsageError(
            f"{text!r:.40} has no valid share; write a number from 0 and below 1, for example "
            f"specific:{SPECIFIC_SHARE:g}."
        )
    return share


def select_parts(
    source: EditSource,
    fact: StoredFact,
    selection: Selection,
    lang: str,
    langs: Sequence[str],
    shown: Sequence[StoredPrompt],
    top: int,
) -> tuple[Part, ...]:
    """The neurons, by the languages that they are edited for.

    Args:
        source: the index.
        fact: the fact.
        selection: which neurons.
        lang: the language it is edited from.
        langs: languages whose neurons are taken.
        shown: prompts that neurons may be found with.
        top: at most this many knowledge neurons of each language, the strongest.
    """
    every = tuple(langs)
    match selection.name:
        case "named":
            return (Part(selection.named, every),)
        case "layer":
            return (Part(source.layer(int(selection.number)), every),)
        case "all-layers":
            found = source.strongest(shown, int(selection.number))
            return (Part(_union(found, every), every),)
        case "degenerate":
            return (Part(_union(source.degenerate(fact), every), every),)
        case "one-language":
            own = [prompt for prompt in shown if prompt.lang == lang]
            return (Part(_union(_top(source.knowledge(fact, own), top), (lang,)), every),)
        case "language-independent":
            found = source.knowledge(fact, shown)
            common = set.intersection(*(set(found.get(x, ())) for x in every))
            return (Part(tuple(sorted(common)), every),)
        case "knowledge":
            return (Part(_union(_top(source.knowledge(fact, shown), top), every), every),)
    found = source.knowledge(fact, shown)
    if selection.name == "specific":
        shared = source.shared(fact, selection.number)
        found = {x: [n for n in neurons if n not in shared] for x, neurons in found.items()}
    found = _top(found, top)
    return tuple(Part(_union(found, (x,)), (x,)) for x in every)


def _top(found: Neurons, top: int) -> Neurons:
    return {lang: neurons[:top] for lang, neurons in found.items()}


def _union(found: Neurons, langs: Sequence[str]) -> tuple[Neuron, ...]:
    return tuple(sorted({neuron for lang in langs for neuron in found.get(lang, ())}))
