"""Keeps an installed package from being imported by libraries that need it for nothing here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from typing import Any


@contextmanager
def hidden(package: str) -> Iterator[None]:
    """Within the block, the package seems not to be installed, unless it is imported already."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]


@contextmanager
def not_imported(package: str) -> Iterator[None]:
    """Within the block, importing the package fails, unless it is imported already.

    Compiled code, such as Arrow's, takes a hidden package for one that is there.
    """
    refusal = _Refusal(package)
    sys.meta_path.insert(0, refusal)
    try:
        yield
    finally:
        sys.meta_path.remove(refusal)


class _Refusal:
    """Finds one package, and does not load it. The classes for this take 5 ms to import."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname != self._package:
            return None
        return ModuleSpec(fullname, self)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        raise ImportError(f"{spec.name} is not needed here", name=spec.name)

    def exec_module(self, module: object) -> None:
        """Nothing: there is no module."""
