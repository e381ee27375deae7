"""One way to name a model, on the command line and in Python."""

from __future__ import annotations

from pathlib import Path

import pytest

import kndb
from kndb.models.choice import loaded_once
from kndb.models.places import EMBEDDED_MODELS, embedded_model


def test_a_demo_model_loads_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "demo-masked").mkdir()  # an empty folder of that name does not matter
    monkeypatch.chdir(tmp_path)
    assert EMBEDDED_MODELS == ("demo-causal", "demo-masked")
    model = kndb.load_model("demo-masked", device="cpu")
    same = kndb.load_model(embedded_model("masked"), device="cpu")
    assert model.info == same.info
    assert model.info.name == "demo-masked"


def test_a_choice_loads_what_it_names() -> None:
    choice = kndb.ModelChoice("demo-causal", device="cpu", dtype="bfloat16")
    assert choice.is_local
    assert choice.folder == embedded_model("causal")
    assert str(choice.load().dtype) == "torch.bfloat16"
    assert kndb.ModelChoice("/somewhere/else/tiny").label == "tiny"
    assert not kndb.ModelChoice("bert-base-multilingual-cased").is_local


def test_what_cannot_be_loaded_is_one_sentence() -> None:
    with pytest.raises(kndb.UsageError, match="no dtype 'float8'"):
        kndb.ModelChoice("demo-masked", dtype="float8").load()
    with pytest.raises(kndb.ModelError, match="no model folder"):
        kndb.ModelChoice("./absent").load()
    with pytest.raises(kndb.ModelError, match=r"There is no model '9999.*too long"):
        kndb.ModelChoice("9" * 1000).check()


def test_a_model_is_loaded_once_in_a_block_that_says_so() -> None:
    choice = kndb.ModelChoice("demo-causal", device="cpu")
    with loaded_once():
        assert choice.load() is choice.load()
        assert choice.load() is not kndb.ModelChoice("demo-masked", device="cpu").load()
    assert choice.load() is not choice.load()
