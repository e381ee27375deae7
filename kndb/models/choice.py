"""The choice of a model and how it is loaded: one value for every request that runs a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kndb.models.devices import check_names
from kndb.models.places import local_files, locate

if TYPE_CHECKING:
    from kndb.models.base import LanguageModel


@dataclass(frozen=True)
class ModelChoice:
    """A model's name, and how the model is loaded and run.

    Attributes:
        name: a hub identifier, a folder, a GGUF file, ``demo-masked`` or ``demo-causal``.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps`` or ``spread``.
        dtype: ``float32``, ``bfloat16`` or ``float16``.
        revision: branch, tag or commit on the hub.
        memory: bytes for activations; the device's default when None.
    """

    name: str
    device: str = "auto"
    dtype: str = "float32"
    revision: str | None = None
    memory: int | None = None

    @property
    def label(self) -> str:
        """The name, or the last part of a path."""
        return Path(self.name).name

    @property
    def files(self) -> Path:
        """The folder with the files, or the GGUF file; those on the hub are downloaded first.

        Raises:
            ModelError: it is neither, and cannot be downloaded from the hub.
        """
        return locate(self.name, self.revision)[0]

    @property
    def folder(self) -> Path | None:
        """The folder with the safetensors files; None for a GGUF file.

        Raises:
            ModelError: it is neither, and cannot be downloaded from the hub.
        """
        files = self.files
        return None if files.is_file() else files

    @property
    def is_local(self) -> bool:
        """Whether its files are on this machine, without the hub."""
        return local_files(self.name) is not None

    def check(self) -> None:
        """Refuse what is wrong without loading anything, as far as that can be seen.

        Raises:
            ModelError: a folder or file that is not there, or a misspelt demo model.
            UsageError: an unknown device or dtype.
        """
        check_names(self.device, self.dtype)
        local_files(self.name)

    def load(self) -> LanguageModel[Any]:
        """The model, ready to run.

        Raises:
            ModelError: it cannot be loaded.
            UsageError: an unknown device or dtype.
        """
        # Here, because importing torch and transformers takes seconds.
        from kndb.models.loading import load_model

        kept = _kept.get()
        if kept is not None and self in kept:
            return kept[self]
        model = load_model(self.name, device=self.device, dtype=self.dtype, revision=self.revision)
        if kept is not None:
            kept[self] = model
        return model


_kept: ContextVar[dict[ModelChoice, LanguageModel[Any]] | None] = ContextVar("kept", default=None)


@contextmanager
def loaded_once() -> Iterator[None]:
    """Within the block, a choice that is loaded again gives the model that it gave before."""
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)
