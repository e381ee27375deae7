"""The tokens that neurons push up and down: against a naive product, stored, merged and shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import kndb
from kndb.errors import NotFound
from kndb.models import ModelChoice
from kndb.models.vocabulary import TOP, promoted
from kndb.neurons import Neuron
from kndb.store.check import check_database
from kndb.store.merging import merge
from kndb_cli.main import main
from kndb_ingest.pipeline import ingest
from kndb_ingest.request import IngestRequest
from same_rows import assert_same_rows
from serving import client_of


def request(path: Path, *, directions: bool = True, shard: str | None = None) -> IngestRequest:
    return IngestRequest(
        path,
        ModelChoice("demo-masked"),
        "demo",
        langs=["en"],
        relations="P36",
        limit=2,
        directions=directions,
        shard=shard,
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("directions") / "k.duckdb"
    ingest(request(path))
    return path


@pytest.mark.parametrize("name", ["demo-masked", "demo-causal"])
def test_logits_are_the_row_times_the_embedding(name: str) -> None:
    model = kndb.load_model(name)
    state = {key: value.numpy() for key, value in model.hf.state_dict().items()}
    if name == "demo-masked":
        row = state["bert.encoder.layer.1.output.dense.weight"][:, 5]
        embedding = state["cls.predictions.decoder.weight"]
    else:
        row = state["transformer.h.1.mlp.c_proj.weight"][5]
        embedding = state["lm_head.weight"]
    naive = [float(sum(a * b for a, b in zip(row, each, strict=True))) for each in embedding]
    order = np.argsort(naive)
    found = list(promoted(model, [Neuron(0, 3), Neuron(1, 5)]))
    own = {each.rank: each for each in found if each.neuron == Neuron(1, 5)}
    assert sorted(own) == [*range(-TOP, 0), *range(1, TOP + 1)]
    for rank, each in own.items():
        token = order[-rank] if rank > 0 else order[-rank - 1]
        assert each.logit == pytest.approx(naive[token], abs=1e-5)
        assert each.token.strip() in model.tokenizer.decode([token])


def test_each_knowledge_neuron_has_its_tokens(path: Path) -> None:
    with kndb.open(path) as db:
        neurons = {f"{row['layer']}:{row['neuron']}" for row in db.neurons().to_dicts()}
        rows = db.directions(sorted(neurons)).to_dicts()
        assert {f"{row['layer']}:{row['neuron']}" for row in rows} == neurons
        first = rows[: 2 * TOP]
        assert [row["rank"] for row in first] == [*range(1, TOP + 1), *range(-1, -TOP - 1, -1)]
        expected = promoted(kndb.load_model("demo-masked"), [Neuron(*db.neurons().rows()[0][:2])])
        listed = db.neurons(limit=1, directions=True).to_dicts()[0]
        tokens = {each.rank: each.token for each in expected}
        assert listed["promotes"] == " · ".join(tokens[rank] for rank in range(1, TOP + 1))
        assert listed["suppresses"] == " · ".join(tokens[-rank] for rank in range(1, TOP + 1))
    assert check_database(path) == []


def test_a_finished_run_gets_them_and_stays_the_same(path: Path, tmp_path: Path) -> None:
    later = tmp_path / "later.duckdb"
    run = ingest(request(later, directions=False)).run_id
    with kndb.open(later) as db, pytest.raises(NotFound, match="ingest --directions"):
        db.directions("0:0")
    again = ingest(request(later))
    assert (again.run_id, again.new_prompts) == (run, 0)
    assert_same_rows(later, path, ["neuron_direction"])
    ingest(request(later))  # and once only
    assert_same_rows(later, path, ["neuron_direction"])


@pytest.mark.long
def test_shards_merge_to_the_same(path: Path, tmp_path: Path) -> None:
    parts = [tmp_path / f"{number}.duckdb" for number in (1, 2)]
    for number, part in enumerate(parts, 1):
        ingest(request(part, shard=f"{number}/2"))
    merge(parts, tmp_path / "whole.duckdb")
    assert_same_rows(path, tmp_path / "whole.duckdb", ["neuron_direction"])


def test_the_command_and_the_page_show_them(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with kndb.open(path) as db:
        (row,) = db.neurons(limit=1, directions=True).to_dicts()
        neuron = f"{row['layer']}:{row['neuron']}"
        tokens = db.directions(neuron).to_dicts()
    assert main(["neurons", "--limit", "1", "--directions", "--json", "--db", str(path)]) == 0
    assert tokens[0]["token"] in capsys.readouterr().out
    with client_of(path) as client:
        tables = client.get(f"/neuron/{neuron}.json").json()["tables"]
    assert [each["token"] for each in tables["promotes"]["rows"]] == [
        each["token"] for each in tokens[:TOP]
    ]
    assert tables["suppresses"]["rows"][0]["logit"] == tokens[TOP]["logit"]


@pytest.mark.long
def test_processes_store_the_same(path: Path, tmp_path: Path) -> None:
    several = tmp_path / "several.duckdb"
    done = ingest(replace(request(several), devices=("cpu", "cpu")))
    assert done.workers == {"cpu": done.new_prompts}
    assert_same_rows(several, path, ["neuron_direction"])
