"""Upgrades a database to the newest revision with Alembic. Opens no files and takes no locks."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def alembic_config() -> Config:
    """The Alembic configuration for this package, wherever it is installed."""
    config = Config()
    # A per cent sign in the path would be taken for an interpolation.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Apply the missing migrations inside the transaction of ``connection``.

    The caller commits the steps together with their record in ``alembic_version``.
    """
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
