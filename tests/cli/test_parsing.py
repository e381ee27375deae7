"""What is typed becomes what Typer itself would make of it, without the import that Typer needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.main import get_command

from kndb_cli.main import application, main
from kndb_cli.parsing import _Values

TEXTS = (
    *("", " ", "x", "en,zh", "P36:Q962", "a b", "-", "..", "/tmp/a.duckdb", "~/a"),
    *("0", "1", "7", "007", "+7", " 7", "7 ", "1_000", "-1", "1.0", "1e3", "٣", "9" * 18, "9" * 30),
    *("0.3", "00.30", "1.", ".5", "-0.5", "0,3", "0.3 ", "0." + "1" * 30),
    *("csv", "CSV", "json", "table", "facts", "pairs", "all", "true", "True", "nan", "inf"),
)


def parameters(command: Any, context: Any) -> Iterator[tuple[str, Any, Any]]:
    """Every parameter of every command, and the context in which it is read."""
    own = context if context is not None else typer.Context(command, info_name="kndb")
    for param in command.get_params(own):
        yield f"{own.command_path} {param.name}", param, own
    for name, each in getattr(command, "commands", {}).items():
        yield from parameters(each, typer.Context(each, parent=own, info_name=name))


def outcome(value: Any, param: Any, context: Any, convert: Any) -> tuple[str, Any]:
    try:
        found = convert.coerce(value, param=param, ctx=context)
    except typer.BadParameter as error:
        return "refused", str(error)
    return type(found).__name__, found if found == found else "nan"


def test_values_are_those_of_typer() -> None:
    seen = 0
    for name, param, context in parameters(get_command(application([])), None):
        convert = _Values(param, param.get_runtime_param.args[1])
        several = param.multiple or param.nargs == -1
        values = [None, param.default, *([text] if several else text for text in TEXTS)]
        for value in values:
            own = outcome(value, param, context, convert)
            assert own == outcome(value, param, context, convert.typers()), (name, value)
            seen += 1
    assert seen > 5000


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--top", "x"), "'x' is not a whole number"),
        (("--limit", "0"), "it must be at least 1, not 0"),
        (("--format", "xml"), "'xml' is not one of 'table'"),
        (("--tau", "much"), "'much' is not a number"),
    ],
)
def test_wrong_values_are_refused_in_a_sentence(
    capsys: pytest.CaptureFixture[str], args: tuple[str, ...], says: str
) -> None:
    assert main(["query", *args]) == 2
    assert says in capsys.readouterr().err
