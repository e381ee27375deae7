"""Models that can be named without a download: those that come with kndb, and the hub's cache.

Reads folders only, so it is quick and needs neither network nor torch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kndb.models.places import EMBEDDED_MODELS, embedded_folder


class AvailableModel(NamedTuple):
    """A model on this machine: its name, where it is, and its model type if that is known."""

    name: str
    where: str
    architecture: str | None


def available_models() -> list[AvailableModel]:
    """The demo models, then those in the cache of the Hugging Face hub, by name."""
    return [*_embedded(), *_cached()]


def hub_cache() -> Path:
    """The cache of the Hugging Face hub, as its client finds it."""
    if cache := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(cache)
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("HF_HOME") or Path(home) / "huggingface") / "hub"


def _embedded() -> Iterator[AvailableModel]:
    for name in EMBEDDED_MODELS:
        yield AvailableModel(name, "built in", _architecture(embedded_folder(name)))


def _cached() -> Iterator[AvailableModel]:
    """Repositories with a configuration, ``models--ORG--NAME/snapshots/COMMIT/config.json``."""
    for folder in sorted(hub_cache().glob("models--*")):
        snapshots = sorted(folder.glob("snapshots/*/config.json"))
        if snapshots:
            name = folder.name.removeprefix("models--").replace("--", "/")
            yield AvailableModel(name, "cache", _architecture(snapshots[-1].parent))


def _architecture(folder: Path) -> str | None:
    """The model type of its configuration; None if that cannot be read."""
    try:
        with (folder / "config.json").open(encoding="utf-8") as file:
            found = json.load(file)["model_type"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if isinstance(found, str) else None
