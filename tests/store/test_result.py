"""Results for other libraries and for notebooks."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import kndb
from kndb.errors import UsageError
from kndb.store.result import Result
from small_store import finished_run

ID = 2**62 + 1
TYPES = ("VARCHAR", "BIGINT", "DOUBLE")
ROWS: list[tuple[Any, ...]] = [("a<b>", ID, 0.5), (None, None, -0.25)]
FOUND = Result(("name", "some_id", "score"), TYPES, ROWS)


def test_arrow_reads_it_as_it_is() -> None:
    assert pa.table(FOUND).to_pylist() == FOUND.to_dicts()
    found = FOUND  # DuckDB finds it by its name
    assert duckdb.sql("SELECT * FROM found").fetchall() == found.rows()


def test_ids_stay_whole_in_pandas() -> None:
    frame = FOUND.to_pandas()
    assert frame["some_id"][0] == ID
    assert frame["some_id"].isna().tolist() == [False, True]
    assert frame["score"].sum() == 0.25
    assert list(Result(("n", "n"), ("BIGINT",) * 2, [(1, 2)]).to_pandas().iloc[0]) == [1, 2]


def test_polars_has_the_same_rows() -> None:
    pytest.importorskip("polars")
    assert FOUND.to_polars().rows() == ROWS
    twice = Result(("n", "n"), ("BIGINT",) * 2, [(1, 2)]).to_polars()
    assert (twice.columns, twice.rows()) == (["n", "n_2"], [(1, 2)])


def test_rows_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    Result(("name", "n"), ("VARCHAR", "BIGINT"), [("a\x1b[2J", 1), ("b", 2), ("c", 3)]).show(2)
    out = capsys.readouterr().out
    assert "\\u001b[2J" in out
    assert out.endswith("and 1 rows more\n")


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_a_missing_package_is_one_sentence(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=rf"install it with `pip install 'kndb\[{package}\]'`"):
        getattr(FOUND, f"to_{package}")()


def test_html_is_escaped_and_scores_have_bars() -> None:
    html = FOUND._repr_html_()
    assert "a&lt;b&gt;" in html
    assert "<b>" not in html
    assert re.findall(r"gradient\(to right,(#\w+) (\d+)%", html) == [
        ("#0072b266", "100"),
        ("#d55e0066", "50"),
    ]
    assert "0.50</bdi>" in html
    assert "–</bdi>" in html


def test_colours_are_those_of_the_page_it_is_on() -> None:
    style = " ".join(re.findall(r'style="([^"]*)"', FOUND._repr_html_()))
    assert "color:inherit" in style
    assert set(re.findall(r"#(\w+)", style)) == {"8888", "0072b266", "d55e0066", "0000"}


def test_only_the_first_rows_are_shown_and_the_others_counted() -> None:
    rows = [(number,) for number in range(1061)]
    html = Result(("n",), ("BIGINT",), rows)._repr_html_()
    assert html.count("<tr>") == 61
    assert "and 1,001 more" in html
    assert Result(("n",), ("BIGINT",), [])._repr_html_().count("<tr>") == 1


def test_tiny_probabilities_are_not_rounded_to_nothing() -> None:
    found = Result(("p_value",), ("DOUBLE",), [(0.5,), (3.21e-37,), (None,)])
    assert cells(found._repr_html_())[1:] == [["0.5"], ["3.2e-37"], ["–"]]


def cells(html: str) -> list[list[str]]:
    """The texts of a page's rows."""
    return [re.findall(r"<bdi>(.*?)</bdi>", row) for row in re.findall(r"<tr>(.*?)</tr>", html)]


def test_neurons_are_laid_out_as_in_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    run = finished_run(path)
    with kndb.open(path) as db:
        html = db.query(fact="France", relation="capital")._repr_html_()
    assert "<b><bdi>tiny</bdi></b> <span" in html
    assert f"run {run}" in html
    head, *rows = cells(html)
    assert " ".join(head) == "fact relation lang subject answer neuron score support langs"
    texts = ["P36:Q142", "capital", "en", "France", "Paris"]
    assert rows[0] == [*texts, "0:1", "0.750", "67%", "2 en,zh"]
    assert rows[1] == ["", "", "", "", "", "1:3", "0.375", "67%", "1 en"]
    assert rows[2][:5] == ["P36:Q142", "capital", "zh", "法国", "巴黎"]
