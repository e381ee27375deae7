"""Loading a model from a GGUF file, through Transformers, with its weights unpacked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoTokenizer

from kndb.errors import ModelError, one_line
from kndb.models.architectures import Structure
from kndb.models.checkpoint import check_loaded, class_of, structure

_NEEDED = ("gguf", "accelerate")  # by Transformers, to read such a file


def load_gguf(path: Path, name: str, dtype: torch.dtype) -> tuple[Any, Any, Structure]:
    """A model, its tokenizer, and where its modules are.

    Raises:
        ModelError: the extra ``gguf`` is not installed, or the file is cut short, has an
            architecture, a quantisation or a tokenizer that Transformers cannot read, or lacks
            weights.
    """
    if any(find_spec(package) is None for package in _NEEDED):
        raise ModelError(
            f"Reading the GGUF file {name} needs an extra; install it with "
            "`pip install 'kndb[gguf]'`."
        )
    source = {"pretrained_model_name_or_path": path.parent, "gguf_file": path.name}
    with _quiet():
        with _translated(name):
            config = AutoConfig.from_pretrained(**source)
        names = structure(config.to_dict(), name)
        try:
            tokenizer = AutoTokenizer.from_pretrained(**source)
        except Exception as error:  # any exception: it depends on the file's contents
            raise ModelError(
                f"Transformers cannot rebuild the tokenizer in the GGUF file {name}: "
                f"{_text(error)}; give a folder with the model and its tokenizer."
            ) from error
        with _translated(name):
            hf, report = class_of(names).from_pretrained(
                **source,
                **_unpacked(),
                config=config,
                dtype=dtype,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # check_loaded reports them instead
            )
    check_loaded(report, hf, name)
    return hf, tokenizer, names


def _unpacked() -> dict[str, Any]:
    """The option that unpacks the weights; older versions of Transformers always do."""
    config = getattr(transformers, "GgufConfig", None)
    return {"quantization_config": config(dequantize=True)} if config else {}


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """Say what is wrong with the file in one sentence."""
    try:
        yield
    except Exception as error:  # any exception: it depends on the file's contents
        text = _text(error)
        if isinstance(error, NotImplementedError) or "ggml" in text.lower():
            message = (
                f"The GGUF file {name} has a quantisation that cannot be unpacked: {text}; give "
                "the model in another one, such as Q8_0."
            )
        elif "architecture" in text:
            message = (
                f"Transformers {transformers.__version__} cannot read the GGUF file {name}: "
                f"{text}; give a folder with the model instead."
            )
        else:
            message = (
                f"The GGUF file {name} cannot be read, perhaps because it was cut short; copy it "
                f"again: {text}"
            )
        raise ModelError(message) from error


def _text(error: Exception) -> str:
    return one_line(error).rstrip(".")


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars: Transformers' switch for them misses that of GGUF files."""
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        yield
