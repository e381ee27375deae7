"""Queries in SQL: answers, what is refused, and a site without them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from kndb_serve.pages import sql
from serving import client_of

Get = Callable[[str, str], list[dict[str, Any]]]


def at(sql: str, form: str = "") -> str:
    return f"/sql{form}?q={quote(sql)}"


def test_an_answer_is_a_table_and_data(client: TestClient, rows: Get) -> None:
    sql = "SELECT lang, count(*) AS n FROM prompt GROUP BY lang ORDER BY lang"
    assert rows(at(sql, ".json"), "answer") == [{"lang": "en", "n": 7}, {"lang": "zh", "n": 1}]
    assert client.get(at(sql, ".csv")).text == "lang,n\nen,7\nzh,1\n"
    page = client.get(at(sql)).text
    assert ">7</bdi></td>" in page
    assert "GROUP BY lang ORDER BY lang</textarea>" in page
    table = pq.read_table(io.BytesIO(client.get(at(sql, ".parquet")).content))
    assert table.to_pydict() == {"lang": ["en", "zh"], "n": [7, 1]}


def test_columns_of_one_name_are_told_apart(rows: Get) -> None:
    assert rows(at("SELECT 1 AS n, 2 AS n", ".json"), "answer") == [{"n": 1, "n_2": 2}]


def test_values_without_an_order_are_sorted_as_text(client: TestClient) -> None:
    sql = "FROM (VALUES ({'a': 2}), ({'a': 1})) AS t(v)"
    answer = client.get(at(sql, ".json") + "&sort=answer:v").json()
    assert [row["v"] for row in answer["tables"]["answer"]["rows"]] == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT lan FROM prompt", 'Candidate bindings: "lang"'),
        ("DELETE FROM prompt", "Only queries can be run here, and this is DELETE"),
        ("SELECT * FROM read_csv('/etc/passwd')", "'read_csv' cannot be used here"),
        ("SELECT 1; SELECT 2", "one SQL query at a time"),
        ("SELECT '" + "a" * 8_000 + "'", "may have 8,000 at most"),
    ],
)
def test_what_is_refused_is_said_in_a_sentence(client: TestClient, sql: str, said: str) -> None:
    answer = client.get(at(sql, ".json"))
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert client.get(at(sql, ".parquet")).headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("form", ["", ".json"])
def test_a_query_that_takes_too_long_is_to_be_changed(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(sql, "_SECONDS", 0.5)
    answer = client.get(at("SELECT count(*) FROM range(1000000000000)", form))
    assert answer.status_code == 400
    assert "took longer than 0.5 s" in answer.text


def test_a_refused_query_stays_in_its_box(client: TestClient) -> None:
    answer = client.get(at("SELECT lan FROM prompt"))
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert "SELECT lan FROM prompt</textarea>" in answer.text


def test_the_schema_is_beside_the_query(client: TestClient) -> None:
    page = client.get("/sql").text
    assert "<summary><code>knowledge_neuron</code></summary>" in page
    assert "Index of the neuron within its layer" in page


def test_a_site_without_sql_has_no_such_page(path: Path) -> None:
    with client_of(path, sql=False) as client:
        assert "--no-sql" in client.get("/sql.json?q=SELECT 1").json()["error"]
        assert client.get(at("SELECT 1")).status_code == 404
        assert "/sql" not in client.get("/").text
