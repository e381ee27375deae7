"""Straight paths of neurons from a baseline to the observed run, and F and its gradient on them.

All neurons of one layer move together, at the answer position, from a baseline ``w'`` to their
observed values ``w``. The output projection is linear, so the path is straight in its output too,
which is four times narrower: paths are followed there, and the gradient is multiplied by the
projection's transpose once per path. Only neurons before their activation function need a space of
their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kndb.attribution.settings import Factor
from kndb.models import LanguageModel
from kndb.models.base import PROMPTS_TOGETHER, Observed
from kndb.models.memory import Budget


class PostActivation:
    """Paths of neurons after their activation function, followed in the projection's output."""

    def __init__(self, model: LanguageModel[Any]) -> None:
        self.model = model

    def enter(self, layer: int, neurons: Tensor) -> Tensor:
        """Map neurons ``(…, n_neurons)`` to a point in the path's space ``(…, width)``."""
        return self.model.project(layer, neurons)

    def outputs(self, layer: int, points: Tensor) -> Tensor:
        """The feed-forward output at a point: the point itself."""
        return points

    def gradient(self, layer: int, gradients: Tensor) -> Tensor:
        """Map a gradient in the path's space to one in the neurons ``(…, n_neurons)``."""
        return self.model.back_project(layer, gradients)


class PreActivation(PostActivation):
    """Paths of neurons before their activation function, followed in the neurons themselves."""

    def enter(self, layer: int, neurons: Tensor) -> Tensor:
        """The neurons themselves."""
        return neurons

    def outputs(self, layer: int, points: Tensor) -> Tensor:
        """The feed-forward output that these neurons produce, ``(…, width)``."""
        return self.model.project(layer, self.model.activation(layer, points))

    def gradient(self, layer: int, gradients: Tensor) -> Tensor:
        """The gradient itself."""
        return gradients


@dataclass(frozen=True)
class Paths:
    """Straight lines, one for each layer and baseline, sorted by layer.

    Attributes:
        space: the space in which they are followed.
        owners: ``(baselines,)``, the row of the observed run that each baseline belongs to.
        neurons: per layer, ``(baselines, n_neurons)`` at the start.
        observed: per layer, ``(targets, n_neurons)`` at the end.
        starts: ``(layers * baselines, size)``, in the path's space.
        ends: ``(layers * targets, size)``, likewise.
        answers: ``(targets,)`` tokens.
        factor: what the gradient is multiplied by, see :class:`kndb.attribution.Settings`.
    """

    space: PostActivation
    owners: Tensor
    neurons: list[Tensor]
    observed: list[Tensor]
    starts: Tensor
    ends: Tensor
    answers: Tensor
    factor: Factor

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def layers(self) -> Tensor:
        """The layer of each path, ``(paths,)``."""
        every = torch.arange(len(self.neurons), device=self.owners.device)
        return every.repeat_interleave(len(self.owners))

    @property
    def targets(self) -> Tensor:
        """Each path's row of the observed run, ``(paths,)``."""
        return self.owners.repeat(len(self.neurons))

    @property
    def end_rows(self) -> Tensor:
        """Each path's row of :attr:`ends`, ``(paths,)``."""
        return self.layers * len(self.answers) + self.targets

    def scores(self, layer: int, chosen: Tensor, gradients: Tensor) -> Tensor:
        """Attributions ``(chosen, n_neurons)``, float32: factor times gradient.

        Args:
            layer: the layer that all of them belong to.
            chosen: ``(chosen,)``, numbers of baselines.
            gradients: ``(chosen, size)``, integrals of the gradient in the path's space.
        """
        factors = self.observed[layer][self.owners[chosen]]
        slopes = self.space.gradient(layer, gradients.to(factors.dtype)).float()
        if self.factor == "activation":
            return slopes * factors.float()
        return slopes * (factors.float() - self.neurons[layer][chosen].float())

    @torch.no_grad()
    def each_scores(self, gradients: Tensor) -> Tensor:
        """Attributions ``(baselines, n_layers, n_neurons)``, those of every path by itself.

        Args:
            gradients: ``(paths, size)``, integrals of the gradient in the path's space.
        """
        every = torch.arange(len(self.owners), device=self.owners.device)
        parts = gradients.chunk(len(self.observed))
        return torch.stack([self.scores(layer, every, own) for layer, own in enumerate(parts)], 1)

    @torch.no_grad()
    def summed_scores(self, gradients: Tensor) -> Tensor:
        """Attributions ``(targets, n_layers, n_neurons)``, summed over the paths of each layer.

        Args:
            gradients: ``(paths, size)``, integrals of the gradient in the path's space.
        """
        every = torch.arange(len(self.owners), device=self.owners.device)
        sums = [
            torch.zeros(end.shape, device=end.device).index_add_(
                0, self.owners, self.scores(layer, every, own)
            )
            for layer, (end, own) in enumerate(
                zip(self.observed, gradients.chunk(len(self.observed)), strict=True)
            )
        ]
        return torch.stack(sums, dim=1)

    @torch.no_grad()
    def sizes(self, chosen: Tensor, gradients: Tensor) -> tuple[Tensor, Tensor]:
        """L2 norms and largest absolute values of the scores from these integrals.

        Args:
            chosen: ``(chosen,)`` paths, ascending.
            gradients: ``(chosen, size)``, integrals of the gradient in the path's space.

        Returns:
            Two tensors ``(chosen,)``.
        """
        layers, counts = torch.unique_consecutive(
            chosen.div(len(self.owners), rounding_mode="floor"), return_counts=True
        )
        parts = zip(
            layers.tolist(),
            torch.split(chosen % len(self.owners), counts.tolist()),
            torch.split(gradients, counts.tolist()),
            strict=True,
        )
        norms, largest = [gradients.new_zeros(0)], [gradients.new_zeros(0)]
        for layer, own, slopes in parts:
            scores = self.scores(layer, own, slopes)
            norms.append(scores.norm(dim=1))
            largest.append(scores.abs().amax(1))
        return torch.cat(norms), torch.cat(largest)


@torch.no_grad()
def straight_paths(
    space: PostActivation,
    neurons: list[Tensor],
    observed: list[Tensor],
    owners: Tensor,
    answers: Tensor,
    factor: Factor,
) -> Paths:
    """Paths from ``neurons`` to ``observed`` in every layer; see :class:`Paths`."""
    # Both ends in one product, so a layer's weights are read only once.
    points = [
        space.enter(layer, torch.cat(both))
        for layer, both in enumerate(zip(neurons, observed, strict=True))
    ]
    n = len(owners)
    starts, ends = (torch.cat([p[side] for p in points]) for side in (slice(n), slice(n, None)))
    return Paths(space, owners, neurons, observed, starts, ends, answers, factor)


class Follower:
    """Runs the model at points on the paths of one observed run, within a memory budget."""

    def __init__(
        self,
        model: LanguageModel[Any],
        observed: Observed,
        paths: Paths,
        length: int,
        budget: Budget,
    ) -> None:
        self.model = model
        self.observed = observed
        self.paths = paths
        self.budget = budget
        self.layers, self.targets, self.end_rows = paths.layers, paths.targets, paths.end_rows
        self.in_layer, self.kept = model.row_bytes(length)

    def slopes(self, chosen: Tensor, alphas: Tensor) -> tuple[Tensor, Tensor]:
        """F ``(chosen,)`` and its gradient in the path's space ``(chosen, size)``, both float32.

        Args:
            chosen: numbers of paths, ascending.
            alphas: ``(chosen,)``, the point on each path.
        """
        if not len(chosen):
            size = self.paths.starts.shape[1]
            return torch.zeros(0, device=chosen.device), torch.zeros(0, size, device=chosen.device)

        def work(rows: Tensor) -> tuple[Tensor, Tensor]:
            points = self._points(chosen[rows], alphas[rows]).requires_grad_()
            p = self._probabilities(chosen[rows], points)
            return p.detach(), torch.autograd.grad(p.sum(), points)[0].float()

        above = self.model.info.n_layers - 1 - self.layers[chosen]
        values, gradients = self._in_parts(chosen, self.in_layer + above * self.kept, work)
        return values, gradients

    @torch.no_grad()
    def start_values(self) -> Tensor:
        """F at the start of each path, ``(paths,)``."""
        every = torch.arange(len(self.paths), device=self.layers.device)

        def work(rows: Tensor) -> tuple[Tensor]:
            return (self._probabilities(rows, self.paths.starts[rows]),)

        (values,) = self._in_parts(every, torch.full_like(every, self.in_layer), work)
        return values

    def _in_parts(
        self, chosen: Tensor, costs: Tensor, work: Callable[[Tensor], tuple[Tensor, ...]]
    ) -> list[Tensor]:
        """The results of ``work`` on indices into ``chosen``, in parts of a few prompts each.

        Models take the rows of a few prompts at a time; ``work`` gets ascending indices.
        """
        order = (self.targets[chosen] // PROMPTS_TOGETHER).argsort(stable=True)

        def part_of(part: slice) -> tuple[Tensor, ...]:
            return work(order[part].sort().values)

        numbers = []
        results = []
        start = 0
        for found in self.budget.run(costs[order].tolist(), part_of):
            stop = start + len(found[0])
            numbers.append(order[start:stop].sort().values)
            results.append(found)
            start = stop
        back = torch.cat(numbers).argsort()
        return [torch.cat(every)[back] for every in zip(*results, strict=True)]

    def end_slopes(self) -> Tensor:
        """Gradient of F at the observed values, ``(layers * targets, size)`` float32.

        All paths of a layer share it, and one backward pass through the observed run gives it for
        every layer.
        """
        n = len(self.paths.answers)
        layers = range(self.model.info.n_layers)
        ends = [self.paths.ends[layer * n : (layer + 1) * n] for layer in layers]
        slopes = torch.empty(self.paths.ends.shape, device=self.paths.ends.device)

        def work(part: slice) -> bool:
            rows = torch.arange(n, device=self.layers.device)[part]
            points = [end[part].detach().requires_grad_() for end in ends]
            outputs = [self.paths.space.outputs(layer, points[layer]) for layer in layers]
            p = self.model.observed_probabilities(
                self.observed, rows, outputs, self.paths.answers[part]
            )
            for layer, slope in enumerate(torch.autograd.grad(p.sum(), points)):
                slopes[layer * n : (layer + 1) * n][part] = slope.float()
            return True

        costs = [self.in_layer + len(layers) * self.kept] * n
        list(self.budget.run(costs, work))
        return slopes

    def _points(self, chosen: Tensor, alphas: Tensor) -> Tensor:
        starts, ends = self.paths.starts[chosen], self.paths.ends[self.end_rows[chosen]]
        return torch.lerp(starts.float(), ends.float(), alphas[:, None]).to(starts.dtype)

    def _probabilities(self, chosen: Tensor, points: Tensor) -> Tensor:
        layers, counts = torch.unique_consecutive(self.layers[chosen], return_counts=True)
        outputs = [
            self.paths.space.outputs(layer, part)
            for layer, part in zip(
                layers.tolist(), torch.split(points, counts.tolist()), strict=True
            )
        ]
        targets = self.targets[chosen]
        return self.model.probabilities(
            self.observed,
            targets,
            self.layers[chosen],
            torch.cat(outputs),
            self.paths.answers[targets],
        )
