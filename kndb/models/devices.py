"""What a model can run on, and in which numbers: the names. Imports no torch."""

from __future__ import annotations

import re
from importlib.util import find_spec

from kndb.errors import UsageError

SPREAD = "spread"
"""Over all GPUs, then the machine's memory: for a model that fits no single GPU."""

DEVICES = ("auto", "cpu", "cuda", "mps", SPREAD)
DTYPES = ("float32", "bfloat16", "float16")


def check_names(device: str, dtype: str) -> None:
    """Refuse unknown names. One of several GPUs is ``cuda:1``.

    Raises:
        UsageError: an unknown device or dtype, or a device that needs an extra.
    """
    kind_of_device = re.sub(r"(?<=cuda):\d{1,3}$", "", device)
    for kind, name, known in (("device", kind_of_device, DEVICES), ("dtype", dtype, DTYPES)):
        if name not in known:
            raise UsageError(f"There is no {kind} {name!r}; choose from {', '.join(known)}.")
    if device == SPREAD and find_spec("accelerate") is None:
        raise UsageError(
            "The device spread needs an extra; install it with `pip install 'kndb[spread]'`."
        )
