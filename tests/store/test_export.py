"""Export writes whole files or none."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from kndb.errors import KndbError, UsageError
from kndb.store.export import export
from small_store import finished_run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    return path


def test_parquet_holds_every_row(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "neurons.parquet"
    assert export(path, "knowledge_neurons", file) == 8
    table = pq.read_table(file)
    assert table.num_rows == 8
    assert set(table.column("subject").to_pylist()) >= {"法国", "Côte d’Ivoire"}


def test_csv_reads_back(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    assert export(path, "prompt", file, "csv") == 8
    with file.open(encoding="utf-8", newline="") as lines:
        texts = {row["text"] for row in csv.DictReader(lines)}
    assert "法国的首都是[MASK]。" in texts


def test_lists_become_text_in_csv(path: Path, tmp_path: Path) -> None:
    assert export(path, "prediction", tmp_path / "p.csv") == 8


@pytest.mark.parametrize(
    ("name", "file", "format", "sentence"),
    [
        ("no_such", "a.csv", None, "choose from .*knowledge_neurons"),
        ("alembic_version", "a.csv", None, "no table or view"),
        ("run; DROP TABLE run", "a.csv", None, "no table or view"),
        ("run", "a.xlsx", None, "'xlsx' is not a format"),
        ("run", "a.csv", "json", "use parquet or csv"),
    ],
)
def test_wrong_requests_name_the_choices(
    path: Path, tmp_path: Path, name: str, file: str, format: str | None, sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        export(path, name, tmp_path / file, format)
    assert os.listdir(tmp_path) == ["k.duckdb"]


def test_a_file_that_cannot_be_written_is_named(path: Path, tmp_path: Path) -> None:
    with pytest.raises(KndbError, match=r"none/a\.csv cannot be written"):
        export(path, "run", tmp_path / "none" / "a.csv")


def test_a_failing_export_leaves_the_old_file(path: Path, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(KndbError, match="cannot be written"):
        export(path, "run", tmp_path / "folder.csv")
    assert sorted(os.listdir(tmp_path)) == ["folder.csv", "k.duckdb"]
