"""Matrix products on a CPU by oneDNN: where torch's choice is slow, and with few shapes.

torch has both Intel's MKL and oneDNN, and gives float32 to MKL, which on AMD's processors leaves
half of each 512-bit unit unused: 107 GFLOP/s on a core of an EPYC, where oneDNN reaches 225
(``benchmarks/RESULTS.md``). Both add up in float32. Sixteen bits are oneDNN's anyway.

oneDNN compiles a kernel for each shape, in 0.4 ms for float32 and 2.5 ms for bfloat16 with AMX,
which is more than most products here take; and nearly every layer of every step has another number
of rows. So in 16 bits rows of zeros are added up to one of a few numbers. For float32 that costs
more than it saves.
"""

from __future__ import annotations

import os
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

ENOUGH = 2**22
"""Multiplications from which on oneDNN is asked for float32; MKL does 2**24 while it compiles."""


def _onednn_types() -> frozenset[torch.dtype]:
    """The types that oneDNN multiplies here: 16 bits where it can, float32 where MKL is slow."""
    if not (
        torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    ):
        return frozenset()
    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    types = {
        torch.float32: str(known.get("cpu_name", "")).startswith("AMD")
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and torch.backends.mkl.is_available(),  # type: ignore[no-untyped-call]
        torch.bfloat16: torch.ops.mkldnn._is_mkldnn_bf16_supported(),
        torch.float16: torch.ops.mkldnn._is_mkldnn_fp16_supported(),
    }
    return frozenset(dtype for dtype, taken in types.items() if taken)


ONEDNN = _onednn_types()


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
        x.dtype in ONEDNN
        and x.dtype == weight.dtype
        and x.numel() * len(weight) >= (ENOUGH if x.dtype == torch.float32 else 1)
        and x.device.type == weight.device.type == "cpu"
        and not weight.requires_grad
        and not torch.is_autocast_enabled("cpu")
    )


def sixteen_bits(x: Tensor) -> bool:
    """Whether this has 16 bits on a processor, where each shape of a product is compiled."""
    return x.device.type == "cpu" and x.dtype.itemsize == 2


def padded(x: Tensor) -> int:
    """As how many rows a processor multiplies these: in 16 bits up to an eighth more, from 128 on.

    Args:
        x: ``(rows, width)``.

    >>> [padded(torch.empty(rows, 1).bfloat16()) for rows in (1, 16, 17, 128, 129, 1000)]
    [16, 16, 32, 128, 144, 1024]
    >>> padded(torch.empty(17, 1))
    17
    """
    if not sixteen_bits(x):
        return len(x)
    step = max(16, 1 << max(0, (len(x) - 1).bit_length() - 4))
    return -(-len(x) // step) * step


class _ByOneDNN(torch.autograd.Function):
    """The same, with a gradient for ``x`` alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        rows = x.reshape(-1, x.shape[-1])
        n = len(rows)
        if more := padded(rows) - n:
            rows = torch.cat([rows, rows.new_zeros(more, rows.shape[1])])
        found = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
        return found[:n].view(*x.shape[:-1], -1)  # type: ignore[no-any-return]

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
    if torch.float32 in ONEDNN:
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", MOST_SHAPES)
    if ONEDNN:
        for module in hf.modules():
            if own := _OWN.get(type(module)):
                module.__class__ = own
