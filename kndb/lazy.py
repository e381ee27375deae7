"""Packages whose public names are loaded when they are first used (PEP 562).

Importing torch and transformers takes seconds; what is asked in vain should be refused before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module


def lazily(package: str, names: Mapping[str, Sequence[str]]) -> Callable[[str], object]:
    """A package's ``__getattr__``, which finds each name in its module.

    >>> find = lazily("kndb", {"kndb.neurons": ("Neuron",)})
    >>> find("Neuron")
    <class 'kndb.neurons.Neuron'>

    Args:
        package: its name, for the message about a name that it lacks.
        names: the public names by the module that has each.
    """
    homes = {name: module for module, own in names.items() for name in own}

    def find(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return find
