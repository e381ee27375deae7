"""``kndb demo``: tours of kndb on embedded facts, with embedded models or a pretrained one."""

from kndb_cli.demo.command import app

__all__ = ["app"]
