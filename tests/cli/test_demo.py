"""``kndb demo``: both embedded models on the embedded facts."""

import re
import shlex

from kndb_cli.main import main


def test_it_shows_each_command_and_its_answer(tmp_path, monkeypatch, capfd):
    """A single test, as the tour takes its time: what it shows can also be typed again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KNDB_DB", raising=False)
    code = main(["demo", "--limit", "3"])
    text, summary = capfd.readouterr()
    assert code == 0, summary
    assert (tmp_path / "demo.duckdb").exists()
    asked = [shlex.split(line[2:])[1:3] for line in text.splitlines() if line.startswith("$ ")]
    assert [words[0] for words in asked[:5]] == ["ingest", "ingest", "query", "query", "sql"]
    assert asked[5:7] == [["graph", "overlap"], ["graph", "degenerate"]]
    assert asked[-1] == ["graph", "plot"]
    assert {"demo-languages.png", "demo-neuron-map.png"} <= {p.name for p in tmp_path.iterdir()}
    for model in ("demo-masked", "demo-causal"):
        assert re.search(rf"^{model}  run \d+$", text, re.MULTILINE)
    assert summary.count("\n  facts         3\n") >= 2
    assert all(f" {lang} " in summary for lang in ("en", "es", "ru", "zh"))
    typed = [line[2:] for line in text.splitlines() if line.startswith("$ kndb query")]
    assert len(typed) == 2
    for line in typed:
        assert main(shlex.split(line)[1:]) == 0
        assert capfd.readouterr().out in text
