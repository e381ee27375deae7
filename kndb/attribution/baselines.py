"""Baseline sentences, and the neurons in them: where integration paths start (AMIG, Eq. 3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kndb.attribution.settings import Baseline
from kndb.models import Target


def baseline_sentences(target: Target, baseline: Baseline) -> list[tuple[int, ...]]:
    """The target's sequence with one word (or token) at a time replaced by the filler.

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
    targets: Sequence[Target], neurons: list[Tensor], owners: Tensor, baseline: Baseline
) -> tuple[list[Tensor], Tensor]:
    """Start of every path, from the neurons of the baseline sentences.

    Args:
        targets: ``n`` targets.
        neurons: per layer ``(sentences, n_neurons)``.
        owners: ``(sentences,)``, the target of each sentence.
        baseline: one path per sentence (``words``), or one per target from their mean.

    Returns:
        Per layer ``(paths, n_neurons)``, and ``(paths,)`` the target of each path.
    """
    if baseline == "words":
        return neurons, owners
    every = torch.arange(len(targets), device=owners.device)
    counts = torch.bincount(owners, minlength=len(targets)).clamp(min=1)
    means = [
        torch.zeros(len(targets), layer.shape[1], device=layer.device)
        .index_add_(0, owners, layer.float())
        .div_(counts[:, None])
        .to(layer.dtype)
        for layer in neurons
    ]
    return means, every
