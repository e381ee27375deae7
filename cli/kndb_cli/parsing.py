"""How commands are parsed and how their help looks, beyond what Typer does.

A name that a command takes one of must not be given twice: the first would be lost unseen. Of
other options the last value counts, as everywhere, so that aliases can have defaults. Flags such as
--help show no type. A mistyped command gets the nearest ones as a suggestion, and a subcommand its
group.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from kndb.errors import UsageError

NAMES = frozenset(
    {"--db", "--fact", "--lang", "--model", "--neuron", "--relation", "--run", "--search"}
)

_OTHER_WORDS = {
    "ls": ("facts", "runs"),
    "list": ("facts", "runs"),
    "search": ("query",),
    "find": ("query",),
    "check": ("factcheck",),
    "load": ("ingest", "import"),
}
"""What people may mean by a word that is no command."""

_CLOSE = 0.7
"""How alike a suggestion is: "help" and "shell" are not."""


class Command(TyperCommand):
    """A command of kndb."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse a second name, then parse."""
        _refuse_repeats(self, ctx, args)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> Any:
        """The options; flags without a type."""
        return _prepared(super().get_params(ctx), ctx)


class Group(TyperGroup):
    """A command of kndb with commands of its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse a second name, then parse."""
        _refuse_repeats(self, ctx, args)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> Any:
        """The options; flags without a type."""
        return _prepared(super().get_params(ctx), ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command named first in ``args``.

        Raises:
            UsageError: there is none; it suggests others.
        """
        if args[0].startswith("-") or self.get_command(ctx, args[0]) is not None:
            return super().resolve_command(ctx, args)
        matches = self.suggestions(args[0])
        hint = f"Did you mean {', '.join(map(repr, matches))}?" if matches else ""
        end = hint or f"'{ctx.command_path} --help' lists them."
        raise UsageError(f"No such command {args[0]!r}. {end}")

    def suggestions(self, typo: str) -> list[str]:
        """Commands that may have been meant, the likeliest first."""
        inside = [
            f"{name} {typo}"
            for name, command in self.commands.items()
            if typo in getattr(command, "commands", {})
        ]
        other = [name for name in _OTHER_WORDS.get(typo, ()) if name in self.commands]
        return [*other, *inside] or get_close_matches(typo, self.commands, cutoff=_CLOSE)


def with_classes(app: typer.Typer) -> typer.Typer:
    """The same application, made of these commands and groups."""
    for command in app.registered_commands:
        command.cls = Command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            if not isinstance(group.typer_instance.info.cls, type):  # it has none of its own
                group.cls = Group
            with_classes(group.typer_instance)
    return app


def _refuse_repeats(command: TyperCommand | TyperGroup, ctx: Any, args: list[str]) -> None:
    _, _, order = command.make_parser(ctx).parse_args(args=list(args))
    for param, times in Counter(order).items():
        if times == 1 or not isinstance(param, TyperOption) or param.multiple:
            continue
        if NAMES & {*param.opts}:
            raise UsageError(f"{param.opts[0]} was given {times} times, but takes one here.")


def _prepared(params: list[Any], ctx: Any) -> list[Any]:
    for param in params:
        if isinstance(param, TyperOption) and param.is_flag and param.metavar is None:
            param.metavar = ""
        if ctx.resilient_parsing:
            # A name is being completed: values stay as they were typed. To convert them Typer
            # imports pydantic, which takes 0.1 s, and callbacks may read the database.
            param.process_value = _as_typed
        else:
            param.get_runtime_param = partial(_Values, param, param.get_runtime_param)
    return params


@dataclass(frozen=True)
class _Values:
    """Turns what was typed for a parameter into its values; stands in for Typer's class.

    Typer imports pydantic for this, which takes half as long as DuckDB, even for an option that
    was not given. Here it is asked only about values that may be wrong, or need more than a look.

    Attributes:
        param: the parameter.
        typers: Typer's own class for it.
    """

    param: Any
    typers: Callable[[], Any]

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value of the parameter's type; errors are Typer's."""
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        if several and isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
            if param.type_descriptor.annotation == list[str]:
                return list(value)
        elif value is param.default and type(value) is param.type_descriptor.annotation:
            return value
        elif isinstance(value, str) and (quick := self._quickly(value)) is not None:
            return quick
        return self.typers().coerce(value, param=param, ctx=ctx)

    def _quickly(self, text: str) -> Any:
        """The value of a text that cannot be wrong; None for others."""
        kind = self.param.type_descriptor
        if kind.annotation is str or (kind.choices and text in kind.choices):
            return text
        info = kind.parameter_info
        if kind.annotation is Path and not (info.exists or info.resolve_path):
            return Path(text)
        if kind.annotation is int and info.max is None and _NATURAL.fullmatch(text):
            return int(text) if int(text) >= (info.min or 0) else None
        if kind.annotation is float and info.min is info.max is None and _DECIMAL.fullmatch(text):
            return float(text)
        return None


_NATURAL = re.compile(r"[1-9][0-9]{0,17}|0")
_DECIMAL = re.compile(r"[0-9]{1,17}(\.[0-9]{1,17})?")


def _as_typed(ctx: Any, value: Any) -> Any:
    return value
