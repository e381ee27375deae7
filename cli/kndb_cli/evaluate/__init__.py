"""``kndb evaluate``: how far the index can be trusted."""

from kndb_cli.evaluate.commands import app

__all__ = ["app"]
