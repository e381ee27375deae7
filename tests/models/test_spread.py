"""A model that is spread over devices: here memory and disk, since no test has several GPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kndb.attribution import PRESETS, Settings, attribute
from kndb.attribution.suppression import Suppressor
from kndb.crew.placement import check_placement
from kndb.degenerate.search import SearchRequest
from kndb.edit.deltas import erase
from kndb.edit.directions import direction
from kndb.edit.scaling import suppress
from kndb.errors import ModelError, UsageError
from kndb.models import LanguageModel, ModelChoice, load_model
from kndb.models.asking import Asker
from kndb.models.general import General
from kndb.models.projections import find_down
from kndb.models.spread import is_spread
from kndb.models.vocabulary import check_readable
from kndb.neurons import Neuron
from models.test_encoder_decoder import tokenizer
from saved_models import save, saved
from tiny import PROMPTS, hf_model

pytest.importorskip("accelerate")

MAPS = {
    "tiny-bert": {
        **{"bert.embeddings": "cpu", "bert.encoder.layer.0": "cpu", "cls": "cpu"},
        **{"bert.encoder.layer.1": "disk", "bert.encoder.layer.2": "disk"},
    },
    # Its input and output embeddings are one weight.
    "tiny-gpt2": {
        **{"transformer.wte": "disk", "transformer.wpe": "cpu", "transformer.h.0": "disk"},
        **{"transformer.h.1": "cpu", "transformer.h.2": "disk", "transformer.ln_f": "cpu"},
        "lm_head": "disk",
    },
    "tiny-llama": {
        **{"model.embed_tokens": "cpu", "model.rotary_emb": "cpu", "model.layers.0": "cpu"},
        **{"model.layers.1": "disk", "model.layers.2": "cpu", "model.norm": "disk"},
        "lm_head": "disk",
    },
}
FEW_STEPS = PRESETS["ig-zero"].changed(nodes=2)
SETS = [(Neuron(0, 3),), (Neuron(0, 3), Neuron(1, 21)), (Neuron(1, 0), Neuron(2, 47))]


def load(folder: Path, device_map: Any) -> LanguageModel[Any]:
    """Load a folder with a map of devices."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kndb.models.spread.device_map", lambda: device_map)
        return load_model(folder, device="spread")


@pytest.fixture(scope="module", params=MAPS)
def pair(request: pytest.FixtureRequest) -> tuple[LanguageModel[Any], General]:
    """A spread model, and the same through the general adapter on the CPU."""
    folder = saved(request.param)
    spread, whole = load(folder, MAPS[request.param]), load_model(folder, device="cpu")
    return spread, General(whole.hf, whole.tokenizer, whole.info, find_down(whole.hf, "whole"))


def close(found: Any, due: Any) -> None:
    assert np.linalg.norm(found - due) < 1e-5 * np.linalg.norm(due)


def on_disk(model: LanguageModel[Any]) -> list[bool]:
    return [next(down.parameters()).is_meta for down in model.down]


def test_weights_on_the_disk_are_in_memory_only_while_they_are_used(
    pair: tuple[LanguageModel[Any], General],
) -> None:
    spread, whole = pair
    before = on_disk(spread)
    assert any(before)
    assert is_spread(spread.hf)
    assert spread.adapter == "general"
    assert spread.info == whole.info
    assert spread.device == torch.device("cpu")
    list(attribute(spread, PROMPTS[:1], FEW_STEPS))
    assert on_disk(spread) == before
    assert not any(on_disk(whole))


@pytest.mark.parametrize("settings", [PRESETS["amig"], FEW_STEPS])
def test_the_scores_are_those_of_the_whole_model(
    settings: Settings, pair: tuple[LanguageModel[Any], General]
) -> None:
    spread, whole = pair
    own = (attribute(model, PROMPTS[1:3], settings) for model in (spread, whole))
    for found, due in zip(*own, strict=True):
        close(found.scores, due.scores)
        assert found.p_tokens == pytest.approx(due.p_tokens, rel=1e-5)


def test_answers_are_those_of_the_whole_model(pair: tuple[LanguageModel[Any], General]) -> None:
    found, due = (Asker(model).ask(PROMPTS) for model in pair)
    for own, right in zip(found, due, strict=True):
        assert not isinstance(own, str)
        assert not isinstance(right, str)
        assert own.p_tokens == pytest.approx(right.p_tokens, rel=1e-5)
        assert (own.rank, own.first_choice) == (right.rank, right.first_choice)


def test_silenced_neurons_do_as_in_the_whole_model(
    pair: tuple[LanguageModel[Any], General],
) -> None:
    found, due = (
        Suppressor(model, model.targets(*PROMPTS[2])[:1]).probabilities(SETS) for model in pair
    )
    torch.testing.assert_close(found, due, rtol=1e-5, atol=1e-9)


def test_a_block_of_suppressed_neurons(pair: tuple[LanguageModel[Any], General]) -> None:
    logits = []
    for model in pair:
        tokens = torch.tensor([model.targets(*PROMPTS[0])[0].tokens])
        with torch.no_grad(), suppress(model, SETS[2], where="all"):
            logits.append(model.hf(input_ids=tokens).logits)
    torch.testing.assert_close(*logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ["mt5", "bart"])
def test_an_encoder_decoder_on_the_disk(architecture: str, tmp_path: Path) -> None:
    words = tokenizer(architecture)
    special = {"decoder_start_token_id": 1, "pad_token_id": 3}
    save(hf_model(architecture, vocab_size=len(words), **special), tmp_path)
    words.save_pretrained(tmp_path)
    spread, whole = load(tmp_path, {"": "disk"}), load_model(tmp_path, device="cpu")
    assert all(on_disk(spread))
    (found,), (due,) = (attribute(m, PROMPTS[:1], FEW_STEPS) for m in (spread, whole))
    close(found.scores, due.scores)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the model may be spread over GPUs")
def test_a_model_that_fits_on_one_device_is_an_ordinary_one() -> None:
    model = load_model("demo-masked", device="spread")
    assert model.adapter == "masked"
    assert not is_spread(model.hf)
    assert not any(on_disk(model))
    erase(model, [Neuron(0, 3)])


def test_what_needs_the_weights_is_refused(pair: tuple[LanguageModel[Any], General]) -> None:
    spread, _ = pair
    with pytest.raises(UsageError, match=r"is spread over devices, so its weights cannot be edit"):
        erase(spread, [Neuron(0, 3)])
    with pytest.raises(UsageError, match=r"is spread over devices, so its weights cannot be edit"):
        direction(spread, [((3,), (4,))])
    with pytest.raises(UsageError, match=r"is spread over devices, so .* leave out --directions"):
        check_readable(spread)
    with pytest.raises(UsageError, match="general adapter, which has none"):
        list(attribute(spread, PROMPTS[:1], Settings(hook="pre")))


def test_a_model_that_takes_weights_past_their_modules_is_refused(tmp_path: Path) -> None:
    save(hf_model("deberta-v2"), tmp_path)
    with pytest.raises(ModelError, match=r"does not run when it is spread over devices") as caught:
        load(tmp_path, {"": "disk"})
    assert "\n" not in str(caught.value)


def test_a_gguf_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    with pytest.raises(UsageError, match=r"m\.gguf cannot be spread over devices"):
        load_model(tmp_path / "m.gguf", device="spread")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kndb.models.devices.find_spec", lambda name: None)
    ModelChoice("demo-masked").check()
    with pytest.raises(UsageError, match=r"pip install 'kndb\[spread\]'"):
        ModelChoice("demo-masked", device="spread").check()


def test_several_processes_are_refused(tmp_path: Path) -> None:
    choice = ModelChoice("demo-masked")
    with pytest.raises(UsageError, match="takes --device spread"):
        check_placement(SearchRequest(tmp_path / "k.duckdb", choice, devices=["spread"]))
