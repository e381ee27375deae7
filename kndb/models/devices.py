"""What a model can run on, and in which numbers: the names. Imports no torch."""

from __future__ import annotations

import re

from kndb.errors import UsageError

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("float32", "bfloat16", "float16")


def check_names(device: str, dtype: str) -> None:
    """Refuse unknown names. One of several GPUs is ``cuda:1``.

    Raises:
        UsageError: an unknown device or dtype.
    """
    kind_of_device = re.sub(r"(?<=cuda):\d{1,3}$", "", device)
    for kind, name, known in (("device", kind_of_device, DEVICES), ("dtype", dtype, DTYPES)):
        if name not in known:
            raise UsageError(f"There is no {kind} {name!r}; choose from {', '.join(known)}.")
