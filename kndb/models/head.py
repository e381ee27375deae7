"""The answer's probability from the last hidden state, and its gradient in closed form."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


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
        logits = capped_logits(hidden, weight, bias, cap)
        total = logits.logsumexp(1, keepdim=True)
        p = (logits.gather(1, answers[:, None]) - total).exp()
        if ctx.needs_input_grad[0]:
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


def capped_logits(hidden: Tensor, weight: Tensor, bias: Tensor | None, cap: float | None) -> Tensor:
    """Logits ``(rows, vocabulary)`` in float32."""
    logits = F.linear(hidden, weight, bias).float()
    return logits if cap is None else (logits / cap).tanh_().mul_(cap)
