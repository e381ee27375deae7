"""HEAD, the schema and the migrations agree, and a migration applies whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
import sqlalchemy
from alembic.script import ScriptDirectory

import kndb_migrations
from kndb.errors import DatabaseError, DatabaseVersion
from kndb.store import database, views
from kndb.store.database import connect, connect_as_it_is, revision
from kndb.store.describe import describe_schema
from kndb.store.migrate import migrate
from kndb.store.schema import metadata
from kndb_migrations.upgrade import alembic_config
from small_store import finished_run

Described = dict[tuple[str, str], tuple[object, ...]]

COLUMNS = """
    SELECT table_name, column_name, column_index, data_type, is_nullable, comment
    FROM duckdb_columns() WHERE NOT internal AND table_name <> 'alembic_version'
"""
RELATIONS = """
    SELECT table_name, '', comment, NULL FROM duckdb_tables() WHERE table_name <> 'alembic_version'
    UNION ALL SELECT view_name, '', comment, sql FROM duckdb_views() WHERE NOT internal
"""


def described(connection: duckdb.DuckDBPyConnection) -> Described:
    rows = connection.execute(COLUMNS).fetchall() + connection.execute(RELATIONS).fetchall()
    return {(row[0], row[1]): row[2:] for row in rows}


@pytest.fixture
def migrated() -> Described:
    with duckdb.connect() as connection:
        migrate(connection)
        return described(connection)


def test_head_and_revisions_are_those_of_the_scripts() -> None:
    directory = ScriptDirectory.from_config(alembic_config())
    scripts = list(directory.walk_revisions())
    assert tuple(script.revision for script in reversed(scripts)) == kndb_migrations.REVISIONS
    assert directory.get_heads() == [kndb_migrations.HEAD]


def test_migrations_lead_to_the_schema(tmp_path: Path, migrated: Described) -> None:
    path = tmp_path / "schema.duckdb"
    engine = sqlalchemy.create_engine(f"duckdb:///{path}")
    with engine.begin() as connection:
        metadata.create_all(connection)
        for view in views.VIEWS:
            for statement in views.statements(view):
                connection.exec_driver_sql(statement)
    engine.dispose()
    with duckdb.connect(str(path)) as plain:
        assert described(plain) == migrated


def test_every_table_view_and_column_is_documented(migrated: Described) -> None:
    for name, row in migrated.items():
        comment = row[0] if name[1] == "" else row[-1]
        assert isinstance(comment, str), name
        assert comment.endswith("."), name


def test_an_upgrade_brings_comments_up_to_date() -> None:
    with duckdb.connect() as connection:
        migrate(connection)
        before = described(connection)
        connection.execute("COMMENT ON COLUMN model.architecture IS 'Old.'")
        connection.execute("COMMENT ON TABLE run IS NULL")
        migrate(connection)
        assert described(connection) == before


def test_the_contract_of_tables_and_columns_is_kept(migrated: Described) -> None:
    contract = {
        "model": "model_id name revision architecture family n_layers n_neurons weights_sha256",
        "dataset": "dataset_id name format sha256",
        "relation": "relation_id label",
        "fact": "fact_id dataset_id relation_id subject_id object_id fact_key",
        "prompt": "prompt_id fact_id lang template text answer subject",
        "run": "run_id model_id dataset_id preset settings status started_at finished_at "
        "kndb_version",
        "prediction": "run_id prompt_id status reason p_answer rank predicted n_answer_tokens "
        "completeness score_error",
        "attribution": "run_id prompt_id layer neuron score",
        "knowledge_neuron": "run_id fact_id lang layer neuron score support",
    }
    expected = {(table, column) for table, names in contract.items() for column in names.split()}
    assert expected <= migrated.keys()


def test_the_description_is_what_a_database_says_of_itself(migrated: Described) -> None:
    rows = describe_schema()
    temporary = {("score", column) for column in ("", *views.SCORE.columns)}
    assert {(row.name, row.column) for row in rows} == migrated.keys() | temporary
    assert rows[0] == ("model", "table", "", "", "A language model, known by its weights.")
    kinds = {row.column: row.type for row in rows if row.name == "knowledge_neurons"}
    assert (kinds["layer"], kinds["n_langs"], kinds["lang"]) == ("SMALLINT", "BIGINT", "VARCHAR")


def test_big_tables_have_neither_keys_nor_indexes(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    with connect(path) as connection:
        assert connection.execute("SELECT * FROM duckdb_indexes()").fetchall() == []
        keys = "SELECT table_name FROM duckdb_constraints() WHERE constraint_type <> 'NOT NULL'"
        assert set(connection.execute(keys).fetchall()) <= {("alembic_version",)}


def test_a_failing_migration_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = views.View("broken", "Fails.", {"a": "A."}, "SELECT no_such_column FROM run")
    monkeypatch.setattr("kndb.store.migrate.VIEWS", (*views.VIEWS, broken))
    with duckdb.connect() as connection:
        with pytest.raises(sqlalchemy.exc.DBAPIError, match="no_such_column"):
            migrate(connection)
        assert connection.execute("SELECT * FROM duckdb_tables()").fetchall() == []


NEXT = """
from alembic import op
from sqlalchemy import Column, Text

revision = "next"
down_revision = "{head}"


def upgrade() -> None:
    op.add_column("run", Column("note", Text, comment="Anything."))
    op.execute("{statement}")
"""


@pytest.fixture
def next_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Adds one more revision to this kndb, which ends with the given statement."""
    folder = tmp_path / "migrations"
    shutil.copytree(Path(kndb_migrations.__file__).parent, folder)

    def add(statement: str) -> None:
        script = NEXT.format(head=kndb_migrations.HEAD, statement=statement)
        (folder / "versions" / "v9999_next.py").write_text(script)
        monkeypatch.setattr("kndb_migrations.upgrade.__file__", str(folder / "upgrade.py"))
        monkeypatch.setattr(database, "REVISIONS", (*kndb_migrations.REVISIONS, "next"))
        monkeypatch.setattr(database, "HEAD", "next")

    return add


@pytest.mark.parametrize("write", [False, True])
def test_an_older_database_is_upgraded_on_open(
    tmp_path: Path, next_revision: Callable[[str], None], write: bool
) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    next_revision("UPDATE run SET note = 'upgraded'")
    with connect(path, write=write) as connection:
        assert connection.execute("SELECT note, status FROM run").fetchall() == [
            ("upgraded", "finished")
        ]
        assert connection.execute("SELECT count(*) FROM knowledge_neurons").fetchone() == (8,)


def test_a_failing_upgrade_leaves_the_database_as_it_was(
    tmp_path: Path, next_revision: Callable[[str], None]
) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    next_revision("SELECT no_such_column FROM run")
    with pytest.raises(DatabaseError, match="could not be brought to revision next"):
        connect(path)
    with connect_as_it_is(path) as connection:
        assert revision(connection, path) == kndb_migrations.HEAD
        columns = [row[0] for row in connection.execute("DESCRIBE run").fetchall()]
        assert "note" not in columns
        assert connection.execute("SELECT count(*) FROM knowledge_neurons").fetchone() == (8,)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_an_older_database_that_cannot_be_written_to_is_explained(
    tmp_path: Path, next_revision: Callable[[str], None]
) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    next_revision("SELECT 1")
    path.chmod(0o444)
    with pytest.raises(DatabaseVersion, match="older kndb"):
        connect(path)
