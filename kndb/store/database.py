"""Opens kndb databases: checks the file, its version and its lock. Reads and writes no rows.

Either one process writes or several read: DuckDB locks the file. If it is locked, opening is tried
again for a limited time and then fails with the name of the process that holds it. Readers get a
sandbox: the engine itself refuses writes, other files, extensions and changed settings. The only
other files that it reads are the parts of scores beside the database (``kndb.store.score_folder``).
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from kndb.errors import (
    DatabaseCorrupt,
    DatabaseError,
    DatabaseMissing,
    DatabaseVersion,
    KndbError,
    UsageError,
    first_line,
    with_hint,
)
from kndb.files import is_database
from kndb.plain import is_text
from kndb.store.locks import kept_open, when_free
from kndb.store.score_folder import damaged_sentence, part_files
from kndb.store.score_view import add_score_view
from kndb.store.views import quoted
from kndb_migrations import HEAD, REVISIONS

READER_MEMORY = "2GB"
READER_THREADS = 4
"""At most; see ``_threads``."""

BYTES_OF_THREAD = 16 * 2**20
"""A smaller file has little to share out: there, threads take more than they give."""

WRITER_MEMORY = "2GB"
"""Beside a model, whatever the machine has; what needs more goes to a folder beside the file."""

_WRITER: dict[str, str] = {"python_enable_replacements": "false", "memory_limit": WRITER_MEMORY}
_READER: dict[str, str] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "memory_limit": READER_MEMORY,
    "threads": "1",  # until it is known how many pay
    "temp_directory": "",  # a reader leaves nothing on disk
}

_CONFINING = threading.Lock()
"""Connections of a process to one file share their settings, and files are named before access
ends."""

INTERRUPTED = "Query interrupted"
"""Message of the RuntimeError that DuckDB raises on Ctrl-C during a query."""

_DAMAGE = ("not a valid DuckDB", "Corrupt", "checksum", "read enough bytes", "deserializ")
_TABLES = "SELECT table_name FROM duckdb_tables()"
_FIRST_TABLES = frozenset(
    (
        *("model", "dataset", "relation", "fact", "prompt", "run"),
        *("prediction", "attribution", "knowledge_neuron"),
    )
)
"""Tables that every revision has."""

_BLOCKS = """
    SELECT block_size, used_blocks, (SELECT coalesce(max(block_id), -1) FROM pragma_metadata_info())
    FROM pragma_database_size()
"""
_HEADERS = 3 * 4096
"""Bytes of a DuckDB file before its blocks: the main header and two that take turns."""


def connect(
    path: str | Path,
    *,
    write: bool = False,
    create: bool = False,
    wait: float = 10.0,
    memory: int | None = None,
    hold: bool = False,
) -> duckdb.DuckDBPyConnection:
    """Open a database at the newest revision; an older one is upgraded first.

    Args:
        path: the database file.
        write: open for writing. Without it, the connection is a read-only sandbox.
        create: with ``write``, create the database if it does not exist.
        wait: seconds to keep trying while another process holds the file.
        memory: bytes that a reader's queries may use.
        hold: open the files that the view ``score`` reads now, as this process can open none later.

    Raises:
        DatabaseMissing: there is no such file.
        DatabaseCorrupt: it is not a kndb database, or is damaged. It is not changed.
        DatabaseVersion: a newer kndb made it, or it needs an upgrade but is not writable.
        DatabaseLocked: another process holds it.
        DatabaseError: it cannot be opened for another reason.
    """
    path = Path(path)
    _check_file(path, create=write and create)
    if write:
        return _connect_writer(path, create, wait)
    connection = _open(path, write=False, wait=wait, memory=memory, hold=hold)
    try:
        found = _current(connection, path)
    except DatabaseError:
        connection.close()  # while it is open, this process sees the file as it is now
        raise
    if found != HEAD:
        connection.close()
        upgrade(path, wait=wait)
        connection = _open(path, write=False, wait=wait, memory=memory, hold=hold)
    return _with_scores(connection, path)


def _with_scores(connection: duckdb.DuckDBPyConnection, path: Path) -> duckdb.DuckDBPyConnection:
    """The connection, with the view ``score``."""
    try:
        add_score_view(connection, path)
    except duckdb.Error as error:
        connection.close()
        raise database_error(path, error) from error
    return connection


@contextmanager
def transaction(
    path: str | Path,
    *,
    create: bool = False,
    wait: float = 10.0,
    then: Callable[[], object] = lambda: None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the file for writing, run the block as one transaction, and close the file.

    Args:
        path: the database file.
        create: create it if it does not exist.
        wait: seconds to keep trying while another process holds the file.
        then: called once all is committed, before another process can open the file.

    Raises:
        DatabaseError: as ``connect``, and if writing fails.
        KndbError: the disk is full.
        KeyboardInterrupt: Ctrl-C was pressed during a query.
    """
    with connect(path, write=True, create=create, wait=wait) as connection:
        connection.begin()
        try:
            yield connection
            connection.commit()
        except (
            duckdb.IOException,
            duckdb.OutOfMemoryException,
            duckdb.TransactionException,
        ) as error:
            raise database_error(path, error) from error
        except RuntimeError as error:
            if str(error) != INTERRUPTED:
                raise
            raise KeyboardInterrupt from error
        then()
        # Closing the connection rolls back anything uncommitted.


def check_creatable(path: str | Path, *, wait: float = 10.0) -> None:
    """Refuse a path at which no database can be made or continued. Writes nothing.

    Raises:
        DatabaseError: as ``connect`` for writing.
    """
    path = Path(path)
    _check_file(path, create=True)
    check_writable(path)
    has_tables(path, wait=wait)


def check_writable(path: str | Path) -> None:
    """Refuse a database that cannot be written, before long work for it. Writes nothing.

    Raises:
        DatabaseError: it, or its folder, where DuckDB makes a file, cannot be written.
    """
    path = Path(path)
    if not all(os.access(place, os.W_OK) for place in (path.parent, path) if place.exists()):
        raise DatabaseError(
            f"{path} cannot be written; give another path with --db, or copy it to where you may "
            "write."
        )


def has_tables(path: str | Path, *, wait: float = 10.0) -> bool:
    """Whether there is a database that is not empty, as one is that a crash has left.

    Raises:
        DatabaseError: as ``connect``.
    """
    path = Path(path)
    if not path.exists():
        return False
    with connect_as_it_is(path, wait=wait) as connection:
        return _current(connection, path, may_be_empty=True) is not None


def connect_as_it_is(path: str | Path, *, wait: float = 10.0) -> duckdb.DuckDBPyConnection:
    """Open for reading at any revision, without upgrading.

    Raises:
        DatabaseError: as ``connect``, except for the version.
    """
    _check_file(Path(path), create=False)
    return _open(Path(path), write=False, wait=wait)


def upgrade(path: str | Path, *, wait: float = 10.0) -> None:
    """Upgrade an older database to the newest revision; leave a current one alone.

    Raises:
        DatabaseError: as ``connect``.
    """
    path = Path(path)
    with connect_as_it_is(path, wait=wait) as connection:
        if _current(connection, path) == HEAD:
            return
    try:
        connect(path, write=True, wait=wait).close()
    except DatabaseError as error:
        if os.access(path, os.W_OK):
            raise
        raise DatabaseVersion(
            f"{path} was made by an older kndb and must be upgraded, but cannot be written to; "
            f"copy it to where you may write."
        ) from error


def revision(connection: duckdb.DuckDBPyConnection, path: Path) -> str | None:
    """The revision of an open database; None if it is empty.

    Raises:
        DatabaseCorrupt: it is a database, but not one of kndb's, or it lacks tables.
    """
    tables = {name for (name,) in connection.execute(_TABLES).fetchall()}
    if not tables:
        return None
    if "alembic_version" not in tables:
        raise DatabaseCorrupt(f"{path} is a DuckDB database, but not a kndb database.")
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if missing := sorted(_FIRST_TABLES - tables):
        raise DatabaseCorrupt(
            f"{path} is not a kndb database, or is damaged: it lacks the table {missing[0]}."
        )
    return None if row is None else str(row[0])


def database_error(path: str | Path, error: Exception) -> KndbError:
    """An error of DuckDB about the file, as one of kndb's errors."""
    text = first_line(error)
    if sentence := damaged_sentence(error):
        return DatabaseCorrupt(sentence)
    if reason := unwritten(error):
        return KndbError(
            f"{path} cannot be written: {reason}; what was stored before is safe, so make room and "
            "run the same command again."
        )
    if found := re.search(r'Cannot open file ".*": (.+)', text):
        return DatabaseError(
            f"{path} cannot be opened: {found[1]}; give another path with --db, or copy it to "
            "where you may write."
        )
    if "newer version of DuckDB" in text or "Trying to read a database file" in text:
        return DatabaseVersion(f"{path} was written by another DuckDB version: {text}")
    if any(mark in text for mark in _DAMAGE):
        return DatabaseCorrupt(f"{path} is not a kndb database, or is damaged: {text}")
    return DatabaseError(f"{path} cannot be used: {text}")


def unanswered(error: duckdb.Error) -> KndbError:
    """Why DuckDB gave no answer to somebody's query: most often, the query is wrong."""
    if sentence := damaged_sentence(error):
        return DatabaseCorrupt(sentence)
    if any(mark in str(error) for mark in _DAMAGE) and isinstance(error, duckdb.IOException):
        return DatabaseCorrupt(f"The database is damaged: {first_line(error)}")
    return UsageError(f"The SQL was refused: {with_hint(error)}")


def unwritten(error: BaseException) -> str | None:
    """Why the system did not write a file, most often a full disk; None for any other error.

    >>> unwritten(duckdb.IOException('Could not write file "k.duckdb": No space left on device'))
    'No space left on device'
    """
    found = re.search(r'Could not write file ".*": ([^:;\n]+)', str(error))
    return found[1].strip() if found else None


def as_path(path: Path) -> str:
    """The path as DuckDB takes it for nothing else.

    ``~x`` would begin with the home folder, ``s3:x`` name an extension, and ``:memory:`` no file.

    >>> as_path(Path("~x"))
    './~x'
    """
    return os.path.join(os.curdir, path)


def check_name(path: Path) -> None:
    """Refuse a path that DuckDB does not take.

    Raises:
        DatabaseError: it is not UTF-8 text.
    """
    if not is_text(str(path)):
        raise DatabaseError(
            f"{path} cannot be used: the path holds bytes that are not UTF-8 text; rename the file "
            "or folder."
        )


def _check_file(path: Path, *, create: bool) -> None:
    check_name(path)
    if path.is_dir():
        raise DatabaseError(f"{path} is a folder; give the path of a database file.")
    if create and not path.parent.is_dir():
        raise DatabaseError(f"{path} cannot be made: there is no folder {path.parent}.")
    if not create and not path.exists():
        raise DatabaseMissing(
            f"There is no database at {path}; `kndb ingest` or `kndb demo` makes one."
        )
    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise DatabaseError(f"{path} is a pipe or a device; give the path of a database file.")
    if path.exists() and not kept_open(path) and not _may_be_database(path):
        raise DatabaseCorrupt(f"{path} is not a kndb database; give the path of one.")


def _may_be_database(path: Path) -> bool:
    """Whether the file is empty or begins as DuckDB's do; others it may take for data to read."""
    try:
        return path.stat().st_size == 0 or is_database(path)
    except OSError:
        return True  # DuckDB says why it cannot be opened


def _connect_writer(path: Path, create: bool, wait: float) -> duckdb.DuckDBPyConnection:
    connection = _open(path, write=True, wait=wait)
    try:
        if _current(connection, path, may_be_empty=create) != HEAD:
            _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    # Saves importing SQLAlchemy and Alembic (0.5 s) where nothing is to be migrated.
    from sqlalchemy.exc import SQLAlchemyError

    from kndb.store.migrate import migrate

    try:
        migrate(connection)
    except (SQLAlchemyError, duckdb.Error) as error:
        if unwritten(error):
            raise database_error(path, error) from error
        raise DatabaseError(
            f"{path} could not be brought to revision {HEAD}: {first_line(error)}"
        ) from error


def _current(
    connection: duckdb.DuckDBPyConnection, path: Path, *, may_be_empty: bool = False
) -> str | None:
    """The revision, after checking that this kndb can read or upgrade it."""
    try:
        found = revision(connection, path)
    except duckdb.Error as error:
        raise database_error(path, error) from error
    if found is None and not may_be_empty:
        raise DatabaseCorrupt(f"{path} is an empty database; `kndb ingest` fills it.")
    if found is not None and found not in REVISIONS:
        raise DatabaseVersion(
            f"{path} has revision {found}, made by a newer kndb than this one, "
            f"which knows up to {HEAD}; upgrade kndb."
        )
    return found


def _open(
    path: Path, *, write: bool, wait: float, memory: int | None = None, hold: bool = False
) -> duckdb.DuckDBPyConnection:
    """Open the file, retrying while it is locked."""
    config: dict[str, Any] = dict(_WRITER if write else _READER)
    if memory is not None:
        config["memory_limit"] = f"{memory}B"

    def attempt() -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(as_path(path), read_only=not write, config=config)
        if not write:
            _confine(connection, path, hold)
        return _whole(connection, path)

    try:
        return when_free(path, attempt, wait, write=write)
    except duckdb.Error as error:
        raise database_error(path, error) from error


def _confine(connection: duckdb.DuckDBPyConnection, path: Path, hold: bool) -> None:
    """End all access to files but to the parts of scores, before anything in the file is read."""
    with _CONFINING:
        ((locked,),) = connection.execute(_LOCKED).fetchall()
        if locked:  # by another connection of this process
            return
        if files := part_files(path):
            _allow(connection, path, files, hold)
        if (threads := _threads(path, bool(files))) > 1:
            connection.execute(f"SET threads = {threads}")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")  # from here on nothing can be changed


def _threads(path: Path, has_parts: bool) -> int:
    """How many threads read the file, or also the parts of scores beside it."""
    pay = READER_THREADS if has_parts else 1 + path.stat().st_size // BYTES_OF_THREAD
    return min(READER_THREADS, os.cpu_count() or 1, pay)


def _allow(
    connection: duckdb.DuckDBPyConnection, path: Path, files: Mapping[str, Path], hold: bool
) -> None:
    """Let the parts of scores be read by their names."""
    # Saves importing fsspec (0.05 s) where there are none.
    from kndb.store.score_files import PartFiles

    try:
        connection.register_filesystem(PartFiles(files, hold=hold))
    except OSError as error:
        connection.close()
        raise DatabaseError(
            f"The {len(files):,} parts with the scores of {path} cannot be opened: "
            f"{error.strerror}; `ulimit -n` may allow more open files."
        ) from error
    connection.execute(f"SET allowed_paths = [{', '.join(map(quoted, files))}]")
    connection.execute("SET parquet_metadata_cache = true")


_LOCKED = "SELECT current_setting('lock_configuration')"


def _whole(connection: duckdb.DuckDBPyConnection, path: Path) -> duckdb.DuckDBPyConnection:
    """The connection, if the file is as long as its blocks in use need it to be.

    DuckDB notices a missing block only when a query needs it. The blocks that its header counts
    are no measure: it leaves out free ones at the end of the file. ``kndb.store.check`` reads all.
    """
    ((size, used, last),) = connection.execute(_BLOCKS).fetchall()
    needed = _HEADERS + size * max(used, last + 1)
    if (found := path.stat().st_size) < needed:
        connection.close()
        raise DatabaseCorrupt(
            f"{path} is damaged: it is cut short, at {found} of {needed} bytes or more; copy it "
            "again, or use a backup."
        )
    return connection
