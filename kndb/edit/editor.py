"""Puts edits into a loaded model's weights and takes them out again, bit for bit.

It changes memory only; ``kndb.edit.saved_models`` changes files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kndb.edit.deltas import Delta
from kndb.edit.weight_rows import read_rows, write_rows
from kndb.errors import ModelError, UsageError
from kndb.models import LanguageModel
from kndb.neurons import Neuron


@dataclass(frozen=True, eq=False)
class Applied:
    """A delta in a model, and the rows that it replaced there, in the model's number format."""

    delta: Delta
    replaced: Tensor


class Editor:
    """The edits of one loaded model, in the order they were applied.

    >>> editor = Editor(model)                                        # doctest: +SKIP
    >>> first = editor.apply(erase(model, [Neuron(2, 117)]))          # doctest: +SKIP
    >>> editor.undo(first)                                            # doctest: +SKIP
    """

    def __init__(self, model: LanguageModel[Any]) -> None:
        self.model = model
        self._applied: list[Applied] = []

    def apply(self, delta: Delta) -> Applied:
        """Change the rows of the delta's neurons.

        Raises:
            ModelError: the delta was made against other weights.
            UsageError: a row is not as the delta found it, as another edit has changed it.
        """
        check_weights(delta, self.model.info.weights_sha256, self.model.info.name)
        replaced = read_rows(self.model, delta.neurons)
        check_rows(delta.neurons, replaced, delta.before.to(replaced.dtype))
        write_rows(self.model, delta.neurons, delta.after)
        applied = Applied(delta, replaced)
        self._applied.append(applied)
        return applied

    def undo(self, applied: Applied) -> None:
        """Restore the rows that the edit replaced.

        Edits that share no neuron are undone in any order.

        Raises:
            UsageError: it is not applied, or a later edit of one of its neurons is.
        """
        if applied not in self._applied:
            raise UsageError("The edit is not in the model; only an applied edit can be undone.")
        at = self._applied.index(applied)
        for later in self._applied[at + 1 :]:
            check_apart(applied.delta.neurons, later.delta.neurons)
        write_rows(self.model, applied.delta.neurons, applied.replaced)
        del self._applied[at]

    @contextmanager
    def applied(self, delta: Delta) -> Iterator[None]:
        """Apply a delta for the length of a block."""
        applied = self.apply(delta)
        try:
            yield
        finally:
            self.undo(applied)


@contextmanager
def edited(model: LanguageModel[Any], *deltas: Delta) -> Iterator[None]:
    """A model with edited weights for the length of a block; afterwards every bit is as before.

    >>> with edited(model, erase(model, [Neuron(2, 117)])):           # doctest: +SKIP
    ...     model.hf(**inputs)

    Raises:
        ModelError: a delta was made against other weights.
        UsageError: two deltas change the same neuron.
    """
    editor = Editor(model)
    with ExitStack() as stack:
        for delta in deltas:
            stack.enter_context(editor.applied(delta))
        yield


def check_weights(delta: Delta, weights_sha256: str, name: str) -> None:
    """Refuse a delta for a model with other weights.

    Raises:
        ModelError: it was made against others.
    """
    if delta.weights_sha256 != weights_sha256:
        raise ModelError(
            f"The edit was made against weights {delta.weights_sha256[:12]}, but those of {name} "
            f"are {weights_sha256[:12]}; give the model the edit was made for."
        )


def check_rows(neurons: Sequence[Neuron], found: Tensor, expected: Tensor) -> None:
    """Refuse to change rows that are not as they should be.

    Raises:
        UsageError: a row differs.
    """
    for neuron, own, right in zip(neurons, found, expected, strict=True):
        if not torch.equal(own, right):
            raise UsageError(
                f"The weights of neuron {neuron} are not as the edit knows them, as another edit "
                "has changed them; take that one out first."
            )


def check_apart(neurons: Sequence[Neuron], later: Sequence[Neuron]) -> None:
    """Refuse to undo an edit below a later one of the same neuron.

    Raises:
        UsageError: they share a neuron.
    """
    shared = sorted(set(neurons) & set(later))
    if shared:
        raise UsageError(f"A later edit has changed neuron {shared[0]} too; undo that one first.")
