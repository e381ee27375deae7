"""Rows take from the observed run what a layer computes of each position by itself."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from kndb.models import encoder_layers
from kndb.models.encoder_layers import PostNormLayer, attend
from tiny import tiny


@pytest.mark.parametrize("part", ["query", "key", "value"])
def test_only_the_changed_position_of_a_new_row_is_projected(part: str) -> None:
    model: Any = tiny("bert")
    tokens = torch.randint(5, 40, (1, 9))
    observed, neurons = model.observe(tokens, torch.tensor([4]), 1)
    outputs = torch.cat([model.project(layer, values) for layer, values in enumerate(neurons)])
    seen: list[int] = []
    layers = model.layers[1:]
    assert all(isinstance(layer, PostNormLayer) for layer in layers)

    def count(module: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append(inputs[0][..., 0].numel())

    hooks = [getattr(layer, part).register_forward_hook(count) for layer in layers]
    rows = torch.arange(model.info.n_layers)  # one that starts in each of the three layers
    p = model.probabilities(observed, torch.zeros_like(rows), rows, outputs, torch.full((3,), 7))
    for hook in hooks:
        hook.remove()
    below = 1 if part == "query" else 9  # in the last layer only the answer position asks
    assert sorted(seen) == sorted([1, 1, below])
    whole = observed.logits.softmax(1)[0, 7]
    assert torch.allclose(p, whole.expand(3), rtol=1e-4)


@pytest.mark.parametrize("short", [4, 5])
def test_attention_in_sixteen_bits_is_that_of_float32(
    short: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_layers, "SHORT", short)
    torch.manual_seed(0)
    length = 5  # torch's own attention, or three products
    exact = [torch.randn(2, 3, length, 8).bfloat16().float().requires_grad_() for _ in range(3)]
    rounded = [one.detach().bfloat16().requires_grad_() for one in exact]
    weights = torch.randn(2, 3, length, 8).bfloat16()
    for given in (exact, rounded):
        (attend(*given) * weights).sum().backward()  # type: ignore[no-untyped-call]
    close = partial(torch.testing.assert_close, rtol=0.03, atol=0.03)
    close(attend(*rounded).float(), attend(*exact))
    for one, other in zip(exact, rounded, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        close(other.grad.float(), one.grad)
    assert attend(*rounded).dtype == torch.bfloat16
