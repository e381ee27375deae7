"""``kndb factcheck``: check claims against the index."""

from kndb_cli.factcheck.check import app

__all__ = ["app"]
