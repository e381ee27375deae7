"""How commands print: tables for people, rows for programs, notes and progress on stderr."""

from kndb_cli.output.output import (
    Output,
    choose,
    emit,
    emit_newest,
    emit_summarised,
    file_format,
    named,
    opened,
)

__all__ = [
    "Output",
    "choose",
    "emit",
    "emit_newest",
    "emit_summarised",
    "file_format",
    "named",
    "opened",
]
