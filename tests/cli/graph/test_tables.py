"""Tables of ``kndb graph measures`` and ``groups`` lose no value at any width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from kndb_cli.graph.tables import run_table
from kndb_cli.output.rows import Listing

MEASURES = Listing(
    (
        *("neuron", "n_facts", "n_relations", "n_langs", "score", "n_degenerate"),
        *("bridges_relations", "bridges_langs", "betweenness", "community", "model", "run_id"),
    ),
    [
        ("11:3071", 19, 4, 4, 2.7078, 0, 0.7111, 0.7182, 0.0992, 16, "demo", 7),
        ("1:793", 10, 4, 4, 0.9759, 0, 0.6667, 0.7467, 0.0154, 5, "demo", 7),
    ],
)
GROUPS = Listing(
    ("fact_key", "relation", "size", "neurons", "largest_clique", "model", "run_id"),
    [
        ("P36:Q664", "original language of a film", 3, "1:355,1:948,2:1015", None, "demo", 7),
        ("P36:Q1037", "capital", 2, "1:428,2:641", "1:428,2:641", "demo", 7),
    ],
)


def drawn(found: Listing, width: int) -> list[str]:
    paper = Console(file=io.StringIO(), width=width)
    with paper.capture() as captured:
        paper.print(run_table(found))
    return captured.get().splitlines()


@pytest.mark.parametrize("found", [MEASURES, GROUPS])
def test_every_value_is_there_at_every_width(found: Listing) -> None:
    values = {str(value) for row in found.values for value in row[:-2] if value is not None}
    words = {word for value in values for word in value.split()}
    forms = set()
    for width in range(40, 160):
        lines = drawn(found, width)
        assert max(map(len, lines)) <= width
        assert words <= set(" ".join(lines).split()), width
        forms.add(any("─" in line for line in lines))
    assert forms == {True, False}


def test_heads_break_before_a_table_becomes_blocks() -> None:
    wide, narrow, blocks = (drawn(MEASURES, width) for width in (120, 99, 70))
    assert "bridges relations  bridges langs" in wide[1]
    assert ("bridges" in narrow[1], "relations" in narrow[2]) == (True, True)
    values = "11:3071 19 4 4 2.7078 0 0.7111 0.7182 0.0992 16"
    assert values.split() in [line.split() for line in narrow]
    assert blocks[1].split() == ["neuron", "11:3071"]
