"""Baseline sentences are run from where they differ from a prompt, with the same neurons."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache

from kndb.models import LanguageModel, shared_beginnings
from kndb.models.architectures import ARCHITECTURES
from tiny import tiny, variant

CAUSAL = [name for name, row in ARCHITECTURES.items() if row.kind == "causal"]
LENGTH = 9


def sequences() -> tuple[Tensor, Tensor]:
    """Three prompts, and sentences with another token at each place of each, in mixed order."""
    torch.manual_seed(0)
    prompts = torch.randint(5, 40, (3, LENGTH))
    prompts[1, :4] = prompts[0, :4]  # as prompts of one template
    sentences = prompts.repeat_interleave(LENGTH, 0)
    places = torch.arange(LENGTH).repeat(3)
    sentences[torch.arange(len(sentences)), places] = 4
    return prompts, sentences[torch.randperm(len(sentences))]


def check(model: LanguageModel[Any], *, pre: bool = False) -> None:
    """Neurons of sentences beside their prompts are those of the sentences run whole."""
    prompts, sentences = sequences()
    both = torch.cat([prompts, sentences])
    last = torch.full((len(both),), LENGTH - 1)
    _, found = model.observe(both, last, len(prompts), pre=pre)
    _, due = model.observe(both, last, len(both), pre=pre)
    for own, whole in zip(found, due, strict=True):
        assert float((own - whole).norm()) < 1e-5 * float(whole.norm())


@pytest.mark.parametrize("architecture", CAUSAL)
def test_neurons_are_those_of_whole_runs(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_beginnings, "ENOUGH_TOKENS", 1)
    check(tiny(architecture))


def test_the_same_before_the_activation() -> None:
    check(tiny("gpt2"), pre=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"alibi": True, "multi_query": False, "parallel_attn": False},
        {"new_decoder_architecture": True, "num_kv_heads": 2},
    ],
)
def test_variants_of_falcon(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_beginnings, "ENOUGH_TOKENS", 1)
    check(variant("falcon", **changes))


@pytest.mark.parametrize("enough", [1, 20, 1000])
def test_every_sentence_is_in_one_part(enough: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_beginnings, "ENOUGH_TOKENS", enough)
    prompts, sentences = sequences()
    parts = list(shared_beginnings.shared_beginnings(sentences, prompts))
    assert sorted(torch.cat([part.rows for part in parts]).tolist()) == list(range(len(sentences)))
    for part in parts:
        assert part.length < LENGTH
        shared = sentences[part.rows, : part.length] == prompts[part.prompts, : part.length]
        assert shared.all()
    lengths = [part.length for part in parts]
    assert lengths == sorted(lengths, reverse=True)
    tokens = [len(part.rows) * (LENGTH - part.length) for part in parts]
    assert all(count >= enough for count in tokens[:-1])
    # With the least part, each sentence is run from where it differs.
    assert len(parts) == {1: LENGTH, 20: 5, 1000: 1}[enough]


def test_a_sentence_that_is_its_prompt_still_runs_its_last_token() -> None:
    prompts, _ = sequences()
    (part,) = shared_beginnings.shared_beginnings(prompts, prompts)
    assert part.length == LENGTH - 1


def test_nothing_of_a_sentence_is_kept() -> None:
    prompts, sentences = sequences()
    cache = DynamicCache()
    keys = torch.zeros(3, 2, LENGTH, 4)
    cache.update(keys, keys, 0)
    (part, *_) = shared_beginnings.shared_beginnings(sentences, prompts)
    shared = part.cache(cache)
    new = torch.ones(len(part.rows), 2, LENGTH - part.length, 4)
    whole, _ = shared.update(new, new, 0)
    assert whole.shape == (len(part.rows), 2, LENGTH, 4)
    assert shared.get_seq_length() == part.length
    assert cache.get_seq_length() == LENGTH
