"""A neuron, as kndb counts them. Nothing else lives here."""

from __future__ import annotations

from dataclasses import dataclass

from kndb.errors import UsageError


@dataclass(frozen=True, order=True, slots=True)
class Neuron:
    """One unit of a transformer's feed-forward block, after its activation function.

    It is an input of the block's output projection. Layers and indices count from 0.
    """

    layer: int
    index: int

    @classmethod
    def parse(cls, text: str) -> Neuron:
        """Read ``LAYER:INDEX``.

        >>> Neuron.parse("9:1024")
        Neuron(layer=9, index=1024)

        Raises:
            UsageError: the text is not two whole numbers joined by a colon.
        """
        layer, _, index = text.partition(":")
        if not (layer.isdecimal() and index.isdecimal()):
            raise UsageError(f"{text!r} is not a neuron; write LAYER:INDEX, for example 9:1024.")
        return cls(int(layer), int(index))

    def __str__(self) -> str:
        return f"{self.layer}:{self.index}"
