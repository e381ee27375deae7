"""Integrated gradients along paths of neurons by a fixed rule (Sundararajan et al. 2017).

A path's attributions are the difference between its ends times the integral of the gradient (AMIG,
Eq. 2). See :mod:`kndb.attribution.adaptive` for paths that are refined until they are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kndb.attribution.paths import Follower, Paths
from kndb.attribution.quadrature import nodes_and_weights
from kndb.attribution.settings import Settings


@dataclass(frozen=True)
class Integrals:
    """The result of integration.

    Attributes:
        gradients: ``(paths, size)``, the integral of the gradient over alpha in [0, 1], float32.
        residual: ``(paths,)``, the relative completeness residual.
        error: ``(targets,)``, the estimated relative error of a target's scores; NaN if the rule
            gives no estimate.
    """

    gradients: Tensor
    residual: Tensor
    error: Tensor


def residual_scale(change: Tensor, observed_p: Tensor) -> Tensor:
    """What a path's residual is divided by: ``|F(end) - F(start)|``, or ``F(end) / 100``."""
    return torch.maximum(change.abs(), 0.01 * observed_p)


def integrate_fixed(follower: Follower, observed_p: Tensor, settings: Settings) -> Integrals:
    """Integrate the gradient along every path by one rule.

    A path's residual is ``|sum of attributions - (F(end) - F(start))|``, divided by
    :func:`residual_scale`.

    Args:
        follower: follows all paths.
        observed_p: ``(targets,)``, F at the end of the paths.
        settings: supplies the quadrature and the number of nodes.
    """
    paths = follower.paths
    ends = paths.ends[paths.end_rows]
    every = torch.arange(len(paths), device=ends.device)
    total = torch.zeros(ends.shape, device=ends.device)
    for alpha, weight in zip(*nodes_and_weights(settings.quadrature, settings.nodes), strict=True):
        alphas = torch.full(every.shape, float(alpha), device=ends.device)
        total += weight * follower.slopes(every, alphas)[1]
    p = observed_p[paths.targets]
    change = p - follower.start_values()
    sums = (total * (ends.float() - _origins(paths))).sum(1)
    residual = (sums - change).abs() / residual_scale(change, p)
    return Integrals(total, residual, torch.full_like(observed_p, torch.nan))


@torch.no_grad()
def _origins(paths: Paths) -> Tensor:
    """What the gradient's factor is measured from: the path's start, or neurons set to 0."""
    if paths.factor == "difference":
        return paths.starts.float()
    silent = [
        paths.space.enter(layer, torch.zeros_like(neurons[0]))
        for layer, neurons in enumerate(paths.observed)
    ]
    return torch.stack(silent)[paths.layers].float()
