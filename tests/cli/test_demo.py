"""``kndb demo`` as a process: both embedded models on the embedded facts."""

import re
import shlex

import pytest


@pytest.fixture(scope="module")
def shown(processes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    return processes("demo", "--limit", "3", cwd=folder), folder


def test_it_shows_each_command_and_its_answer(shown):
    done, folder = shown
    assert done.returncode == 0, done.stderr.decode()
    assert (folder / "demo.duckdb").exists()
    text = done.stdout.decode()
    asked = [shlex.split(line[2:])[1:3] for line in text.splitlines() if line.startswith("$ ")]
    assert [words[0] for words in asked[:5]] == ["ingest", "ingest", "query", "query", "sql"]
    assert asked[5:7] == [["graph", "overlap"], ["graph", "degenerate"]]
    assert asked[-1] == ["graph", "plot"]
    assert {"demo-languages.png", "demo-neuron-map.png"} <= {p.name for p in folder.iterdir()}
    for model in ("demo-masked", "demo-causal"):
        assert re.search(rf"^{model}  run \d+$", text, re.MULTILINE)
    summary = done.stderr.decode()
    assert summary.count("\n  facts         3\n") >= 2
    assert all(f" {lang} " in summary for lang in ("en", "es", "ru", "zh"))


def test_the_commands_can_be_typed_again(shown, processes):
    done, folder = shown
    text = done.stdout.decode()
    typed = [line[2:] for line in text.splitlines() if line.startswith("$ kndb query")]
    for line in typed:
        again = processes(*shlex.split(line)[1:], cwd=folder)
        assert again.returncode == 0
        assert again.stdout.decode() in text
