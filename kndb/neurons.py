"""Neurons as values, and random neurons for controls. Knows no model and no database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kndb.errors import UsageError

LONGEST = 18
"""Digits of a number that a 64-bit integer can hold."""


@dataclass(frozen=True, order=True, slots=True)
class Neuron:
    """One unit of a transformer's feed-forward block, after the activation function.

    It is an input to the block's output projection. Layers and indices count from 0.
    """

    layer: int
    index: int

    @classmethod
    def parse(cls, text: str) -> Neuron:
        """Read ``LAYER:INDEX``.

        >>> Neuron.parse("9:1024")
        Neuron(layer=9, index=1024)

        Raises:
            UsageError: the text is not two whole numbers of at most 18 digits joined by a colon.
        """
        layer, _, index = text.partition(":")
        if not all(part.isdecimal() and len(part) <= LONGEST for part in (layer, index)):
            raise UsageError(
                f"{text!r:.40} is not a neuron; write LAYER:INDEX, for example 9:1024."
            )
        return cls(int(layer), int(index))

    def __str__(self) -> str:
        return f"{self.layer}:{self.index}"


def random_like(
    neurons: Sequence[Neuron], avoid: Sequence[Neuron], n_neurons: int, seed: int
) -> list[Neuron] | None:
    """For each neuron, a random one in the same layer, drawn without replacement.

    Args:
        neurons: the neurons to match.
        avoid: neurons that must not be drawn.
        n_neurons: number of neurons per layer.
        seed: seed of the random generator.

    Returns:
        The random neurons in the same order, or None if a layer has too few others.
    """
    # Deferred: queries need this module but not NumPy, which takes 0.1 s.
    import numpy as np

    generator = np.random.default_rng(seed)
    drawn: dict[int, Iterator[int]] = {}
    for layer in sorted({neuron.layer for neuron in neurons}):
        taken = {neuron.index for neuron in avoid if neuron.layer == layer}
        others = [index for index in range(n_neurons) if index not in taken]
        if len(others) < sum(neuron.layer == layer for neuron in neurons):
            return None
        drawn[layer] = iter(generator.permutation(others).tolist())
    return [Neuron(neuron.layer, next(drawn[neuron.layer])) for neuron in neurons]
