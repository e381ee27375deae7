"""Writes the score of every neuron as Parquet parts, and joins small parts. Computes no scores.

A part has one row for each neuron and prompt, sorted by layer, prompt and neuron. A row group has
one layer of some prompts, so that a question about a prompt reads the few groups with its id, and
one about a neuron only those of its layer (``benchmarks/RESULTS.md``, "Every score").

NumPy and Arrow are imported inside, so that opening a database does not load them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import duckdb

from kndb.errors import KndbError, first_line
from kndb.store import ids
from kndb.store.score_folder import (
    Part,
    damaged,
    is_whole,
    missing_sentence,
    part_files,
    scores_folder,
)

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

GROUP_SCORES = 2**16
"""Scores of a row group, if a layer is not wider: more compress better, fewer are read faster."""

FULL_SCORES = 2**24
"""Most scores of a part that is joined of several: 64 MiB of memory."""

SMALL_PARTS = 64
"""Parts of less than half of that which a run may have before they are joined."""

_SCHEMA = {
    "run_id": "int64",
    "prompt_id": "int64",
    "layer": "int16",
    "neuron": "int32",
    "score": "float32",
}
_REPEATED = ["run_id", "prompt_id", "layer"]
"""Columns with a few values."""

_SHAPE = """
    SELECT n_layers, n_neurons FROM {0}.run JOIN {0}.model USING (model_id) WHERE run_id = ?
"""
_SMALL = """
    SELECT run_id, part_id, n_prompts, n_bytes FROM score_part
    WHERE run_id = ? AND 2 * n_prompts <= ? ORDER BY n_prompts, part_id
"""


def add_part(
    connection: duckdb.DuckDBPyConnection, path: Path, run_id: int, scores: pa.Table
) -> None:
    """Write a part and list it. The part is not there for readers until the transaction commits.

    Args:
        connection: in a transaction.
        path: the database.
        run_id: the run.
        scores: ``prompt_id``, and ``scores``, a list of all layers' neurons one after another.

    Raises:
        KndbError: the file cannot be written.
    """
    prompts = scores["prompt_id"].to_numpy()
    flat = scores["scores"].combine_chunks().flatten().to_numpy()
    by_prompt = flat.reshape(len(prompts), *shape_of(connection, run_id))
    insert_part(connection, write_part(path, run_id, prompts, by_prompt.swapaxes(0, 1)))


def insert_part(connection: duckdb.DuckDBPyConnection, part: Part) -> None:
    """List a part whose file is there; in a transaction."""
    connection.execute(
        "INSERT INTO score_part (run_id, part_id, n_prompts, n_bytes) VALUES (?, ?, ?, ?)",
        [part.run_id, part.part_id, part.n_prompts, part.n_bytes],
    )


def join_small_parts(
    connection: duckdb.DuckDBPyConnection, path: Path, run_id: int, least: int
) -> list[Path]:
    """Join a run's small parts if there are at least so many.

    Args:
        connection: in a transaction.
        path: the database.
        run_id: the run.
        least: small parts.

    Returns:
        Files to remove once the transaction is committed.

    Raises:
        KndbError: a part is missing, or cannot be written.
    """
    layers, neurons = shape_of(connection, run_id)
    most = max(1, FULL_SCORES // (layers * neurons))
    small = [Part(*row) for row in connection.execute(_SMALL, [run_id, most]).fetchall()]
    if len(small) < max(least, 2):
        return []
    replaced = []
    for parts in _filling(small, most):
        _join(connection, path, parts, (layers, neurons))
        replaced += [scores_folder(path) / part.file for part in parts]
    return replaced


def _filling(parts: Sequence[Part], most: int) -> list[list[Part]]:
    """Two or more parts together, as many as are not too large."""
    groups: list[list[Part]] = []
    size = most
    for part in parts:
        size += part.n_prompts
        if size > most:
            groups.append([])
            size = part.n_prompts
        groups[-1].append(part)
    return [group for group in groups if len(group) > 1]


def _join(
    connection: duckdb.DuckDBPyConnection, path: Path, parts: Sequence[Part], shape: tuple[int, int]
) -> None:
    import numpy as np

    prompts = np.concatenate([prompts_in(path, part, shape) for part in parts])
    scores = np.concatenate([scores_in(path, part, shape) for part in parts], axis=1)
    for part in parts:
        connection.execute(
            "DELETE FROM score_part WHERE run_id = ? AND part_id = ?", [part.run_id, part.part_id]
        )
    insert_part(connection, write_part(path, parts[0].run_id, prompts, scores))


def prompts_in(path: Path, part: Part, shape: tuple[int, int]) -> NDArray[np.int64]:
    """A part's prompts ``(n,)``, ascending.

    Raises:
        KndbError: it is missing or damaged.
    """
    layers, neurons = shape
    with _opened(path, part) as file:
        first = range(file.num_row_groups // layers)  # of each layer there are as many
        rows = file.read_row_groups(first, columns=["prompt_id"])["prompt_id"].to_numpy()
        return cast("NDArray[np.int64]", rows[::neurons].reshape(part.n_prompts))


def scores_in(path: Path, part: Part, shape: tuple[int, int]) -> NDArray[np.float32]:
    """A part's scores ``(n_layers, n, n_neurons)``, its prompts ascending.

    Raises:
        KndbError: it is missing or damaged.
    """
    layers, neurons = shape
    with _opened(path, part) as file:
        rows = file.read(columns=["score"])["score"].to_numpy()
        return cast("NDArray[np.float32]", rows.reshape(layers, part.n_prompts, neurons))


def check_part(path: Path, part: Part, shape: tuple[int, int]) -> None:
    """Read all of a part, and refuse it if a page is not as it was written.

    Parts that older versions wrote have no checksums of their pages: then it must be readable.

    Raises:
        KndbError: it is missing or damaged.
    """
    layers, neurons = shape
    with _opened(path, part) as file:
        if (
            file.schema_arrow.names != list(_SCHEMA)
            or file.metadata.num_rows != layers * part.n_prompts * neurons
        ):
            raise ValueError("other columns or rows")
        for group in range(file.num_row_groups):  # one by one, to take little memory
            file.read_row_group(group)


@contextmanager
def _opened(path: Path, part: Part) -> Iterator[Any]:
    from pyarrow.parquet import ParquetFile

    if not is_whole(part, part_files(path)):  # to open a pipe would take for ever
        raise KndbError(missing_sentence(part.run_id, 1, 1))
    name = scores_folder(path) / part.file
    try:
        with ParquetFile(name, page_checksum_verification=True) as file:
            yield file
    except (OSError, ValueError, KeyError) as error:  # Arrow's own errors are ValueErrors
        raise KndbError(damaged(name)) from error


def write_part(
    path: Path, run_id: int, prompts: NDArray[np.int64], scores: NDArray[np.float32]
) -> Part:
    """Write a part under another name, to the disk, and rename it.

    Args:
        path: the database.
        run_id: the run.
        prompts: ids ``(n,)``, in any order.
        scores: ``(n_layers, n, n_neurons)``.

    Raises:
        KndbError: the file cannot be written.
    """
    part_id = ids.score_part_id(prompts.tolist())
    target = scores_folder(path) / Part(run_id, part_id, len(prompts), 0).file
    fresh = target.with_suffix(".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("wb") as stream:
            _write_rows(stream, run_id, prompts, scores)
            stream.flush()
            os.fsync(stream.fileno())
        size = fresh.stat().st_size
        fresh.replace(target)
    except OSError as error:
        with suppress(OSError):  # the folder may be what is wrong
            fresh.unlink()
        raise write_error(target, error) from error
    return Part(run_id, part_id, len(prompts), size)


def write_error(file: Path, error: OSError) -> KndbError:
    """A part that cannot be written, most often because the disk is full."""
    return KndbError(
        f"{file} cannot be written: {error.strerror or first_line(error)}; what was stored before "
        "is safe, so make room and run the same command again."
    )


def _write_rows(
    stream: BinaryIO, run_id: int, prompts: NDArray[np.int64], scores: NDArray[np.float32]
) -> None:
    import numpy as np
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    schema = pa.schema([pa.field(name, kind, nullable=False) for name, kind in _SCHEMA.items()])
    order, neurons = np.argsort(prompts), scores.shape[2]
    height = max(1, GROUP_SCORES // neurons)
    numbers = np.tile(np.arange(neurons, dtype=np.int32), min(height, len(prompts)))
    with ParquetWriter(stream, schema, use_dictionary=_REPEATED, **_options()) as writer:
        for layer, own in enumerate(scores):
            for start in range(0, len(order), height):
                chosen = order[start : start + height]
                rows = len(chosen) * neurons
                columns = {
                    "run_id": np.full(rows, run_id),
                    "prompt_id": np.repeat(prompts[chosen], neurons),
                    "layer": np.full(rows, layer, np.int16),
                    "neuron": numbers[:rows],
                    "score": own[chosen].ravel(),
                }
                writer.write_table(pa.table(columns, schema=schema), row_group_size=rows)


def _options() -> dict[str, Any]:
    """How numbers are written: bytes of scores apart, so that their exponents compress."""
    from inspect import signature

    from pyarrow.parquet import write_table

    options: dict[str, Any] = {
        "compression": "zstd",
        "write_page_checksum": True,
        "column_encoding": {"score": "BYTE_STREAM_SPLIT", "neuron": "DELTA_BINARY_PACKED"},
    }
    # A page of 20,000 rows, the default where there is one, mixes their bytes: 6 % more.
    pages = {"max_rows_per_page": GROUP_SCORES, "data_page_size": 4 * GROUP_SCORES}
    known = signature(write_table).parameters
    return options | {name: value for name, value in pages.items() if name in known}


def shape_of(
    connection: duckdb.DuckDBPyConnection, run_id: int, schema: str = "main"
) -> tuple[int, int]:
    """The layers of a run's model, and the neurons of each. ``schema`` has the table of runs."""
    ((layers, neurons),) = connection.execute(_SHAPE.format(schema), [run_id]).fetchall()
    return layers, neurons
