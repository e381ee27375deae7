"""Matrix products of float32 on a CPU, by oneDNN where torch's choice uses half of the processor.

torch has both Intel's MKL and oneDNN, and gives float32 to MKL, which on AMD's processors leaves
half of each 512-bit unit unused: 107 GFLOP/s on a core of an EPYC, where oneDNN reaches 225
(``benchmarks/RESULTS.md``). Both add up in float32.
"""

from __future__ import annotations

import os
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

ENOUGH = 2**22
"""Multiplications from which on oneDNN is asked: for a new shape it first compiles for 0.4 ms, in
which MKL does 2**24; most shapes are asked for again."""


def _mkl_is_slow() -> bool:
    """Whether this is an AMD processor with AVX-512, and torch has MKL and oneDNN."""
    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(
        str(known.get("cpu_name", "")).startswith("AMD")
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


ONEDNN = _mkl_is_slow()


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x @ weight.T + bias``, as :func:`torch.nn.functional.linear`; differentiable in ``x``.

    Args:
        x: ``(…, inputs)``.
        weight: ``(outputs, inputs)``.
        bias: ``(outputs,)`` or None.
    """
    if by_onednn(x, weight):
        product: Tensor = _ByOneDNN.apply(x, weight, bias)  # type: ignore[no-untyped-call]
        return product
    return F.linear(x, weight, bias)


def by_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether :func:`linear` takes oneDNN for these."""
    return (
        ONEDNN
        and x.numel() * len(weight) >= ENOUGH
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == weight.device.type == "cpu"
        and not weight.requires_grad
        and not torch.is_autocast_enabled("cpu")
    )


class _ByOneDNN(torch.autograd.Function):
    """The same, with a gradient for ``x`` alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (weight,) = ctx.saved_tensors
        return linear(grads[0], weight.t()), None, None


class _Linear(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)


class _Conv1D(Conv1D):  # type: ignore[misc]
    """GPT-2's: it keeps ``(inputs, outputs)``."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight.t(), self.bias)


_OWN = {nn.Linear: _Linear, Conv1D: _Conv1D}


MOST_SHAPES = "256"
"""oneDNN keeps what it compiled for so many shapes; by itself for 1024, which take 65 to 130 MiB
more with a model of BERT-base's size. It reads this when it is first asked for a product."""


def use_onednn(hf: nn.Module) -> None:
    """Let a model's layers multiply by :func:`linear`, where that is faster on this processor."""
    if ONEDNN:
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", MOST_SHAPES)
        for module in hf.modules():
            if own := _OWN.get(type(module)):
                module.__class__ = own
