"""The answer's probability from the last hidden state, and its gradient in closed form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from kndb.models.products import by_onednn, linear, padded

IN_CACHE = 2**18
"""Logits computed together on a CPU: they stay in a core's cache between the matrix product that
produces them and the one that consumes them."""

ON_DEVICE = 2**25
"""Logits computed together elsewhere: enough to keep a device busy."""

FEWEST_WORDS = 1024
"""Least number of words taken together: with fewer, the products would be slow."""

FEW_ROWS = 24
"""Up to this many rows, the product with the embedding on the left is faster with MKL, which would
otherwise repack the whole embedding: 26 instead of 52 ms for 12 rows and 119,547 by 768."""


class AnswerProbability(torch.autograd.Function):
    """Softmax probability of one token per row, differentiable in the hidden state only.

    With logits ``z = W h + b`` and ``p = softmax(z)[y]``, ``dp/dh = p (W[y] - sum_v softmax(z)[v]
    W[v])``. That sum is taken while the logits are available, so each part of the vocabulary is
    read only once for both, and no array of rows by vocabulary is kept; autograd would keep three.
    Softmax is in float32, whatever the number format.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        answers: Tensor,
        cap: float | None,
    ) -> Tensor:
        """Probabilities ``(rows,)``.

        Args:
            ctx: autograd's.
            hidden: ``(rows, width)``.
            weight: ``(vocabulary, width)`` output embedding.
            bias: ``(vocabulary,)`` or None.
            answers: ``(rows,)``.
            cap: if given, logits are ``cap * tanh(z / cap)`` (Gemma 2).
        """
        p, slope = _read(hidden, weight, bias, answers, cap, with_slope=ctx.needs_input_grad[0])
        ctx.save_for_backward(slope)
        return p

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Gradient with respect to ``hidden``."""
        (slope,) = ctx.saved_tensors
        return grads[0][:, None].to(slope.dtype) * slope, None, None, None, None


def _read(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    answers: Tensor,
    cap: float | None,
    *,
    with_slope: bool,
) -> tuple[Tensor, Tensor | None]:
    """Probabilities ``(rows,)`` and their gradient ``(rows, width)``, without keeping all logits.

    The sum of exponentials, and the sum of embeddings weighted by them, are kept relative to the
    highest logit so far.
    """
    highest = torch.full((len(hidden), 1), -torch.inf, device=hidden.device)
    total, chosen = torch.zeros_like(highest), torch.zeros_like(highest)
    mean = torch.zeros(hidden.shape, device=hidden.device) if with_slope else None
    own_bend = torch.ones_like(highest)
    for part in _parts(padded(hidden), len(weight), hidden.device):
        words = weight[part]
        logits = capped_logits(hidden, words, None if bias is None else bias[part], cap)
        own = (answers[:, None] - part.start).clamp(0, len(words) - 1)
        here = own == answers[:, None] - part.start
        mine = logits.gather(1, own)
        chosen = torch.where(here, mine, chosen)
        before, highest = highest, torch.maximum(highest, logits.amax(1, keepdim=True))
        bend = None if cap is None else 1 - (logits / cap).square()
        exponentials = logits.sub_(highest).exp_()
        shrunk = (before - highest).exp()
        total = total * shrunk + exponentials.sum(1, keepdim=True)
        if mean is not None:
            weighted = exponentials if bend is None else exponentials * bend
            mean.mul_(shrunk).add_(linear(weighted.to(words.dtype), words.T).float())
            if bend is not None:
                own_bend = torch.where(here, bend.gather(1, own), own_bend)
    p = (chosen - highest).exp() / total
    if mean is None:
        return p[:, 0], None
    slope = p * (own_bend * weight[answers].float() - mean / total)
    return p[:, 0], slope.to(weight.dtype)


def _parts(rows: int, words: int, device: torch.device) -> Iterator[slice]:
    """The vocabulary in parts."""
    logits = IN_CACHE if device.type == "cpu" else ON_DEVICE
    size = max(FEWEST_WORDS, logits // max(1, rows))
    for start in range(0, words, size):
        yield slice(start, min(start + size, words))


def capped_logits(hidden: Tensor, weight: Tensor, bias: Tensor | None, cap: float | None) -> Tensor:
    """Logits ``(rows, vocabulary)`` in float32."""
    few = len(hidden) <= FEW_ROWS and hidden.device.type == "cpu"
    if few and not by_onednn(hidden, weight):
        logits = (weight @ hidden.T).T.contiguous().float()
        logits = logits if bias is None else logits.add_(bias)
    else:
        logits = linear(hidden, weight, bias).float()
    return logits if cap is None else cap * (logits / cap).tanh_()
