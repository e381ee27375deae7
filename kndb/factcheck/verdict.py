"""The result of checking a claim, and how good the method behind it is. Runs no model."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Literal

from kndb.neurons import Neuron

Weighed = tuple[tuple[str, float], ...]
"""Named numbers behind a score, the weightiest first."""

_Z = 1.959964
"""Standard deviations that hold 95 % of a normal distribution."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of checking a claim.

    Attributes:
        claim: the claim as given.
        fact_key: the fact it is about: ``P36:Q142``.
        lang: its language.
        verdict: ``true``, ``false`` or ``unknown``.
        score: the claim's score by the method.
        threshold: claims that score at least this count as true.
        p_claim: probability of the claimed answer.
        p_best: probability of the model's own first choice.
        best_answer: that choice.
        neurons: number of neurons behind the score; 0 for methods without any.
        method: how the claim was scored; ``auto`` if no method could be chosen.
        reason: why the verdict is unknown.
        decided: the neurons behind the score, with their attributions; empty unless ``explain``.
        f1: the method's F1 on the validation facts of the relation and language; None without a
            calibrated threshold.
        f1_low, f1_high: the 95 % interval of ``f1``, see :func:`f1_interval`.
        weighed: the other numbers behind the score; empty unless ``explain``. For the method
            ``ensemble`` the rank by each method, otherwise the probabilities of the claimed answer
            and of the likeliest others.
    """

    claim: str
    fact_key: str | None
    lang: str | None
    verdict: Literal["true", "false", "unknown"]
    score: float | None
    threshold: float | None
    p_claim: float | None
    p_best: float | None
    best_answer: str | None
    neurons: int
    method: str
    reason: str | None = None
    decided: tuple[tuple[Neuron, float], ...] = ()
    f1: float | None = None
    f1_low: float | None = None
    f1_high: float | None = None
    weighed: Weighed = ()


def f1_interval(f1: float, facts: int) -> tuple[float, float]:
    """The 95 % interval of an F1 measured on the claims about so many facts.

    ``F1 / (2 - F1)`` is a share: of the claims that are true or were called true, those that are
    both. Its interval is Wilson's (1927), counting each fact once, because claims about one fact
    are not independent. Unlike a bootstrap, it has a width when every claim was judged correctly.

    >>> [round(end, 2) for end in f1_interval(1.0, 4)]
    [0.68, 1.0]
    """
    share = f1 / (2 - f1)
    middle = (share + _Z**2 / (2 * facts)) / (1 + _Z**2 / facts)
    half = _Z / (1 + _Z**2 / facts) * sqrt(share * (1 - share) / facts + (_Z / (2 * facts)) ** 2)
    low, high = (round(min(max(end, 0), 1), 12) for end in (middle - half, middle + half))
    return 2 * low / (1 + low), 2 * high / (1 + high)
