"""An independent, slow implementation: full forward passes, one layer and one path at a time.

It shares nothing with kndb's engine but the tokenization (its targets). It follows the released
code of AMIG (heng840/AMIG, garns.py) and Dai et al. 2022 in its arithmetic, and is what
``amig-code`` and ``ig-zero`` must equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from kndb.models import Target


@contextmanager
def hooked(module: nn.Module, hook: Callable[..., Any], *, before: bool) -> Any:
    register = module.register_forward_pre_hook if before else module.register_forward_hook
    handle = register(hook)
    try:
        yield
    finally:
        handle.remove()


class Naive:
    """One Transformers model with the modules that contain its neurons.

    ``sites`` are the modules per layer; with ``before`` the neurons are their input (a down
    projection), otherwise their output (an up projection: neurons before the activation).
    """

    def __init__(self, hf: Any, sites: Sequence[nn.Module], *, before: bool) -> None:
        self.hf = hf
        self.sites = sites
        self.before = before

    def read(self, tokens: Sequence[int], layer: int, position: int) -> Tensor:
        """Neurons ``(n_neurons,)`` of a layer in one full forward pass."""
        found: list[Tensor] = []

        def take(module: nn.Module, inputs: Any, output: Any = None) -> None:
            value = inputs[0] if self.before else output
            found.append(value.flatten(0, -2)[position].detach())  # OPT's is flat already

        with hooked(self.sites[layer], take, before=self.before), torch.no_grad():
            self.hf(input_ids=torch.tensor([tokens]))
        return found[0]

    def probability(self, target: Target, layer: int, neurons: Tensor) -> Tensor:
        """F with the layer's neurons replaced: ``(n_neurons,)`` → ``()``."""
        return self.probabilities(target, layer, neurons[None])[0]

    def probabilities(self, target: Target, layer: int, points: Tensor) -> Tensor:
        """F with each point at the answer position: ``(points, n_neurons)`` → ``(points,)``."""

        def put(module: nn.Module, inputs: Any, output: Any = None) -> Any:
            value = (inputs[0] if self.before else output).clone()
            value.view(len(points), -1, value.shape[-1])[:, target.position] = points
            return (value,) if self.before else value

        with hooked(self.sites[layer], put, before=self.before):
            logits = self.hf(input_ids=torch.tensor([target.tokens] * len(points))).logits
        return torch.softmax(logits[:, target.position].float(), -1)[:, target.answer]

    def gradients(self, target: Target, layer: int, points: Tensor) -> Tensor:
        """The gradient of F at each point, ``(points, n_neurons)``."""
        points = points.clone().requires_grad_()
        return torch.autograd.grad(self.probabilities(target, layer, points).sum(), points)[0]

    def masked(self, target: Target, group: Sequence[int], layer: int) -> Tensor:
        """Neurons in the sentence in which the tokens of ``group`` are the filler."""
        tokens = [target.filler if i in group else t for i, t in enumerate(target.tokens)]
        return self.read(tokens, layer, target.position)

    def amig_code(self, target: Target, steps: int = 20) -> Tensor:
        """garns.py: mean over token baselines, left Riemann sum, times the activation / steps."""
        scores = []
        for layer in range(len(self.sites)):
            observed = self.read(target.tokens, layer, target.position)
            starts = [self.masked(target, [i], layer) for i in range(len(target.tokens))]
            baseline = torch.stack(starts).mean(0)
            points = [baseline + (observed - baseline) / steps * k for k in range(steps)]
            total = self.gradients(target, layer, torch.stack(points)).sum(0)
            scores.append(total * observed / steps)
        return torch.stack(scores)

    def ig_zero(self, target: Target, steps: int = 20) -> Tensor:
        """knowledge_neurons.py: linspace(0, 1, steps) times the activation."""
        scores = []
        for layer in range(len(self.sites)):
            observed = self.read(target.tokens, layer, target.position)
            points = torch.linspace(0, 1, steps)[:, None] * observed
            total = self.gradients(target, layer, points).sum(0)
            scores.append(total * observed / steps)
        return torch.stack(scores)

    def amig_paper(self, target: Target, steps: int = 20) -> Tensor:
        """Eq. 3 and 4: word baselines, right Riemann sum, times the activation."""
        scores = []
        for layer in range(len(self.sites)):
            observed = self.read(target.tokens, layer, target.position)
            total = torch.zeros_like(observed)
            for word in target.words:
                start = self.masked(target, word, layer)
                points = [start + (observed - start) * k / steps for k in range(1, steps + 1)]
                gradients = self.gradients(target, layer, torch.stack(points))
                total += gradients.sum(0) * observed / steps
            scores.append(total)
        return torch.stack(scores)
