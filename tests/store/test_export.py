"""Export writes whole files or none."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow.parquet as pq
import pytest

import kndb
from kndb.errors import UsageError
from kndb.files import Pipe
from kndb.store.export import export, export_into
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
    file = tmp_path / "prompts"
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
        ("run", "a.xlsx", None, "end it in .parquet, .csv, .json, .jsonl or .ndjson"),
        ("run", "a", "xlsx", "choose from parquet, csv, json or jsonl"),
        ("run", "a.csv", "json", "says csv, but the requested format is json"),
    ],
)
def test_wrong_requests_name_the_choices(
    path: Path, tmp_path: Path, name: str, file: str, format: str | None, sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        export(path, name, tmp_path / file, format)
    assert os.listdir(tmp_path) == ["k.duckdb"]


@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_json_holds_what_sql_answers(path: Path, tmp_path: Path, format: str) -> None:
    file = tmp_path / f"predictions.{format}"
    assert export(path, "prediction", file) == 8
    text = file.read_text(encoding="utf-8")
    found = json.loads(text) if format == "json" else list(map(json.loads, text.splitlines()))
    with kndb.open(path) as database:
        rows = database.sql("SELECT * FROM prediction").to_dicts()
    as_text = ("run_id", "prompt_id")  # 64 bits lose digits in JavaScript
    assert found == [row | {name: str(row[name]) for name in as_text} for row in rows]


def test_a_pipe_gets_what_a_file_gets(path: Path, tmp_path: Path) -> None:
    for format in ("parquet", "csv", "json", "jsonl"):
        export(path, "prediction", tmp_path / f"a.{format}")
        stream = io.BytesIO()
        with Pipe(stream) as pipe:
            assert export_into(cast(BinaryIO, pipe), path, "prediction", format) == 8
        assert stream.getvalue() == (tmp_path / f"a.{format}").read_bytes()


def test_a_folder_that_is_missing_is_named(path: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no folder .*none; make it"):
        export(path, "run", tmp_path / "none" / "a.csv")


def test_a_folder_is_refused(path: Path, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        export(path, "run", tmp_path / "folder.csv")
    assert sorted(os.listdir(tmp_path)) == ["folder.csv", "k.duckdb"]
