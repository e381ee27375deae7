"""Hooks that never outlive their block, even if the block raises or is interrupted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def capture_inputs(
    modules: Sequence[nn.Module], positions: Tensor, into: list[Tensor]
) -> Iterator[None]:
    """Append to ``into`` each module's first input at the given positions, in call order.

    Args:
        modules: each is called once within the block, with inputs of shape ``(n, tokens, width)``,
            or ``(n * tokens, width)`` (OPT).
        positions: ``(n,)``, a token position per sequence.
        into: receives one tensor ``(n, width)`` per module.
    """

    def take(module: nn.Module, args: tuple[Any, ...]) -> None:
        sequences = args[0].view(len(positions), -1, args[0].shape[-1])
        at = positions.to(sequences.device)  # a spread model's layers have other devices
        taken = sequences[torch.arange(len(at), device=at.device), at]
        into.append(taken.to(positions.device))

    with ExitStack() as stack:
        for module in modules:
            stack.callback(module.register_forward_pre_hook(take).remove)
        yield


@contextmanager
def capture_calls(
    modules: Sequence[nn.Module],
    n: int,
    into: list[tuple[Tensor, tuple[Any, ...], dict[str, Any]]],
) -> Iterator[None]:
    """Append to ``into`` each module's output and arguments after the first, in call order.

    Only the first ``n`` sequences of the output are kept.
    """

    def take(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        every: Tensor = out[0] if isinstance(out, tuple) else out
        into.append((every[:n].clone(), args[1:], kwargs))

    with ExitStack() as stack:
        for module in modules:
            stack.callback(module.register_forward_hook(take, with_kwargs=True).remove)
        yield
