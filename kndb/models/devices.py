"""What a model can run on, and in which numbers: the names. Imports no torch."""

from __future__ import annotations

from kndb.errors import UsageError

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("float32", "bfloat16", "float16")


def check_names(device: str, dtype: str) -> None:
    """Refuse unknown names.

    Raises:
        UsageError: an unknown device or dtype.
    """
    for kind, name, known in (("device", device, DEVICES), ("dtype", dtype, DTYPES)):
        if name not in known:
            raise UsageError(f"There is no {kind} {name!r}; choose from {', '.join(known)}.")
