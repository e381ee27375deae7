"""The README against the program."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from example_lines import UNLESS_SAID, parse
from kndb_cli.main import application

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def program():
    return get_command(application([]))


def commands(command, path):
    """The paths of all commands below one, such as ``graph plot neuron-map``."""
    below = getattr(command, "commands", {})
    if not below:
        yield path
    for name, each in below.items():
        yield from commands(each, path if name == UNLESS_SAID else (*path, name))


def test_every_command_is_in_the_table_of_commands(program):
    """A row has ``kndb graph plot``, or just ``plot`` after the name of its group."""
    rows = [line for line in README.splitlines() if line.startswith("| `kndb ")]
    named = [set(re.findall(r"[a-z-]+", " ".join(re.findall("`([^`]+)`", row)))) for row in rows]
    every = list(commands(program, ()))
    assert len(every) > 20
    assert [path for path in every if not any(set(path[:2]) <= words for words in named)] == []


@pytest.mark.parametrize("line", re.findall(r"^(?:\$ )?(?:\S*/)?kndb .+$", README, re.MULTILINE))
def test_what_is_shown_has_options_that_exist(line, program):
    parse(program, line)
