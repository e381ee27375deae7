"""How commands print: tables for people, rows for programs, notes and progress on stderr."""

from kndb_cli.output.output import Output, choose, complete_file, emit

__all__ = ["Output", "choose", "complete_file", "emit"]
