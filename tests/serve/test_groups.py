"""The drawing of degenerate groups, against the stored pairs."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from kndb.store.result import Result
from kndb_serve.charts.groups import MOST_GROUPS, MOST_NEURONS, drawable
from planted_search import FACTS, add_search
from planted_store import plant
from serving import client_of


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    path = tmp_path_factory.mktemp("groups") / "searched.duckdb"
    add_search(path, plant(path, FACTS))
    with client_of(path) as made:
        yield made


def drawn(page: str) -> tuple[set[str], set[str]]:
    """The neurons and the pairs of a page's drawing."""
    boxes = page.partition("Degenerate groups</")[2].partition("</figure>")[0]
    neurons = set(re.findall(r"/neuron/(\d+%3A\d+)", boxes))
    return neurons, set(re.findall(r"<title>(\S+), \w+: drop", boxes))


def test_a_fact_has_its_neurons_and_a_line_for_each_pair(client: TestClient) -> None:
    neurons, pairs = drawn(client.get("/fact/P36%3AQ1").text)
    assert neurons == {"0%3A1", "0%3A2", "2%3A9"}
    assert pairs == {"0:1,0:2", "0:2,2:9", "0:1,2:9"}


def test_a_neuron_has_the_groups_that_hold_it_and_is_marked(client: TestClient) -> None:
    page = client.get("/neuron/0%3A1").text
    assert drawn(page)[1] == {"0:1,0:2", "0:2,2:9", "0:1,2:9", "0:1,1:5"}
    assert page.count('class="node marked"') == 2
    assert drawn(client.get("/neuron/2%3A8").text)[1] == {"0:2,2:8"}


def test_without_a_pair_nothing_is_drawn(client: TestClient) -> None:
    assert "Degenerate groups" not in client.get("/neuron/1%3A6").text


def test_groups_too_large_to_read_are_left_out() -> None:
    sizes = [MOST_NEURONS + 1, *range(MOST_NEURONS, 2, -1)]
    groups = Result(("size",), ("BIGINT",), [(size,) for size in sizes])
    assert [row["size"] for row in drawable(groups)] == sizes[1 : 1 + MOST_GROUPS]
