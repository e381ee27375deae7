"""Thresholds without a calibration: how likely the model finds other answers of the relation.

A claim is true if the model gives the claimed answer at least the probability of every other
candidate, each as a whole: the product over its tokens. The candidates are the labels, in the
claim's language, of the other objects of its relation that the database holds: the fact's stored
answers, and a seeded sample of the rest, at most :data:`MOST` together. The threshold is the
highest probability of a candidate; over several prompts, the highest mean. Runs no model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from kndb.factcheck.calibrated import Limit
from kndb.factcheck.claims import Claim, Index
from kndb.factcheck.scoring import Reading
from kndb.factcheck.spelling import same
from kndb.factcheck.verdict import Weighed
from kndb.facts import content_id
from kndb.store.prompts import RelationLang

MOST = 30
"""At most this many candidates compete with a claimed answer."""


class Candidates:
    """The candidates that compete with claimed answers.

    The order in which labels are drawn depends only on hashes of the label, its relation, its
    language and the seed, so that other facts move nothing.

    Args:
        index: the database's index.
        seed: seed of the sample.
    """

    def __init__(self, index: Index, seed: int = 0) -> None:
        self._stored = index.stored
        self._labels: dict[RelationLang, dict[str, str]] = defaultdict(dict)
        for (relation_lang, spelled), label in index.answers.items():
            self._labels[relation_lang][spelled] = label
        self._seed = seed
        self._drawn: dict[RelationLang, list[str]] = {}

    def of(self, claim: Claim) -> list[str]:
        """The candidates other than the claimed answer, the fact's stored answers first."""
        stored = self._stored.get((claim.fact_key, claim.lang), [])
        first = {same(label): label for label in (*stored, *self._sample(claim.relation_lang))}
        first.pop(same(claim.answer), None)
        return list(first.values())[:MOST]

    def _sample(self, relation_lang: RelationLang) -> list[str]:
        """One label more than is needed: the claimed answer may be among them."""
        if relation_lang not in self._drawn:
            labels = self._labels[relation_lang]
            order = sorted(
                labels,
                key=lambda spelled: content_id("candidate", self._seed, *relation_lang, spelled),
            )
            self._drawn[relation_lang] = [labels[spelled] for spelled in order[: MOST + 1]]
        return self._drawn[relation_lang]


def likeliest(
    candidates: Sequence[str],
    readings: Sequence[Reading | str],
    n_prompts: int,
    readable: Sequence[int],
) -> Weighed:
    """The candidates with their probabilities, the likeliest first.

    Args:
        candidates: from :meth:`Candidates.of`.
        readings: candidate by candidate, one reading for each of the claim's prompts.
        n_prompts: the number of prompts.
        readable: the prompts that count: those in which the claimed answer could be read.

    Returns:
        Those that the model can be asked for, each with its mean over the prompts.
    """
    means = []
    for number, candidate in enumerate(candidates):
        every = [readings[number * n_prompts + prompt] for prompt in readable]
        own = [reading for reading in every if isinstance(reading, Reading)]
        if own and len(own) == len(readable):
            means.append((candidate, fmean(reading.answer.p_whole for reading in own)))
    return tuple(sorted(means, key=lambda one: -one[1]))


def to_beat(rivals: Weighed) -> Limit | None:
    """The threshold, without a band: the probability of the likeliest; None if there is none."""
    if not rivals:
        return None
    threshold = rivals[0][1]
    return Limit(threshold, threshold, threshold)
