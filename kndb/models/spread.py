"""A model over several devices, as Accelerate places it: for one that fits no single GPU.

Layers that find no room on the GPUs are in the machine's memory, and those that find none there
stay in the model's own files. Their weights are ``meta`` tensors, which have no numbers, except
while their module runs. So the rest of kndb reads no weight of such a model directly: it is run
whole.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch


def device_map() -> Any:
    """Where the modules go, as Transformers takes it: wherever there is room, GPUs first."""
    return "auto"


def load_spread(model_class: Any, folder: Path, **options: Any) -> tuple[Any, Any]:
    """What ``from_pretrained`` returns for a model that is spread over the devices.

    Args:
        model_class: a Transformers class.
        folder: the model's.
        options: others of ``from_pretrained``.
    """
    offloaded = TemporaryDirectory(prefix="kndb-offloaded-")  # of weights that have to be rebuilt
    try:
        with _without_warnings():
            hf, report = model_class.from_pretrained(
                folder, device_map=device_map(), offload_folder=offloaded.name, **options
            )
    except BaseException:
        offloaded.cleanup()
        raise
    weakref.finalize(hf, offloaded.cleanup)
    return hf, report


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Within the block, Accelerate does not say that weights are offloaded: that is asked for."""
    logger = logging.getLogger("accelerate.big_modeling")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def is_spread(hf: Any) -> bool:
    """Whether a Transformers model is on several devices; one that fits on one is an ordinary one.

    Transformers sets the map only then.
    """
    return hasattr(hf, "hf_device_map")


def main_device(hf: Any) -> torch.device:
    """Where a model takes its input and gives its output."""
    hook = getattr(hf, "_hf_hook", None)  # Accelerate's, which moves both
    if hook is None:
        return next(iter(hf.parameters())).device  # type: ignore[no-any-return]
    return torch.device(hook.execution_device)
