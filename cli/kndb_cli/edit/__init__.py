"""``kndb edit``: change a fact through its neurons, and keep the ledger."""

from kndb_cli.edit.make import app

__all__ = ["app"]
