"""Encoder-decoders, asked at the decoder's position, against whole runs of the model."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, processors
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from attribution.naive import Naive
from kndb.attribution import PRESETS, Settings, attribute
from kndb.attribution.suppression import Questions
from kndb.edit.activations import token_activations
from kndb.edit.scaling import suppress
from kndb.errors import ModelError, UsageError
from kndb.models import LanguageModel, Target, load_model
from kndb.models.architectures import Unlisted
from kndb.models.asking import Asker
from kndb.models.loading import adapt
from kndb.neurons import Neuron
from tiny import PROMPTS, byte_tokenizer, hf_model

ARCHITECTURES = ["mt5", "t5", "mbart", "bart"]
SETS = [(Neuron(0, 3),), (Neuron(0, 3), Neuron(1, 21)), (Neuron(1, 0), Neuron(2, 47))]


def tokenizer(architecture: str) -> Any:
    """As these models have them: mBART's language is ``<s>``, after the end of the sentence."""
    kind = "t5" if "t5" in architecture else architecture
    words = Tokenizer.from_str(byte_tokenizer().backend_tokenizer.to_str())
    form = {
        "t5": "$A <|endoftext|>",
        "bart": "<s> $A <|endoftext|>",
        "mbart": "$A <|endoftext|> <s>",
    }
    words.post_processor = processors.TemplateProcessing(
        single=form[kind], special_tokens=[("<|endoftext|>", 0), ("<s>", 1)]
    )
    mask: dict[str, Any] = {"mask_token": "<mask>"}
    if kind == "t5":
        mask = {"additional_special_tokens": ["<extra_id_0>"]}
    return PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<s>", eos_token="<|endoftext|>", **mask
    )


@cache
def model(architecture: str) -> LanguageModel[Any]:
    words = tokenizer(architecture)
    special = {"decoder_start_token_id": 1, "pad_token_id": 3}
    hf = hf_model(architecture, vocab_size=len(words), **special)
    return adapt(hf, words, Unlisted("seq2seq"), architecture)


def border(target: Target) -> int:
    return sum(token >= 0 for token in target.tokens)


class Split:
    """Runs the model on sequences whose decoder part is stored as negative numbers."""

    def __init__(self, hf: Any) -> None:
        self.hf = hf

    def __call__(self, input_ids: Tensor) -> Any:
        parts = []
        for row in input_ids.tolist():
            at = next(i for i, token in enumerate(row) if token < 0)
            parts.append((row[:at], [-1 - token if token < 0 else token for token in row[at:]]))
        encoder, decoder = (torch.tensor(part) for part in zip(*parts, strict=True))
        return SimpleNamespace(logits=self.hf(input_ids=encoder, decoder_input_ids=decoder).logits)


def naive(found: LanguageModel[Any]) -> Naive:
    return Naive(Split(found.hf), found.down, before=True)


def in_decoder(target: Target) -> Target:
    return replace(target, position=target.position - border(target))


@pytest.mark.parametrize(
    "architecture",
    [
        pytest.param(a, marks=[] if a in ("t5", "bart") else [pytest.mark.long])
        for a in ARCHITECTURES
    ],
)
def test_scores_and_answers_are_those_of_whole_runs(architecture: str) -> None:
    own = model(architecture)
    assert own.adapter == "general"
    assert (own.info.family, own.info.n_layers, own.info.n_neurons) == ("causal_lm", 3, 48)
    for prompt in (PROMPTS[0], PROMPTS[2]):
        targets = [in_decoder(target) for target in own.targets(*prompt)]
        slow = naive(own)
        due = torch.stack([slow.ig_zero(target, steps=2) for target in targets]).mean(0)
        (found,) = attribute(own, [prompt], PRESETS["ig-zero"].changed(nodes=2))
        close(torch.from_numpy(found.scores), due)
        for shared_prefix in (False, True):
            (answer,) = Asker(own, shared_prefix=shared_prefix).ask([prompt])
            assert not isinstance(answer, str)
            assert answer.p_tokens == pytest.approx(found.p_tokens, rel=1e-4)


@pytest.mark.parametrize("architecture", ["mt5", "mbart"])
def test_words_are_masked_where_they_stand(architecture: str) -> None:
    own = model(architecture)
    (found,) = attribute(own, PROMPTS[:1], PRESETS["amig-paper"].changed(nodes=3, normalise="none"))
    targets = [in_decoder(target) for target in own.targets(*PROMPTS[0])]
    due = torch.stack([naive(own).amig_paper(target, steps=3) for target in targets]).mean(0)
    close(torch.from_numpy(found.scores), due)
    assert found.words[:5] == ("The", "capital", "of", "France", "is")


@pytest.mark.parametrize("architecture", ["mt5", "mbart"])
def test_suppression_of_prompts_of_several_lengths(architecture: str) -> None:
    own = model(architecture)
    every = [own.targets(*prompt) for prompt in PROMPTS]
    by_length = {(len(t.tokens), border(t)) for targets in every for t in targets}
    assert len(by_length) > len({length for length, _ in by_length})  # borders differ in a batch
    p = Questions(own, every).probabilities(SETS)
    for row, targets in enumerate(every):
        for column in (1, 2):
            due = [suppressed(own, target, SETS[column]) for target in targets]
            assert float(p[row, column]) == pytest.approx(sum(due) / len(due), rel=1e-4)


def suppressed(own: LanguageModel[Any], target: Target, neurons: Any) -> float:
    """The answer's probability in a run of the model itself, within the block of the library."""
    with suppress(own, neurons), torch.no_grad():
        at = border(target)
        decoder = torch.tensor([[-1 - token for token in target.tokens[at:]]])
        encoder = torch.tensor([target.tokens[:at]])
        logits = own.hf(input_ids=encoder, decoder_input_ids=decoder).logits
    return float(logits[0, -1].softmax(0)[target.answer])


@pytest.mark.parametrize(
    ("architecture", "encoder", "decoder"),
    [
        ("mt5", "The capital of<extra_id_0> is Paris .$", "^<extra_id_0>"),
        ("mbart", "The capital of<mask> is Paris .$^", "^The capital of"),
        ("bart", "^The capital of<mask> is Paris .$", "^^The capital of"),
    ],
)
def test_what_the_two_parts_get(architecture: str, encoder: str, decoder: str) -> None:
    own = model(architecture)
    (target, *_) = own.targets("The capital of [MASK] is Paris .", "France")
    at = border(target)
    parts = (target.tokens[:at], [-1 - token for token in target.tokens[at:]])
    shown = [own.tokenizer.decode(part).replace("<|endoftext|>", "$") for part in parts]
    assert [part.replace("<s>", "^").replace(" <", "<") for part in shown] == [encoder, decoder]
    # The decoder's "The", "capital" and "of" are masked with the encoder's.
    repeated = [len([i for i in word if i >= at]) for word in target.words]
    assert (sum(repeated) > 0) == ("bart" in architecture)
    assert len(target.words) == 6


def test_activations_at_every_token_are_the_decoders() -> None:
    own = model("mt5")
    targets = own.targets(*PROMPTS[2])
    found = token_activations(own, targets[:1], [0, 2])
    assert [tuple(part.shape) for part in found.values()] == [(2, 48), (2, 48)]


@pytest.mark.parametrize("architecture", ["mt5", "mbart"])
def test_loading_a_folder(architecture: str, tmp_path: Path) -> None:
    own = model(architecture)
    own.hf.save_pretrained(tmp_path)
    own.tokenizer.save_pretrained(tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.info.n_neurons == 48
    assert loaded.targets(*PROMPTS[0]) == own.targets(*PROMPTS[0])
    (one,), (other,) = (Asker(each).ask(PROMPTS[:1]) for each in (own, loaded))
    assert not isinstance(one, str)
    assert not isinstance(other, str)
    assert one.p_tokens == pytest.approx(other.p_tokens, rel=1e-5)


def test_refusals() -> None:
    with pytest.raises(UsageError, match="general adapter"):
        list(attribute(model("mt5"), PROMPTS[:1], Settings(hook="pre")))
    hf = hf_model("mt5")
    with pytest.raises(ModelError, match="has no mask token or <extra_id_0> token"):
        adapt(hf, byte_tokenizer(), Unlisted("seq2seq"), "m")


def close(found: Tensor, due: Tensor) -> None:
    assert float((found - due).norm()) < 1e-4 * float(due.norm())
