"""Baseline sentences, and the neurons in them: where integration paths start (AMIG, Eq. 3)."""

from __future__ import annotations

import torch
from torch import Tensor

from kndb.attribution.settings import Baseline
from kndb.models import Target


def baseline_sentences(target: Target, baseline: Baseline) -> list[tuple[int, ...]]:
    """The target's sequence, with one word (or token) at a time replaced by the filler.

    >>> target = Target((1, 7, 8, 9), 3, 5, ((1, 2), (3,)), filler=0)
    >>> baseline_sentences(target, "words")
    [(1, 0, 0, 9), (1, 7, 8, 0)]
    """
    if baseline == "zero":
        return []
    every_token: tuple[tuple[int, ...], ...] = tuple((i,) for i in range(len(target.tokens)))
    groups = every_token if baseline == "tokens" else target.words
    return [
        tuple(target.filler if i in group else token for i, token in enumerate(target.tokens))
        for group in groups
    ]


def path_starts(
    observed: list[Tensor], sentences: list[Tensor], owners: Tensor, baseline: Baseline
) -> tuple[list[Tensor], Tensor]:
    """The start of every path: each sentence (``words``), the mean of them, or zero.

    Args:
        observed: per layer ``(targets, n_neurons)``, the prompts' neurons.
        sentences: per layer ``(sentences, n_neurons)``, the baseline sentences' neurons.
        owners: ``(sentences,)``, the target of each sentence.
        baseline: where paths start.

    Returns:
        Per layer ``(paths, n_neurons)``, and ``(paths,)`` the target of each path.
    """
    if baseline == "words":
        return sentences, owners
    every = torch.arange(len(observed[0]), device=owners.device)
    if baseline == "zero":
        return [torch.zeros_like(layer) for layer in observed], every
    counts = torch.bincount(owners, minlength=len(every))[:, None]
    means = [
        torch.zeros(end.shape, device=end.device).index_add_(0, owners, layer.float()) / counts
        for end, layer in zip(observed, sentences, strict=True)
    ]
    return [mean.to(end.dtype) for mean, end in zip(means, observed, strict=True)], every
