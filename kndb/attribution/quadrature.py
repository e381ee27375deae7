"""Quadrature rules on [0, 1]: where to look along a path, and how much each look counts.

``gauss-legendre`` integrates polynomials of degree ``2 n - 1`` exactly (Abramowitz & Stegun 1964,
25.4.29). The Riemann sums are those of the peers: ``left`` is ``k / n`` (heng840/AMIG, garns.py,
``scaled_input``), ``linspace`` is ``k / (n - 1)`` with equal weights (EleutherAI/knowledge-neurons,
knowledge_neurons.py, ``scaled_input``), ``right`` is ``k / n`` from 1 (AMIG, Eq. 4).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kndb.errors import UsageError

Array = NDArray[np.float64]
Rule = Callable[[int], tuple[Array, Array]]


def gauss_legendre(n: int) -> tuple[Array, Array]:
    """Nodes and weights of order ``n``, from [-1, 1] to [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return (nodes + 1) / 2, weights / 2


def _riemann(first: float) -> Rule:
    def rule(n: int) -> tuple[Array, Array]:
        return (np.arange(n) + first) / n, np.full(n, 1 / n)

    return rule


def linspace(n: int) -> tuple[Array, Array]:
    """Both ends included, all weights ``1 / n``.

    Raises:
        UsageError: ``n`` is 1, which would look at the baseline alone.
    """
    if n < 2:
        raise UsageError("The quadrature linspace needs at least 2 nodes; 1 was given.")
    return np.linspace(0, 1, n), np.full(n, 1 / n)


RULES: dict[str, Rule] = {
    "gauss-legendre": gauss_legendre,
    "left": _riemann(0.0),
    "right": _riemann(1.0),
    "midpoint": _riemann(0.5),
    "linspace": linspace,
}


def nested_lobatto() -> tuple[Array, list[Array]]:
    """Five nodes in [0, 1], both ends among them, and four nested rules on them.

    The first rule has the last node alone. The others are the Lobatto rules of two, three and five
    nodes (Abramowitz & Stegun 1964, 25.4.32): the trapezoidal rule, Simpson's, and one with two
    more nodes at ``1/2 ± sqrt(3/28)``. They are exact for polynomials of degree 1, 3 and 7. Both
    of the larger ones have the middle, so each has the nodes of the one before it.

    Returns:
        The nodes, ``(5,)``, and for each rule a matrix ``(5, 5)``, as in a Runge-Kutta method by
        collocation: row ``i`` integrates from 0 to node ``i`` the polynomial through the rule's
        nodes. Hence the last row holds the rule's weights.
    """
    reach = np.sqrt(3 / 28)
    nodes = np.array([0.0, 0.5 - reach, 0.5, 0.5 + reach, 1.0])
    present = ([4], [0, 4], [0, 2, 4], [0, 1, 2, 3, 4])
    return nodes, [_collocation(nodes, chosen) for chosen in present]


def _collocation(nodes: Array, present: list[int]) -> Array:
    """Integrals from 0 to every node of the polynomial through those present, ``(n, n)``."""
    powers = np.arange(1, len(present) + 1)
    integrals = np.zeros((len(nodes), len(nodes)))
    integrals[:, present] = np.linalg.solve(
        np.vander(nodes[present], increasing=True).T, (nodes[:, None] ** powers / powers).T
    ).T
    return integrals


def nodes_and_weights(rule: str, n: int) -> tuple[Array, Array]:
    """Nodes ``(n,)`` in [0, 1] and weights ``(n,)`` that add up to 1.

    >>> nodes_and_weights("left", 2)
    (array([0. , 0.5]), array([0.5, 0.5]))

    Raises:
        UsageError: an unknown rule, or no nodes.
    """
    if rule not in RULES:
        raise UsageError(f"There is no quadrature {rule!r}; choose from {', '.join(RULES)}.")
    if n < 1:
        raise UsageError(f"A quadrature needs at least 1 node; {n} were given.")
    return RULES[rule](n)
