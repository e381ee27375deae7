"""The answer's probability from the last hidden state, and its gradient in closed form."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

VOCABULARY_PART = 8192
"""Words whose logits are taken together where no gradient is wanted: some hundred rows of so many
stay in a processor's cache."""

FEW_ROWS = 24
"""Up to here the product with the embedding in front is quicker on a CPU, which would else repack
the whole embedding: 26 against 52 ms for 12 rows of 119,547 by 768."""


class AnswerProbability(torch.autograd.Function):
    """Softmax probability of one token per row, differentiable in the hidden state only.

    With logits ``z = W h + b`` and ``p = softmax(z)[y]``, ``dp/dz = p (1_y - softmax(z))``. Taking
    that while the logits are at hand needs one array of rows times vocabulary; autograd keeps
    three. Softmax is in float32, whatever the number format.
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
            cap: logits are ``cap * tanh(z / cap)`` where given (Gemma 2).
        """
        if not ctx.needs_input_grad[0]:
            return _probability(hidden, weight, bias, answers, cap)
        logits = capped_logits(hidden, weight, bias, cap)
        total = logits.logsumexp(1, keepdim=True)
        p = (logits.gather(1, answers[:, None]) - total).exp()
        bend = None if cap is None else 1 - (logits / cap).square()
        slope = logits.sub_(total).exp_().neg_()
        slope.scatter_add_(1, answers[:, None], torch.ones_like(p)).mul_(p)
        slope = slope if bend is None else slope.mul_(bend)
        ctx.save_for_backward(slope.to(weight.dtype) @ weight)
        return p[:, 0]

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Gradient in ``hidden``."""
        (slope,) = ctx.saved_tensors
        return grads[0][:, None].to(slope.dtype) * slope, None, None, None, None


def _probability(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, answers: Tensor, cap: float | None
) -> Tensor:
    """Probabilities ``(rows,)`` without a gradient, never holding all logits."""
    chosen = torch.zeros(len(hidden), device=hidden.device)
    totals = []
    for start in range(0, len(weight), VOCABULARY_PART):
        part = slice(start, start + VOCABULARY_PART)
        logits = capped_logits(hidden, weight[part], None if bias is None else bias[part], cap)
        totals.append(logits.logsumexp(1))
        own = (answers - start).clamp(0, logits.shape[1] - 1)
        here = own == answers - start
        chosen = torch.where(here, logits.gather(1, own[:, None])[:, 0], chosen)
    return (chosen - torch.stack(totals).logsumexp(0)).exp()


def capped_logits(hidden: Tensor, weight: Tensor, bias: Tensor | None, cap: float | None) -> Tensor:
    """Logits ``(rows, vocabulary)`` in float32."""
    if len(hidden) <= FEW_ROWS and hidden.device.type == "cpu":
        logits = (weight @ hidden.T).T.contiguous().float()
        logits = logits if bias is None else logits.add_(bias)
    else:
        logits = F.linear(hidden, weight, bias).float()
    return logits if cap is None else (logits / cap).tanh_().mul_(cap)
