"""Loading from folders: what is accepted, what is rejected, and the messages."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from kndb.errors import ModelError, UsageError
from kndb.models import load_model, loading
from kndb.models.loading import weights_hash
from tiny import hf_model, tokenizer_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "tiny-bert"
    hf_model("bert").save_pretrained(path)
    tokenizer_of("bert").save_pretrained(path)
    return path


def test_info(folder: Path) -> None:
    info = load_model(folder).info
    assert (info.name, info.architecture, info.family) == ("tiny-bert", "bert", "masked_lm")
    assert (info.n_layers, info.n_neurons, info.revision) == (3, 48, "")


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "distilbert", "gpt_neox"])
def test_neurons_are_counted_by_the_projection(architecture: str, tmp_path: Path) -> None:
    hf_model(architecture).save_pretrained(tmp_path)
    tokenizer_of(architecture).save_pretrained(tmp_path)
    assert (load_model(tmp_path).info.n_layers, load_model(tmp_path).info.n_neurons) == (3, 48)


def test_the_hash_is_of_the_weights_alone(folder: Path, tmp_path: Path) -> None:
    first = load_model(folder).info.weights_sha256
    again = tmp_path / "again"
    hf = hf_model("bert")
    hf.save_pretrained(again, max_shard_size="20KB")
    tokenizer_of("bert").save_pretrained(again)
    assert len(list(again.glob("*.safetensors"))) > 1
    assert load_model(again).info.weights_sha256 == first
    next(iter(hf.parameters())).data[0, 0] += 1e-3
    hf.save_pretrained(folder)
    assert load_model(folder).info.weights_sha256 != first


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_dtype(folder: Path, dtype: str) -> None:
    assert load_model(folder, dtype=dtype).dtype == getattr(torch, dtype)


def test_parameters_ask_for_no_gradient(folder: Path) -> None:
    assert not any(p.requires_grad for p in load_model(folder).hf.parameters())


def test_unknown_device_and_dtype(folder: Path) -> None:
    with pytest.raises(UsageError, match="float32, bfloat16"):
        load_model(folder, dtype="int8")
    with pytest.raises(UsageError, match="auto, cpu"):
        load_model(folder, device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="none on this machine"):
            load_model(folder, device="cuda")


def test_weights_that_are_not_finite(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["bert.encoder.layer.1.output.dense.weight"][0, 0] = float("nan")
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"not finite, in bert\.encoder\.layer\.1"):
        load_model(folder)


def test_pickled_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"no \.safetensors weights"):
        load_model(folder)


def test_damaged_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelError, match="tiny-bert"):
        load_model(folder)


def test_unknown_architecture(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "vit"}))
    with pytest.raises(ModelError, match="vit, which is no language model"):
        load_model(folder)


def test_no_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json"):
        load_model(folder)


def test_no_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink(missing_ok=True)
    with pytest.raises(ModelError, match="tiny-bert"):
        load_model(folder)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model folder"):
        load_model(tmp_path / "nothing")


def test_a_hub_name_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="nobody/nothing, and the hub cannot be reached"):
        load_model("nobody/nothing")


def test_a_folder_without_its_files(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.raises(ModelError, match=r"config\.json"):
        load_model(folder)


def test_a_loaded_model_does_not_change_with_its_files(folder: Path) -> None:
    """Weights are mapped into memory while they are read; they must not stay so."""
    model = load_model(folder)
    before = {name: value.clone() for name, value in model.hf.state_dict().items()}
    weights = folder / "model.safetensors"
    with weights.open("r+b") as file:
        file.seek(weights.stat().st_size // 2)
        file.write(bytes(weights.stat().st_size // 2))
    assert all(torch.equal(value, before[name]) for name, value in model.hf.state_dict().items())
    weights.write_bytes(b"")  # reading a mapping past its end would kill the process
    assert all(torch.equal(value, before[name]) for name, value in model.hf.state_dict().items())


def test_files_that_change_while_they_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights of one model must not be stored under the hash of another."""

    def hash_of_another(path: Path) -> str:
        hf_model("bert", seed=1).save_pretrained(path)
        return weights_hash(path)

    monkeypatch.setattr(loading, "weights_hash", hash_of_another)
    with pytest.raises(ModelError, match="tiny-bert changed while they were read; wait until"):
        load_model(folder)
