"""A name that a command takes one of must not be given twice: the first would be lost unseen.

Of other options the last value counts, as everywhere, so that aliases can have defaults.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from kndb.errors import UsageError

NAMES = frozenset({"--fact", "--lang", "--model", "--neuron", "--relation", "--run", "--search"})


class _Command(TyperCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _refuse_repeats(self, ctx, args)
        return super().parse_args(ctx, args)


class _Group(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _refuse_repeats(self, ctx, args)
        return super().parse_args(ctx, args)


def each_name_once(app: typer.Typer) -> typer.Typer:
    """The same application, whose commands refuse a second name where they take one.

    They raise a ``UsageError`` when they are parsed.
    """
    for command in app.registered_commands:
        command.cls = _Command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            if not isinstance(group.typer_instance.info.cls, type):  # it has none of its own
                group.cls = _Group
            each_name_once(group.typer_instance)
    return app


def _refuse_repeats(command: TyperCommand | TyperGroup, ctx: Any, args: list[str]) -> None:
    _, _, order = command.make_parser(ctx).parse_args(args=list(args))
    for param, times in Counter(order).items():
        if times == 1 or not isinstance(param, TyperOption) or param.multiple:
            continue
        if NAMES & {*param.opts}:
            raise UsageError(f"{param.opts[0]} was given {times} times, but takes one here.")
