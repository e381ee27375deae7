"""What an edit changed, by prompt and in summary. Loads no model.

Four questions (Meng et al. 2022; Chen et al. 2024, section on cross-lingual editing), each
answered by a share of prompts: *reliability* on the prompts the neurons were found with,
*generality* on held-out paraphrases, *transfer* in other languages, *locality* on facts of other
relations.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp
from statistics import fmean
from typing import Literal

from kndb.models.asking import Answer, Asker
from kndb.models.finite import Failed

Mode = Literal["suppress", "enhance", "erase", "update", "fit"]
Kind = Literal["own", "paraphrase", "language", "same-relation", "same-type", "unrelated"]

MODES: tuple[Mode, ...] = ("suppress", "enhance", "erase", "update", "fit")
REWRITING: tuple[Mode, ...] = ("update", "fit")
"""Modes that give a fact a new answer."""

ON_WEIGHTS: tuple[Mode, ...] = ("erase", *REWRITING)
"""Modes that change weights; the others change activations while the model runs."""

DISTANCES: tuple[Kind, ...] = ("same-relation", "same-type", "unrelated")
"""Prompts of other facts with other objects, from near to far."""

OTHER_RELATIONS: tuple[Kind, ...] = ("same-type", "unrelated")
"""Those that locality counts."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A prompt to ask before and after an edit.

    Attributes:
        prompt_id: its id.
        fact_key: its fact.
        kind: ``own``: in the edit's language, the neurons were found with it; ``paraphrase``: in
            that language, held out; ``language``: the fact in another language. Other facts, all
            with another object: ``same-relation``; ``same-type``: of another relation, with an
            object that facts of the same relation also have; ``unrelated``: any other.
        lang: its language.
        text: with ``[MASK]``.
        old: the right answer in the data.
        new: the new answer; None if there is none.
        given: neurons were found with it, so an edit may be computed from it.
    """

    prompt_id: int
    fact_key: str
    kind: Kind
    lang: str
    text: str
    old: str
    new: str | None
    given: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """A model's response to a prompt.

    Attributes:
        p_old: probability of the old answer.
        p_new: of the new one; None where there is none.
        old_first: the old answer is the first choice.
        new_wins: the new answer is the first choice of as many tokens as it has, and likelier
            than the old one.
        first: the first choice in words.
        surprise: ``-ln p`` of the old answer's tokens, the mean.
    """

    p_old: float
    p_new: float | None
    old_first: bool
    new_wins: bool
    first: str
    surprise: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """A prompt, before and after."""

    probe: Probe
    before: Response
    after: Response

    @property
    def changed(self) -> bool:
        """The first choice is another."""
        return self.before.first != self.after.first

    def success(self, mode: Mode) -> bool | None:
        """Whether the edit had the wanted effect here.

        ``update`` and ``fit``: the new answer wins. ``suppress`` and ``erase``: the old answer is
        no longer the first choice; None where it was not before. ``enhance``: the old answer is
        likelier. Of other facts: the first choice is the same.
        """
        if self.probe.kind in DISTANCES:
            return not self.changed
        if mode in REWRITING:
            return self.after.new_wins if self.probe.new is not None else None
        if mode == "enhance":
            return self.after.p_old > self.before.p_old
        return not self.after.old_first if self.before.old_first else None


@dataclass(frozen=True, slots=True)
class Scores:
    """Shares of prompts where an edit succeeded; None where no prompt could tell.

    Attributes:
        reliability: of the edit's own prompts.
        generality: of the held-out paraphrases.
        transfer: of the prompts in other languages.
        locality: of the prompts of facts of other relations.
        harmonic: harmonic mean of those of the four that are known; None where at most locality
            is, which alone says nothing.
        perplexity_before: of the right answers to these.
        perplexity_after: the same after the edit.
    """

    reliability: float | None
    generality: float | None
    transfer: float | None
    locality: float | None
    harmonic: float | None
    perplexity_before: float | None
    perplexity_after: float | None


def responses(asker: Asker, probes: Sequence[Probe]) -> list[Response | Failed | None]:
    """The model's response to each prompt now; None if it cannot be asked."""
    old = [(one.text, one.old) for one in probes]
    new = [(one.text, one.new) for one in probes if one.new is not None]
    answers = iter(asker.ask([*old, *new]))  # together: fewer batches
    of_old = [next(answers) for _ in probes]
    return [
        _response(one, answer, None if one.new is None else next(answers))
        for one, answer in zip(probes, of_old, strict=True)
    ]


def _response(
    probe: Probe, old: Answer | str, new: Answer | str | None
) -> Response | Failed | None:
    for answer in (old, new):
        if isinstance(answer, Failed):
            return answer
    if isinstance(old, str) or isinstance(new, str):
        return None
    wins = new is not None and new.is_first and new.p > old.p
    return Response(
        old.p,
        None if new is None else new.p,
        old.is_first,
        wins,
        str(probe.new) if wins else old.first_choice,
        old.surprise,
    )


def score(measured: Sequence[Measurement], mode: Mode) -> Scores:
    """Summarise measurements."""
    reliability, generality, transfer, locality = (
        share_of(measured, mode, kinds)
        for kinds in (("own",), ("paraphrase",), ("language",), OTHER_RELATIONS)
    )
    known = (reliability, generality, transfer, locality)
    present = [share for share in known if share is not None]
    of_the_fact = any(share is not None for share in known[:3])
    unrelated = [one for one in measured if one.probe.kind in OTHER_RELATIONS]
    return Scores(
        *known,
        harmonic_mean(present) if of_the_fact else None,
        _perplexity([one.before.surprise for one in unrelated]),
        _perplexity([one.after.surprise for one in unrelated]),
    )


def share_of(measured: Iterable[Measurement], mode: Mode, kinds: Sequence[Kind]) -> float | None:
    """The share of the prompts of these kinds where the edit did what it should."""
    return _mean(one.success(mode) for one in measured if one.probe.kind in kinds)


def harmonic_mean(shares: Sequence[float]) -> float | None:
    """``n / Σ 1/x``; 0 where one is 0, None of nothing.

    >>> harmonic_mean([1.0, 0.5])
    0.6666666666666666
    """
    if not shares:
        return None
    return 0.0 if min(shares) == 0 else len(shares) / sum(1 / share for share in shares)


def _mean(values: Iterable[bool | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _perplexity(surprises: Sequence[float]) -> float | None:
    return exp(fmean(surprises)) if surprises else None
