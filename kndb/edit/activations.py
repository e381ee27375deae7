"""How strongly neurons fire on a fact's prompts: what an edit of their rows is weighted by.

It reads the model as it is and changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from kndb.models import LanguageModel, Target
from kndb.neurons import Neuron

AT_ONCE = 32
"""Sequences in one batch."""


def mean_activations(
    model: LanguageModel[Any], prompts: Sequence[Sequence[Target]], neurons: Sequence[Neuron]
) -> Tensor:
    """The neurons' mean activations at the answer position of a fact's prompts, sign included.

    In a masked model these are the positions of all masks; in a causal model the last of the
    prompt, where the first token of the answer is chosen.

    Args:
        model: the model.
        prompts: for each prompt the tokens of its answer; every prompt counts alike.
        neurons: the neurons to read.

    Returns:
        ``(neurons,)`` float32 on the CPU; zeros where there are no prompts.
    """
    if model.info.family == "causal_lm":
        prompts = [prompt[:1] for prompt in prompts]
    targets = [target for prompt in prompts for target in prompt]
    if not targets or not neurons:
        return torch.zeros(len(neurons))
    found = answer_activations(model, targets, neurons)
    weights = torch.tensor([1 / len(prompt) for prompt in prompts for _ in prompt])
    return weights @ found / len(prompts)


def answer_activations(
    model: LanguageModel[Any], targets: Sequence[Target], neurons: Sequence[Neuron]
) -> Tensor:
    """Activations at the answer positions, ``(targets, neurons)``, float32 on the CPU."""
    found = torch.empty(len(targets), len(neurons))
    for batch in batches(targets):
        tokens = torch.tensor([targets[i].tokens for i in batch], device=model.device)
        at = torch.tensor([targets[i].position for i in batch], device=model.device)
        _, layers = model.observe(tokens, at, len(batch))
        found[batch] = torch.stack([layers[n.layer][:, n.index] for n in neurons], 1).float().cpu()
    return found


def token_activations(
    model: LanguageModel[Any], targets: Sequence[Target], layers: Iterable[int]
) -> dict[int, Tensor]:
    """Activations of whole layers at every token, ``(tokens, n_neurons)`` for each layer."""
    found: dict[int, list[Tensor]] = {layer: [] for layer in layers}
    handles = [
        model.down[layer].register_forward_pre_hook(
            lambda module, args, kept=kept: kept.append(args[0].flatten(0, -2).float().cpu())
        )
        for layer, kept in found.items()
    ]
    try:
        with torch.no_grad():
            for batch in batches(targets):
                tokens = torch.tensor([targets[i].tokens for i in batch], device=model.device)
                nowhere = torch.empty(0, dtype=torch.long, device=model.device)
                model.last_hidden(tokens, nowhere, nowhere)
    finally:
        for handle in handles:
            handle.remove()
    return {layer: torch.cat(parts) for layer, parts in found.items()}


def batches(targets: Sequence[Target]) -> Iterator[list[int]]:
    """Numbers of targets whose sequences are equally long, a batch at a time."""
    alike: dict[int, list[int]] = defaultdict(list)
    for number, target in enumerate(targets):
        alike[len(target.tokens)].append(number)
    for numbers in alike.values():
        for start in range(0, len(numbers), AT_ONCE):
            yield numbers[start : start + AT_ONCE]
