"""Integrated gradients along straight paths of neurons (Sundararajan et al. 2017; AMIG, Eq. 2).

All neurons of one layer move together, at the answer position, from a baseline ``w'`` to their
observed values ``w``. The output projection is linear, so the path is straight in its output too,
where it is four times narrower: paths are followed there, and the gradient is multiplied by the
projection's transpose once per path. Only neurons before their activation function need their own
space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kndb.attribution.quadrature import nodes_and_weights
from kndb.attribution.settings import Settings
from kndb.models import LanguageModel
from kndb.models.base import Observed
from kndb.models.memory import Budget


class PostActivation:
    """Paths of neurons after their activation function, followed behind the projection."""

    def __init__(self, model: LanguageModel[Any]) -> None:
        self.model = model

    def enter(self, layer: int, neurons: Tensor) -> Tensor:
        """Neurons ``(…, n_neurons)`` as a point of the path's space ``(…, width)``."""
        return self.model.project(layer, neurons)

    def outputs(self, layer: int, points: Tensor) -> Tensor:
        """The feed-forward output at a point: the point itself."""
        return points

    def gradient(self, layer: int, gradients: Tensor) -> Tensor:
        """A gradient in the path's space as one in neurons ``(…, n_neurons)``."""
        return self.model.back_project(layer, gradients)


class PreActivation(PostActivation):
    """Paths of neurons before their activation function, followed where they are."""

    def enter(self, layer: int, neurons: Tensor) -> Tensor:
        """The neurons themselves."""
        return neurons

    def outputs(self, layer: int, points: Tensor) -> Tensor:
        """The feed-forward output that these neurons lead to, ``(…, width)``."""
        return self.model.project(layer, self.model.activation(layer, points))

    def gradient(self, layer: int, gradients: Tensor) -> Tensor:
        """The gradient itself."""
        return gradients


@dataclass(frozen=True)
class Paths:
    """``paths`` straight lines, sorted by layer.

    Attributes:
        space: where they are followed.
        layers: ``(paths,)``.
        targets: ``(paths,)``, rows of the observed run.
        starts: ``(paths, size)`` in the path's space.
        ends: ``(paths, size)``.
        answers: ``(paths,)`` tokens.
    """

    space: PostActivation
    layers: Tensor
    targets: Tensor
    starts: Tensor
    ends: Tensor
    answers: Tensor


@dataclass(frozen=True)
class Integrals:
    """What integration gives for each path.

    Attributes:
        gradients: ``(paths, size)``, the integral of the gradient over alpha in [0, 1], float32.
        change: ``(paths,)``, F at the end minus F at the start.
        residual: ``(paths,)``, the completeness residual, relative.
    """

    gradients: Tensor
    change: Tensor
    residual: Tensor


class Integrator:
    """Follows paths of one observed run, within a memory budget."""

    def __init__(
        self, model: LanguageModel[Any], observed: Observed, length: int, budget: Budget
    ) -> None:
        self.model = model
        self.observed = observed
        self.budget = budget
        self.in_layer, self.kept = model.row_bytes(length)
        self.in_layer += 4 * 2 * observed.logits.shape[1]

    def integrate(self, paths: Paths, observed_p: Tensor, settings: Settings) -> Integrals:
        """Integrate the gradient along every path, refining those that miss the tolerance.

        A path of F has the residual ``|sum of attributions - (F(end) - F(start))|``, divided by
        the larger of ``|F(end) - F(start)|`` and ``F(end) / 100``. An odd Gauss-Legendre rule
        holds the midpoint, so the next one does not look there again.

        Args:
            paths: sorted by layer.
            observed_p: ``(paths,)``, F at the end of each path.
            settings: factor, quadrature, nodes and tolerance.
        """
        change = observed_p - self.values(paths)
        scale = torch.maximum(change.abs(), 0.01 * observed_p)
        factor = paths.ends.float() - self._origins(paths, settings)
        # Below the rounding of the number format there is nothing to gain.
        noise = 4 * torch.finfo(paths.ends.dtype).eps * observed_p / scale
        limit = noise.clamp(min=settings.tolerance or 0.0)
        gradients = torch.zeros_like(factor)
        residual = torch.full_like(change, torch.inf)
        middle: Tensor | None = None
        todo = torch.arange(len(change), device=change.device)
        nodes = settings.nodes
        while True:
            gradients[todo], middle = self._rule(paths, todo, settings.quadrature, nodes, middle)
            sums = (gradients[todo] * factor[todo]).sum(1)
            residual[todo] = (sums - change[todo]).abs() / scale[todo]
            nodes = 2 * nodes + 1
            if settings.tolerance is None or nodes > settings.max_nodes:
                return Integrals(gradients, change, residual)
            still = residual[todo] > limit[todo]
            middle = None if middle is None else middle[still]
            todo = todo[still]
            if not len(todo):
                return Integrals(gradients, change, residual)

    def _origins(self, paths: Paths, settings: Settings) -> Tensor:
        """What the gradient's factor is counted from: the path's start, or silent neurons."""
        if settings.factor == "difference":
            return paths.starts.float()
        zeros = torch.zeros(self.model.info.n_neurons, device=paths.ends.device)
        silent = [
            paths.space.enter(layer, zeros.to(paths.ends.dtype))
            for layer in range(self.model.info.n_layers)
        ]
        return torch.stack(silent)[paths.layers].float()

    def _rule(
        self, paths: Paths, chosen: Tensor, rule: str, n: int, middle: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """The weighted sum of gradients ``(chosen, size)``, and the gradient at the midpoint."""
        total = torch.zeros(len(chosen), paths.ends.shape[1], device=paths.ends.device)
        for alpha, weight in zip(*nodes_and_weights(rule, n), strict=True):
            if abs(alpha - 0.5) > 1e-9:
                total += weight * self.slopes(paths, chosen, alpha)
                continue
            if middle is None:
                middle = self.slopes(paths, chosen, alpha)
            total += weight * middle
        return total, middle

    def slopes(self, paths: Paths, chosen: Tensor, alpha: float) -> Tensor:
        """Gradient of F in the path's space, ``(chosen, size)``, at one point of each path."""

        def work(part: slice) -> Tensor:
            rows = chosen[part]
            points = torch.lerp(paths.starts[rows], paths.ends[rows], alpha).requires_grad_()
            p = self._probabilities(paths, rows, points)
            return torch.autograd.grad(p.sum(), points)[0].float()

        above = self.model.info.n_layers - 1 - paths.layers[chosen]
        costs = (self.in_layer + above * self.kept).tolist()
        return torch.cat(list(self.budget.run(costs, work)))

    @torch.no_grad()
    def values(self, paths: Paths) -> Tensor:
        """F at the start of each path, ``(paths,)``."""
        every = torch.arange(len(paths.layers), device=paths.layers.device)

        def work(part: slice) -> Tensor:
            return self._probabilities(paths, every[part], paths.starts[part])

        costs = [self.in_layer] * len(every)
        return torch.cat(list(self.budget.run(costs, work)))

    def _probabilities(self, paths: Paths, rows: Tensor, points: Tensor) -> Tensor:
        layers, counts = torch.unique_consecutive(paths.layers[rows], return_counts=True)
        outputs = [
            paths.space.outputs(layer, part)
            for layer, part in zip(
                layers.tolist(), torch.split(points, counts.tolist()), strict=True
            )
        ]
        return self.model.probabilities(
            self.observed,
            paths.targets[rows],
            paths.layers[rows],
            torch.cat(outputs),
            paths.answers[rows],
        )
