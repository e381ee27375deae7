"""Inconsistent folders are rejected in one sentence, before anything large is built."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from kndb.errors import ModelError
from kndb.models import Unusable, load_model
from tiny import CAUSAL, EVERY_KIND, MASKED, PROMPTS, hf_model, tokenizer_of

ALL = [*MASKED, *CAUSAL]
TIED = ["gpt2", "gemma", "gemma2", "gemma3_text", "opt"]  # the output embedding is the input's


def save(architecture: str, folder: Path, model: Any = None, **options: Any) -> Path:
    (model or hf_model(architecture)).save_pretrained(folder, **options)
    tokenizer_of(architecture).save_pretrained(folder)
    return folder


def change(folder: Path, edit: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    path = folder / "model.safetensors"
    save_file(edit(load_file(path)), path, metadata={"format": "pt"})


def drop(folder: Path, name: str) -> None:
    change(folder, lambda weights: {k: v for k, v in weights.items() if k != name})


def configure(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert folder.name in message
    return message


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    return save("bert", tmp_path / "tiny-bert")


@pytest.fixture
def gpt2(tmp_path: Path) -> Path:
    return save("gpt2", tmp_path / "tiny-gpt2")


@pytest.mark.parametrize("architecture", ALL)
def test_a_whole_checkpoint_gives_back_its_weights(architecture: str, tmp_path: Path) -> None:
    saved = hf_model(architecture)
    loaded = load_model(save(architecture, tmp_path, saved)).hf
    expected = saved.state_dict()
    assert expected.keys() == loaded.state_dict().keys()
    assert all(torch.equal(value, expected[key]) for key, value in loaded.state_dict().items())


@pytest.mark.parametrize("architecture", EVERY_KIND)
def test_every_tensor_of_a_layer_is_needed(architecture: str, tmp_path: Path) -> None:
    folder = save(architecture, tmp_path / "model")
    names = sorted(key for key in load_file(folder / "model.safetensors") if ".1." in key)
    for name in (names[0], names[-1]):
        shutil.rmtree(folder)
        save(architecture, folder)
        drop(folder, name)
        assert f"lacks weights, which would be random: {name}; give a complete" in refusal(folder)


@pytest.mark.parametrize("architecture", EVERY_KIND)
def test_a_tensor_of_another_shape(architecture: str, tmp_path: Path) -> None:
    folder = save(architecture, tmp_path / "model")
    name = sorted(load_file(folder / "model.safetensors"))[-1]
    change(folder, lambda weights: {**weights, name: torch.zeros(7, 3)})
    assert f"do not fit its config.json: {name} is (7, 3), not (" in refusal(folder)


@pytest.mark.parametrize("architecture", EVERY_KIND)
def test_tensors_of_something_else(architecture: str, tmp_path: Path) -> None:
    folder = save(architecture, tmp_path / "model")
    change(folder, lambda weights: {f"other.{k}": v for k, v in weights.items()})
    assert "None of the tensors in the files" in refusal(folder)


@pytest.mark.parametrize("architecture", [a for a in ALL if a not in TIED])
def test_a_checkpoint_without_its_head(architecture: str, tmp_path: Path) -> None:
    model = hf_model(architecture)
    folder = save(architecture, tmp_path / "model", model.base_model)
    message = refusal(folder)
    assert "was saved without its language-model head (" in message
    assert f"saved as {type(model).__name__}." in message


@pytest.mark.parametrize("architecture", TIED)
def test_a_tied_head_needs_no_weights(architecture: str, tmp_path: Path) -> None:
    model = hf_model(architecture)
    loaded = load_model(save(architecture, tmp_path / "model", model.base_model)).hf
    assert torch.equal(loaded.lm_head.weight, model.lm_head.weight)


def test_old_names_and_buffers_are_no_matter(bert: Path) -> None:
    def old(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        renamed = {
            key.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): value
            for key, value in weights.items()
        }
        return {**renamed, "bert.embeddings.position_ids": torch.arange(40)[None]}

    before = load_model(bert).hf.state_dict()
    change(bert, old)
    after = load_model(bert).hf.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_shards(tmp_path: Path) -> None:
    folder = save("llama", tmp_path / "model", max_shard_size="20KB")
    shards = sorted(folder.glob("*.safetensors"))
    assert len(shards) > 2
    load_model(folder)
    weights = load_file(shards[1])
    name = sorted(weights)[0]
    save_file({k: v for k, v in weights.items() if k != name}, shards[1], {"format": "pt"})
    assert name in refusal(folder)
    shards[1].unlink()
    assert shards[1].name in refusal(folder)
    (folder / "model.safetensors.index.json").write_text('{"weight_map": []}')
    assert "index.json" in refusal(folder)
    (folder / "model.safetensors.index.json").unlink()
    assert "no .safetensors weights" in refusal(folder)


@pytest.mark.parametrize("left", [0, 4, 100, -1000])
def test_weights_cut_short(bert: Path, left: int) -> None:
    path = bert / "model.safetensors"
    path.write_bytes(path.read_bytes()[:left])
    assert "model.safetensors of the model tiny-bert cannot be read" in refusal(bert)


@pytest.mark.parametrize("kind", [["bert"], {"a": 1}, None, 7, "x" * 999])
def test_an_architecture_that_is_none(bert: Path, kind: object) -> None:
    configure(bert, model_type=kind)
    assert "does not know; give another model" in refusal(bert)


@pytest.mark.parametrize("content", ["", "[]", "null", "3", "{", "[" * 100_000, '{"a":' * 100_000])
def test_a_configuration_that_is_none(bert: Path, content: str) -> None:
    (bert / "config.json").write_text(content)
    assert "no usable config.json" in refusal(bert)


@pytest.mark.parametrize("layers", [0, -1, "3", 3.5, True, [3], None])
def test_layers_that_are_no_number(bert: Path, layers: object) -> None:
    configure(bert, num_hidden_layers=layers)
    refusal(bert)


@pytest.mark.parametrize("layers", [1, 2, 4, 1_000_000, 10**30])
@pytest.mark.parametrize("architecture", ["distilbert", "gpt2", "gpt_neox", "gemma3_text"])
def test_layers_that_the_files_do_not_hold(architecture: str, layers: int, tmp_path: Path) -> None:
    folder = save(architecture, tmp_path / "model")
    key = {"distilbert": "n_layers", "gpt2": "n_layer"}.get(architecture, "num_hidden_layers")
    configure(folder, **{key: layers})
    start = time.perf_counter()
    assert f"declares {layers} layers, but its weights have 3" in refusal(folder)
    assert time.perf_counter() - start < 5


def test_a_million_layers_of_tensors_of_something_else(bert: Path) -> None:
    configure(bert, num_hidden_layers=1_000_000)
    change(bert, lambda weights: {f"other.{k}": v for k, v in weights.items()})
    assert "weights have none" in refusal(bert)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": "thirty-two"},
        {"hidden_size": None},
        {"hidden_size": 10**9},
        {"intermediate_size": 10**12},
        {"intermediate_size": -4},
        {"vocab_size": 10**13},
        {"vocab_size": "many"},
        {"max_position_embeddings": 10**12},
        {"num_attention_heads": 0},
        {"num_attention_heads": 5},
        {"hidden_act": "nothing"},
        {"hidden_act": ["gelu"]},
        {"layer_norm_eps": "small"},
        {"pad_token_id": 9999},
    ],
)
def test_a_configuration_of_no_such_model(bert: Path, changes: dict[str, Any]) -> None:
    configure(bert, **changes)
    message = refusal(bert)
    assert "config.json of the model tiny-bert describes" in message


def test_a_configuration_of_another_width(bert: Path) -> None:
    configure(bert, hidden_size=36)
    assert "do not fit its config.json" in refusal(bert)


def test_no_tokenizer(bert: Path) -> None:
    (bert / "tokenizer.json").unlink()
    assert "no tokenizer beside it" in refusal(bert)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"model": 3}', "[" * 10_000])
def test_a_tokenizer_that_is_none(bert: Path, content: str) -> None:
    (bert / "tokenizer.json").write_text(content)
    refusal(bert)


def _without(folder: Path, token: str) -> None:
    path = folder / "tokenizer_config.json"
    content = {k: v for k, v in json.loads(path.read_text()).items() if k != token}
    path.write_text(json.dumps(content))


def test_no_mask_token(bert: Path) -> None:
    _without(bert, "mask_token")
    assert "has no mask token in the model's vocabulary" in refusal(bert)


def test_a_mask_token_without_an_embedding(bert: Path) -> None:
    path = bert / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "mask_token": "<new>"}))
    assert "has no mask token in the model's vocabulary" in refusal(bert)


def test_no_end_token(gpt2: Path) -> None:
    _without(gpt2, "eos_token")
    assert "has no end-of-sequence token in the model's vocabulary" in refusal(gpt2)


@pytest.mark.parametrize(("pad", "room"), [(0, 39), (1, 38), (5, 34)])
def test_the_window_starts_after_the_padding_index(pad: int, room: int, tmp_path: Path) -> None:
    hf = hf_model("roberta", max_position_embeddings=40)
    folder = save("roberta", tmp_path, hf)
    configure(folder, pad_token_id=pad)
    model = load_model(folder)
    text, answer = PROMPTS[0]
    spare = room - len(model.targets(text, answer)[0].tokens)
    longest = model.targets("of " * spare + text, answer)[0]
    assert len(longest.tokens) == room
    model.observe(torch.tensor([longest.tokens]), torch.tensor([longest.position]), 1)
    with pytest.raises(Unusable, match=f"too long: {room + 1} tokens, the model takes {room}"):
        model.targets("of " * (spare + 1) + text, answer)


def test_no_room_for_an_answer(tmp_path: Path) -> None:
    folder = save("roberta", tmp_path / "model", hf_model("roberta", max_position_embeddings=2))
    configure(folder, pad_token_id=1)
    assert "no answer fits in its window" in refusal(folder)
