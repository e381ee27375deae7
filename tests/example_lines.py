"""Lines with ``kndb`` as people would type them, against the program's real options."""

from __future__ import annotations

import re
import shlex
from typing import Any

UNLESS_SAID = "check"  # of `kndb factcheck`: the default, so the group's name is enough
_CONSOLE = re.compile(r"^ *```console\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def parse(program: Any, line: str) -> dict[str, Any]:
    """Parse what follows ``kndb`` in the line, as the program would, and run nothing.

    What a shell takes for itself (a comment, a file for standard input) is left out. The answer
    is the values of the command's parameters, by name.
    """
    words = shlex.split(line[line.index("kndb") + 5 :].partition(" <")[0], comments=True)
    command = program
    while below := getattr(command, "commands", {}):
        name = words.pop(0) if words and words[0] in below else UNLESS_SAID
        if name not in below:
            break
        command = below[name]
    if hasattr(command, "commands") and words:
        assert words[0].startswith("-"), f"No such command: {words[0]}"
    context = command.make_context(command.name, words)
    context.close()
    params: dict[str, Any] = context.params
    return params


def value(line: str, option: str) -> str | None:
    """The value that the line gives an option; None without the option."""
    words = shlex.split(line, comments=True)
    return words[words.index(option) + 1] if option in words else None


def console_blocks(text: str) -> list[str]:
    """The ``console`` blocks of a Markdown text."""
    return _CONSOLE.findall(text)


def typed_lines(text: str) -> list[str]:
    """Every line with ``kndb`` to type in its console blocks, without ``$ ``."""
    lines = "\n".join(console_blocks(text)).splitlines()
    return [line.strip()[2:] for line in lines if re.match(r" *\$ (\S*/)?kndb ", line)]
