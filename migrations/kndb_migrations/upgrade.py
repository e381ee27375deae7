"""Brings a database to the newest revision. Knows Alembic; knows nothing of files or locks."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def alembic_config() -> Config:
    """The Alembic configuration of this package, wherever it is installed."""
    config = Config()
    # A per cent sign in the path would read as an interpolation.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def script_directory() -> ScriptDirectory:
    """The migration scripts, as Alembic sees them."""
    return ScriptDirectory.from_config(alembic_config())


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Apply what is missing, inside the transaction of ``connection``.

    The steps and their record in ``alembic_version`` are committed together, by the caller.
    """
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
