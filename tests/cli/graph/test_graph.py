"""``kndb graph``: the tables, files and errors of its commands."""

import csv
import io
import json

import networkx as nx


def test_overlap_by_fact_in_every_form(kndb):
    code, out, err = kndb("graph", "overlap", "--langs", "en,zh")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert (code, err) == (0, "")
    assert [(row["fact_key"], row["n_shared"], row["note"]) for row in rows] == [
        ("P36:Q142", "1", ""),
        ("P36:Q148", "0", ""),
    ]
    code, out, err = kndb("graph", "overlap", "--fact", "France", "--json")
    (row,) = json.loads(out)
    assert (row["sizes"], row["neurons"]) == ([1, 2], "2:117")


def test_overlap_tables(kndb):
    code, out, _ = kndb("graph", "overlap", "--format", "table")
    assert code == 0
    assert "tiny-masked  run" in out
    assert "France" in out
    code, out, _ = kndb("graph", "overlap", "--by", "language-pair", "--format", "table")
    assert "en,zh" in out
    code, out, _ = kndb("graph", "overlap", "--by", "relation", "--format", "table")
    assert "two facts share" in out


def test_measures_and_groups(kndb):
    code, out, _ = kndb("graph", "measures", "--top", "1", "--format", "table")
    assert code == 0
    assert "bridges relations" in out
    code, _, err = kndb("graph", "groups")
    assert code == 4
    assert "has not been searched" in err


def test_export_and_plot_write_whole_files(kndb, tmp_path):
    code, out, err = kndb("graph", "export", "--fact", "France", "-o", str(tmp_path / "f.graphml"))
    assert (code, out) == (0, "")
    assert "Wrote" in err
    assert "fact P36:Q142" in nx.read_graphml(tmp_path / "f.graphml")
    code, _, err = kndb("graph", "plot", "layers", "-o", str(tmp_path / "l.svg"))
    assert (code, err) == (0, f"Drew layers to {tmp_path / 'l.svg'}.\n")
    code, _, err = kndb("graph", "plot", "layers", "-o", str(tmp_path / "l.txt"))
    assert code == 2
    assert {file.name for file in tmp_path.iterdir()} == {"f.graphml", "l.svg"}
