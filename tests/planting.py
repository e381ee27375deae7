"""Knowledge planted by hand: a neuron that fires for one prompt and predicts one token."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from kndb.attribution.baselines import baseline_sentences
from kndb.models import LanguageModel, Target
from kndb.models.architectures import ARCHITECTURES
from kndb.models.loading import adapt
from tiny import hf_model, tokenizer_of

QUIET = 1e-3


def quiet_model(architecture: str) -> LanguageModel[Any]:
    """A tiny model whose feed-forward blocks contribute next to nothing."""
    hf = hf_model(architecture)
    model = adapt(hf, tokenizer_of(architecture), ARCHITECTURES[architecture], architecture)
    down: Any
    for down in model.down:
        down.weight.data *= QUIET
    return model


def inputs(model: LanguageModel[Any], layer: int, target: Target) -> Tensor:
    """The input of a layer's feed-forward block at the answer position, ``(width,)``."""
    found: list[Tensor] = []
    handle = gates(model, layer)[0].register_forward_pre_hook(
        lambda module, args: found.append(args[0][0, target.position])
    )
    with torch.no_grad():
        model.hf(input_ids=torch.tensor([target.tokens]))
    handle.remove()
    return found[0]


def gates(model: Any, layer: int) -> list[Any]:
    """The projections into a layer's neurons: one, or gate and up."""
    block = model.layers[layer]
    if hasattr(block, "up"):
        return [block.up]
    if hasattr(block.mlp, "c_fc"):
        return [block.mlp.c_fc]
    return [block.mlp.gate_proj, block.mlp.up_proj]


def plant(
    model: LanguageModel[Any],
    layer: int,
    neuron: int,
    target: Target,
    others: list[Target],
    strength: float = 1.0,
) -> None:
    """Make a neuron fire for the target, not for the others, and raise the target's answer.

    It is silent in all their baseline sentences too.

    Its input weights point along the target's hidden state, minus what the others span; its output
    weights point where the answer's probability rises most.
    """
    own = inputs(model, layer, target)
    silent = [
        replace(known, tokens=tokens)
        for known in (target, *others)
        for tokens in baseline_sentences(known, "words")
    ]
    span = torch.stack([inputs(model, layer, other) for other in [*others, *silent]]).T
    basis, _ = torch.linalg.qr(span)
    direction = own - basis @ (basis.T @ own)
    direction = direction / (direction @ own)
    for gate in gates(model, layer):
        linear = isinstance(gate, nn.Linear)
        weight = gate.weight.data if linear else gate.weight.data.T
        weight[neuron] = 4 * direction
        if gate.bias is not None:
            gate.bias.data[neuron] = 0
    down: Any = model.down[layer]
    columns = down.weight.data if isinstance(down, nn.Linear) else down.weight.data.T
    columns[:, neuron] = strength * raising(model, layer, target)


def raising(model: LanguageModel[Any], layer: int, target: Target) -> Tensor:
    """The unit direction ``(width,)`` of feed-forward output that raises the answer most."""
    found: list[Tensor] = []

    def keep(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        found.append(output.detach().requires_grad_())
        return found[0]

    handle = model.down[layer].register_forward_hook(keep)
    logits = model.hf(input_ids=torch.tensor([target.tokens])).logits
    handle.remove()
    logits[0, target.position].log_softmax(-1)[target.answer].backward()
    gradient = found[0].grad
    assert gradient is not None
    direction: Tensor = gradient[0, target.position] / gradient[0, target.position].norm()
    return direction
