"""The ids of models, data sets, facts, prompts and runs: hashes of what identifies them.

Each is a ``content_id``, so the same thing has the same id in every database.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from kndb.facts import Fact, Prompt, content_id

END = 2**63
"""Ids are from 0 to below this, evenly."""


def model_id(weights_sha256: str, architecture: str) -> int:
    """The id of a model: its weights and its architecture, not its name."""
    return content_id("model", weights_sha256, architecture)


def dataset_id(sha256: str) -> int:
    """The id of a data set: the contents of its files, not what was selected from them."""
    return content_id("dataset", sha256)


def fact_id(dataset: int, fact: Fact) -> int:
    """The id of a fact within the data set with the given id."""
    return content_id("fact", dataset, fact.relation_id, fact.subject_id, fact.object_id)


def prompt_id(dataset: int, prompt: Prompt) -> int:
    """The id of a prompt within the data set with the given id."""
    fact = fact_id(dataset, prompt.fact)
    return content_id("prompt", fact, prompt.lang, prompt.template, prompt.subject, prompt.answer)


def run_id(model: int, dataset: int, settings: Mapping[str, Any]) -> int:
    """The id of a run: model, data set and settings, which include the selection of facts."""
    return content_id("run", model, dataset, canonical_json(settings))


def score_part_id(prompt_ids: Iterable[int]) -> int:
    """The id of a part of scores: its prompts, in any order."""
    return content_id("score_part", *sorted(prompt_ids))


def canonical_json(settings: Mapping[str, Any]) -> str:
    """Settings as JSON, independent of the order of keys.

    >>> canonical_json({"b": 1, "a": ["é"]})
    '{"a":["é"],"b":1}'
    """
    return json.dumps(settings, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
