"""GGUF files: the same model as the folder they were made of, and one sentence for each bad one."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import kndb
from kndb.attribution import attribute
from kndb.errors import ModelError
from kndb.models import LanguageModel, load_model
from tiny import PROMPTS, hf_model, tiny, tokenizer_of

gguf = pytest.importorskip("gguf")
pytest.importorskip("accelerate")

SIZES = {"intermediate_size": 64}  # quantised in blocks of 32


def write(
    path: Path, *, architecture: str = "qwen2", tokenizer: str = "gpt2", quantised: bool = False
) -> Path:
    """A tiny Qwen 2 with random weights, and a byte-level tokenizer."""
    hf = hf_model("qwen2", **SIZES)
    config = hf.config
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    add_tokenizer(writer, tokenizer)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, config.num_hidden_layers)
    for key, value in hf.state_dict().items():
        name = names.get_name(key, try_suffixes=(".weight", ".bias"))
        values = value.numpy()
        if quantised and "down_proj" in key:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_tokenizer(writer: Any, kind: str) -> None:
    tokenizer = tokenizer_of("qwen2")
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    writer.add_tokenizer_model(kind)
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    writer.add_token_list(tokens)
    special = set(tokenizer.all_special_ids)
    writer.add_token_types([3 if i in special else 1 for i in range(len(tokens))])
    writer.add_token_merges([" ".join(pair) for pair in model["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="module")
def model(path: Path) -> LanguageModel[Any]:
    return load_model(path)


def test_info(model: LanguageModel[Any], path: Path) -> None:
    info = model.info
    assert (info.name, info.revision, info.architecture) == ("tiny.gguf", "", "qwen2")
    assert (info.family, info.n_layers, info.n_neurons) == ("causal_lm", 3, 64)
    assert info.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert model.adapter == "causal"


def test_it_is_the_model_it_was_made_of(model: LanguageModel[Any]) -> None:
    saved = hf_model("qwen2", **SIZES).state_dict()
    loaded = model.hf.state_dict()
    assert saved.keys() == loaded.keys()
    assert all(torch.equal(value, loaded[key]) for key, value in saved.items())
    ids = model.tokenizer(PROMPTS[0][0])["input_ids"]
    assert ids[-10:] == tokenizer_of("qwen2")(PROMPTS[0][0])["input_ids"][-10:]
    assert sum(not found.reason for found in attribute(model, PROMPTS)) == len(PROMPTS)
    assert tiny("qwen2").targets(*PROMPTS[0])[0].answer == model.targets(*PROMPTS[0])[0].answer


def test_quantised_weights_are_unpacked(tmp_path: Path, model: LanguageModel[Any]) -> None:
    quantised = load_model(write(tmp_path / "q.gguf", quantised=True), dtype="bfloat16")
    exact, rounded = (one.hf.state_dict() for one in (model, quantised))
    key = "model.layers.1.mlp.down_proj.weight"
    assert rounded[key].dtype == torch.bfloat16
    assert not torch.equal(rounded[key].float(), exact[key].bfloat16().float())
    torch.testing.assert_close(rounded[key].float(), exact[key], atol=0.01, rtol=0.02)


def test_a_choice_of_a_file(path: Path) -> None:
    choice = kndb.ModelChoice(str(path))
    assert choice.is_local
    assert choice.folder is None
    assert choice.files == path
    assert choice.label == "tiny.gguf"


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


def test_no_file(tmp_path: Path) -> None:
    assert "There is no GGUF file" in refusal(tmp_path / "none.gguf")


@pytest.mark.parametrize("share", [0, 0.001, 0.02, 0.3, 0.9, 0.999])
def test_a_file_cut_short(path: Path, tmp_path: Path, share: float) -> None:
    content = path.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(content[: int(share * len(content))])
    assert "cannot be read, perhaps because it was cut short" in refusal(cut)


def test_something_else(tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    with other.open("wb") as file:
        np.save(file, np.zeros(1000))
    assert "cannot be read, perhaps because it was cut short" in refusal(other)


def test_an_unsupported_architecture(tmp_path: Path) -> None:
    found = refusal(write(tmp_path / "rwkv.gguf", architecture="rwkv6"))
    assert re.search("Transformers 5.* cannot read the GGUF file rwkv.gguf: .*rwkv6", found)


def test_an_unsupported_quantisation(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes()
    name = b"blk.1.ffn_down.weight"
    kind = content.index(name) + len(name) + 4 + 2 * 8  # after the dimensions
    assert content[kind : kind + 4] == bytes(4)  # F32
    changed = tmp_path / "changed.gguf"
    changed.write_bytes(content[:kind] + (99).to_bytes(4, "little") + content[kind + 4 :])
    assert "quantisation that cannot be unpacked" in refusal(changed)


def test_a_tokenizer_that_cannot_be_rebuilt(tmp_path: Path) -> None:
    found = refusal(write(tmp_path / "odd.gguf", tokenizer="rwkv"))
    assert "cannot rebuild the tokenizer" in found


def test_without_the_extra(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kndb.models.gguf_file.find_spec", lambda name: None)
    assert "pip install 'kndb[gguf]'" in refusal(path)
