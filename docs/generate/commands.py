"""A page for each command, from the help that the command itself prints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from generate.markdown import prose
from kndb_cli.main import application

HELP = {"help", "install_completion", "show_completion"}  # the same everywhere
UNLESS_SAID = "check"  # of `kndb factcheck`: its name need not be typed
MARKUP = re.compile(r"\[/?(?:bold|dim|italic)\]")

INDEX = """\
# Commands

{summary}

These pages are made from the program: they hold what `kndb COMMAND --help` prints.

## What all commands have in common

- `--db PATH`, or the environment variable `KNDB_DB`, names the database file.
- Commands that answer with rows take `--format table|json|jsonl|csv|parquet`, `--json` for short,
  and `-o FILE`. A terminal gets a table, a pipe gets CSV; see [](../formats.md).
- Data go to standard output; progress, notes and errors go to standard error. `--quiet` silences
  progress and notes, and `NO_COLOR` is honoured.
- `--help`, or `-h`, explains a command; `--debug` shows the traceback of an error.
- Ctrl-C loses nothing: finished work is stored; run the same command again to continue.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | the command failed |
| 2 | wrong usage |
| 3 | the database cannot be opened |
| 4 | nothing was found |
| 130 | interrupted |

```{{toctree}}
:hidden:

{entries}
```
"""


def command_pages() -> dict[str, str]:
    """The pages by name: one for each command of ``kndb``, and ``index``."""
    program: Any = get_command(application([]))
    pages = {name: page(command, f"kndb {name}") for name, command in program.commands.items()}
    summary = "\n".join(
        f"- [`kndb {name}`]({name}.md): {prose(first_sentence(command.help))}"
        for name, command in program.commands.items()
    )
    return {**pages, "index": INDEX.format(summary=summary, entries="\n".join(pages))}


def first_sentence(text: str) -> str:
    """The first paragraph of a help text."""
    return text.strip().partition("\n\n")[0]


def page(command: Any, path: str) -> str:
    """The page of a command, with a section for each command below it."""
    return "\n\n".join(sections(command, path, "#")) + "\n"


def sections(command: Any, path: str, heading: str) -> Iterator[str]:
    """A command's heading, usage, help and options, then the same of those below it."""
    below = dict(getattr(command, "commands", {}))
    command = below.pop(UNLESS_SAID, command)
    yield f"{heading} {path}"
    yield from described(command.help or "", usage(command, path))
    yield f":::{{program}} {path}\n:::"
    yield from options(command)
    for name, each in below.items():
        yield from sections(each, f"{path} {name}", heading + "#")


def usage(command: Any, path: str) -> str:
    """How the command is typed, as its help prints it."""
    with command.make_context(path, [], resilient_parsing=True) as context:
        return " ".join([path, *command.collect_usage_pieces(context)])


def described(text: str, used: str) -> Iterator[str]:
    """The paragraphs of a help text, usage after the first, examples as a block."""
    first, *others = MARKUP.sub("", text.strip()).split("\n\n")
    yield prose(first)
    yield f"```text\n{used}\n```"
    for paragraph in others:
        yield examples(paragraph) if paragraph.startswith("kndb ") else prose(paragraph)


def examples(paragraph: str) -> str:
    """Lines that begin with ``kndb`` as people type them."""
    lines = "\n".join(f"$ {line.strip()}" for line in paragraph.splitlines())
    return f"```console\n{lines}\n```"


def options(command: Any) -> Iterator[str]:
    """The command's arguments and options, under the headings that its help has."""
    panels: dict[str, list[str]] = {}
    for param in sorted(command.params, key=lambda param: param.param_type_name != "argument"):
        if param.hidden or param.name in HELP:
            continue
        panel = getattr(param, "rich_help_panel", None) or f"{param.param_type_name.title()}s"
        panels.setdefault(panel, []).append(option(param))
    for panel, described_options in panels.items():
        yield f"**{panel}**"
        yield from described_options


def option(param: Any) -> str:
    """One argument or option: its names, its value, what it does and what it is by default."""
    if param.param_type_name == "argument":
        names = param.metavar or param.name.upper()
    else:
        value = param.metavar if param.metavar is not None else type_name(param)
        names = ", ".join(f"{name} {value}".strip() for name in param.opts)
    return f":::{{option}} {names}\n{prose(param.help or '')}{remarks(param)}\n:::"


def type_name(param: Any) -> str:
    """A placeholder for the option's value; nothing for a flag."""
    return "" if param.is_flag else param.name.upper()


def remarks(param: Any) -> str:
    """Whether it must be given, its default, and the environment variable that gives it."""
    told = []
    if param.required:
        told.append("Required.")
    elif param.default is not None and not getattr(param, "is_flag", False):
        told.append(f"Default: `{param.default}`.")
    if param.envvar:
        told.append(f"Environment variable: `{param.envvar}`.")
    return "".join(f" {remark}" for remark in told)
