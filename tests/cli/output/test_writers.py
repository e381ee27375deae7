"""The output formats, read back by other programs' readers."""

import csv
import io
import json
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from kndb.errors import UsageError
from kndb.plain import plain
from kndb_cli.output import Output, choose, emit
from kndb_cli.output.rows import Listing

DATA = Listing(
    ("fact_key", "subject", "score", "ids"),
    [
        ("P36:Q142", "France, la douce", 0.1, [1, 2]),
        ("P36:Q148", '中国 "x"\nzwei', float("nan"), None),
    ],
)


@pytest.fixture
def written(tmp_path):
    def write(format, data=DATA):
        path = tmp_path / f"out.{format}"
        emit(data, Output(format, path, quiet=True))
        return path

    return write


def test_csv_reads_back(written):
    text = written("csv").read_text(encoding="utf-8")
    assert "\r" not in text
    rows = list(csv.reader(io.StringIO(text)))
    assert rows == [
        ["fact_key", "subject", "score", "ids"],
        ["P36:Q142", "France, la douce", "0.1", "[1, 2]"],
        ["P36:Q148", '中国 "x"\nzwei', "", ""],
    ]


@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_json_reads_back(written, format):
    text = written(format).read_text(encoding="utf-8")
    rows = json.loads(text) if format == "json" else [json.loads(x) for x in text.splitlines()]
    assert rows[0] == {
        "fact_key": "P36:Q142",
        "subject": "France, la douce",
        "score": 0.1,
        "ids": [1, 2],
    }
    assert rows[1]["subject"] == '中国 "x"\nzwei'
    assert rows[1]["score"] is None
    assert "中国" in text


def test_parquet_reads_back(written):
    table = pq.read_table(written("parquet"))
    assert table.column("subject").to_pylist() == ["France, la douce", '中国 "x"\nzwei']
    assert table.column("ids").to_pylist() == [[1, 2], None]


@pytest.mark.parametrize(("format", "text"), [("json", "[\n]\n"), ("jsonl", ""), ("csv", "a,b\n")])
def test_no_rows(written, format, text):
    assert written(format, Listing(("a", "b"), [])).read_text() == text


def test_no_rows_parquet(written):
    assert pq.read_table(written("parquet", Listing(("a", "b"), []))).column_names == ["a", "b"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("inf"), None),
        (Decimal("2"), 2),
        (Decimal("0.5"), 0.5),
        (b"\x00\xff", "00ff"),
        (datetime(2026, 11, 23, 16, 5, tzinfo=UTC), "2026-11-23T16:05:00+00:00"),
        ({1: (float("nan"), True)}, {"1": [None, True]}),
        (2**62 + 1, 2**62 + 1),
        (Path("a"), "a"),
    ],
)
def test_plain(value, expected):
    assert plain(value) == expected
    assert type(plain(value)) is type(expected)


@pytest.mark.parametrize(
    ("name", "format"),
    [("a.CSV", "csv"), ("a.parquet", "parquet"), ("a.ndjson", "jsonl"), ("a.txt", "table")],
)
def test_format_follows_the_name(name, format):
    assert choose(None, False, Path(name), False).format == format


def test_a_format_that_the_name_contradicts_is_refused():
    with pytest.raises(UsageError, match=r"'a\.csv' says csv, but the requested format is jsonl"):
        choose("jsonl", False, Path("a.csv"), False)
    with pytest.raises(UsageError, match="requested format is json;"):
        choose(None, True, Path("a.csv"), False)
    assert choose("csv", False, Path("a.csv"), False).format == "csv"
    assert choose("csv", False, Path("a.2026"), False).format == "csv"


def test_a_hyphen_is_standard_output():
    assert choose(None, False, Path("-"), False) == Output("csv", None, False)
    assert choose("json", False, Path("-"), False) == Output("json", None, False)


def test_a_pipe_gets_csv(capsys):
    assert choose(None, False, None, False).format == "csv"


def test_contradiction_is_refused():
    with pytest.raises(UsageError, match="contradict"):
        choose("csv", True, None, False)
    assert choose("json", True, None, False).format == "json"


@pytest.mark.parametrize("name", ["a.xlsx", "a"])
def test_a_name_that_says_no_format_is_refused(name):
    with pytest.raises(UsageError, match=r"does not say a format; end it in \.txt, \.json"):
        choose(None, False, Path(name), False)


def test_an_error_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    broken = Listing(("a",), [(object(),), ()])
    with pytest.raises(ValueError, match="shorter"):
        emit(broken, Output("json", path, quiet=True))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.csv"]


def test_the_note_says_where_and_how_many(tmp_path, capsys):
    emit(DATA, Output("csv", tmp_path / "a.csv", quiet=False))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"Wrote 2 rows to {tmp_path / 'a.csv'}.\n"
