"""Tiny models on disk, as ``from_pretrained`` loads them; each is saved once for all tests."""

from __future__ import annotations

import atexit
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from tiny import hf_model, tokenizer_of

MODELS = {
    "tiny-bert": lambda: hf_model("bert"),
    "other-bert": lambda: hf_model("bert", seed=1),
    "tiny-gpt2": lambda: hf_model("gpt2"),
    "tiny-llama": lambda: hf_model("llama"),
}


def save(model: Any, folder: Path) -> Path:
    """Save a Transformers model with the tokenizer that goes with it."""
    model.save_pretrained(folder)
    tokenizer_of(model.config.model_type).save_pretrained(folder)
    return folder


@cache
def saved(name: str) -> Path:
    """A model of :data:`MODELS` in a folder of its name, which no test may change."""
    return save(MODELS[name](), Path(_folder().name, name))


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="kndb-models-")
    atexit.register(folder.cleanup)
    return folder
