"""Asks a model labelled claims, chunk by chunk. Knows no threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kndb.attribution import Settings
from kndb.factcheck.calibrated import flat_neurons
from kndb.factcheck.labelled import LabelledClaim
from kndb.factcheck.scoring import Neurons, Question, Reading, read
from kndb.factcheck.selection import Counted
from kndb.models import LanguageModel
from kndb.progress import Report
from kndb.store.prompts import RelationLang

CHUNK = 512
"""Claims that are asked together."""


def ask(
    model: LanguageModel[Any],
    claims: Sequence[LabelledClaim],
    neurons: Mapping[str, Mapping[RelationLang, Counted]],
    settings: Settings,
    memory: int | None,
    progress: Report,
) -> list[Reading]:
    """What the model says of each claim, with the scores of all kinds of neurons.

    Raises:
        ModelError: a single claim does not fit in memory.
    """
    by_relation_lang: dict[RelationLang, dict[str, Neurons]] = {}
    for kind, relation_langs in neurons.items():
        for relation_lang, counted in relation_langs.items():
            by_relation_lang.setdefault(relation_lang, {})[kind] = flat_neurons(
                counted, model.info.n_neurons
            )
    readings: list[Reading] = []
    for start in range(0, len(claims), CHUNK):
        progress(start, len(claims))
        chunk = claims[start : start + CHUNK]
        questions = [
            Question(
                claim.prompt.text,
                claim.answer,
                by_relation_lang.get(claim.prompt.relation_lang, {}),
            )
            for claim in chunk
        ]
        readings += read(model, questions, settings, memory)
    progress(len(claims), len(claims))
    return readings
