"""Edits of models whose weights are in several files with an index."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

from kndb.models import ModelChoice
from kndb.models.loading import weights_hash
from kndb.store.database import connect
from kndb_cli.main import main
from kndb_ingest.pipeline import ingest
from kndb_ingest.request import IngestRequest
from tiny import hf_model, tokenizer_of

KINDS = {"bert": AutoModelForMaskedLM, "gpt2": AutoModelForCausalLM}
FACT = {
    "relation": "P36",
    "subject_id": "Q142",
    "object_id": "Q90",
    "lang": "en",
    "template": "The capital of [X] is [Y]",
    "subject": "France",
    "answer": "Paris",
}
INDEX = "model.safetensors.index.json"
NEURONS = "0:3,1:5,2:46"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KNDB_DB", "k.duckdb")


@pytest.fixture(params=["gpt2", pytest.param("bert", marks=pytest.mark.long)])
def kind(request, here):
    """A tiny model in half a dozen files or more, whose neurons are in a database."""
    hf_model(request.param).to(torch.float16).save_pretrained("model", max_shard_size="12KB")
    tokenizer_of(request.param).save_pretrained("model")
    Path("facts.jsonl").write_text(json.dumps(FACT), encoding="utf-8")
    ingest(IngestRequest(Path("k.duckdb"), ModelChoice("model"), "facts.jsonl"))
    return KINDS[request.param]


def contents(folder):
    """Each file's tensors, at the places given by the index, which lists all and no others."""
    index = json.loads((Path(folder) / INDEX).read_text(encoding="utf-8"))["weight_map"]
    files = sorted(Path(folder).glob("*.safetensors"))
    assert {file.name for file in files} == set(index.values())
    found = {}
    for file in files:
        tensors = load_file(file)
        assert tensors.keys() == {name for name, where in index.items() if where == file.name}
        found[file.name] = tensors
    return found


def header(file):
    with safe_open(file, framework="pt") as opened:
        return opened.metadata()


def same(a, b):
    return torch.equal(a.view(torch.uint8), b.view(torch.uint8))


def made():
    with connect("k.duckdb") as connection:
        rows = connection.execute("SELECT edit_id FROM edit ORDER BY created_at").fetchall()
    return [str(edit_id) for (edit_id,) in rows]


def test_an_edit_goes_into_the_right_files_and_out_again(kind, capsys):
    asked = ("edit", "--model", "model", "--fact", "P36:Q142", "--mode", "erase")
    assert main([*asked, "--neurons", NEURONS]) == 0, capsys.readouterr().err
    (edit,) = made()
    assert main(["edit", "apply", edit, "--model", "model", "--save", "edited"]) == 0

    before, after = contents("model"), contents("edited")
    assert len(before) >= 4
    assert before.keys() == after.keys()
    changed = {
        name: file
        for file, tensors in before.items()
        for name, value in tensors.items()
        if not same(value, after[file][name])
    }
    assert len(changed) == 3, changed
    assert len(set(changed.values())) > 1, "the layers lie in several files"
    untouched = before.keys() - set(changed.values())
    for file in untouched:
        assert Path("model", file).read_bytes() == Path("edited", file).read_bytes()
    for file in before:
        assert header(Path("model", file)) == header(Path("edited", file))

    weights = dict(kind.from_pretrained("edited", dtype="auto").named_parameters())
    for name, file in changed.items():
        own = next(key for key in weights if key.endswith(name))
        assert same(weights[own].data, after[file][name])
        assert not same(weights[own].data, before[file][name])

    assert main(["edit", "undo", edit, "--model", "edited", "--save", "undone"]) == 0
    restored = contents("undone")
    for file, tensors in before.items():
        for name, value in tensors.items():
            assert same(value, restored[file][name]), name
    assert weights_hash(Path("undone")) == weights_hash(Path("model"))
    assert kind.from_pretrained("undone", dtype="auto").dtype == torch.float16


def test_edits_of_a_sharded_model_are_made_against_its_single_file_twin(kind, capsys):
    """The weights hash ignores the files: an edit also fits the same weights in one file."""
    asked = ("edit", "--model", "model", "--fact", "P36:Q142", "--mode", "erase")
    assert main([*asked, "--neurons", NEURONS]) == 0, capsys.readouterr().err
    kind.from_pretrained("model", dtype="auto").save_pretrained("whole")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        Path("whole", name).write_bytes(Path("model", name).read_bytes())
    assert weights_hash(Path("whole")) == weights_hash(Path("model"))
    (edit,) = made()
    assert main(["edit", "apply", edit, "--model", "whole", "--save", "one"]) == 0
    assert main(["edit", "apply", edit, "--model", "model", "--save", "many"]) == 0
    assert weights_hash(Path("one")) == weights_hash(Path("many")) != weights_hash(Path("model"))
