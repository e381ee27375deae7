"""Suppressing and enhancing within a block."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from kndb.attribution.suppression import Questions
from kndb.edit.scaling import enhance, scale, suppress
from kndb.errors import UsageError
from kndb.models import LanguageModel
from kndb.neurons import Neuron
from tiny import CAUSAL, MASKED, PROMPTS, tiny

NEURONS = [Neuron(0, 3), Neuron(1, 21), Neuron(2, 47)]


def p_answer(model: LanguageModel[Any], which: int = 0) -> float:
    (target,) = model.targets(*PROMPTS[which])[:1]
    with torch.no_grad():
        logits: Tensor = model.hf(input_ids=torch.tensor([target.tokens])).logits
    return float(logits[0, target.position].softmax(0)[target.answer])


@pytest.mark.parametrize("architecture", [*MASKED, *CAUSAL])
def test_suppressing_agrees_with_the_engine_and_ends_with_its_block(architecture: str) -> None:
    model = tiny(architecture)
    before = p_answer(model)
    (target,) = model.targets(*PROMPTS[0])[:1]
    expected = float(Questions(model, [(target,)]).probabilities([tuple(NEURONS)])[0, 0])
    with suppress(model, NEURONS):
        assert p_answer(model) == pytest.approx(expected, rel=1e-4)
    assert p_answer(model) == pytest.approx(before)
    assert abs(expected - before) > 1e-7


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_enhancing_doubles_what_the_projection_gets(architecture: str) -> None:
    model = tiny(architecture)
    (target,) = model.targets(*PROMPTS[0])[:1]
    tokens = torch.tensor([target.tokens])

    def seen() -> Tensor:
        found: list[Tensor] = []
        # The input of layer 0 does not depend on its own neurons.
        handle = model.down[0].register_forward_pre_hook(lambda m, args: found.append(args[0]))
        with torch.no_grad():
            model.hf(input_ids=tokens)
        handle.remove()
        return found[0][0]

    plain = seen()
    with enhance(model, NEURONS):
        doubled = seen()
    changed = (~torch.isclose(plain, doubled)).nonzero().tolist()
    assert changed == [[target.position, 3]]
    torch.testing.assert_close(doubled[target.position, 3], 2 * plain[target.position, 3])
    with scale(model, NEURONS, 2.0, where="all"):
        everywhere = seen()
    torch.testing.assert_close(everywhere[:, 3], 2 * plain[:, 3])


def test_padding_does_not_hide_the_answer_position() -> None:
    model = tiny("gpt2")
    texts = ["The capital of France is", "People in Germany speak"]
    rows = [model.tokenizer(text)["input_ids"] for text in texts]
    longest = max(map(len, rows))

    def last(padded: bool) -> list[Tensor]:
        with torch.no_grad(), suppress(model, NEURONS):
            if not padded:
                return [model.hf(input_ids=torch.tensor([r])).logits[0, -1] for r in rows]
            tokens = torch.tensor([r + [0] * (longest - len(r)) for r in rows])
            mask = torch.tensor([[1] * len(r) + [0] * (longest - len(r)) for r in rows])
            logits = model.hf(input_ids=tokens, attention_mask=mask).logits
        return [logits[i, len(r) - 1] for i, r in enumerate(rows)]

    assert len({len(r) for r in rows}) == 2
    for alone, batched in zip(last(False), last(True), strict=True):
        torch.testing.assert_close(alone, batched, atol=1e-4, rtol=1e-4)


def test_hooks_are_gone_also_when_the_block_raises() -> None:
    model = tiny("bert")
    before = p_answer(model)
    with pytest.raises(ZeroDivisionError), suppress(model, NEURONS):
        raise ZeroDivisionError
    hooks = [h for m in model.hf.modules() for h in (m._forward_pre_hooks, m._forward_hooks)]
    assert not any(hooks)
    assert p_answer(model) == pytest.approx(before)


def test_generation_suppresses_at_each_newest_token() -> None:
    model = tiny("gpt2")
    start = torch.tensor([model.tokenizer("The capital of France is")["input_ids"]])
    with torch.no_grad(), suppress(model, NEURONS):
        cached = model.hf.generate(start, max_new_tokens=4, do_sample=False)
        assert cached.shape == (1, start.shape[1] + 4)
        first = model.hf(input_ids=start).logits[0, -1].argmax()
    assert cached[0, start.shape[1]] == first


def test_embeddings_do_not_say_where_the_answer_is() -> None:
    model = tiny("bert")
    embeddings = torch.zeros(1, 5, 32)
    with suppress(model, NEURONS), pytest.raises(UsageError, match="pass input_ids"):
        model.hf(inputs_embeds=embeddings)
    with suppress(model, NEURONS, where="all"), torch.no_grad():
        model.hf(inputs_embeds=embeddings)


def test_an_unknown_neuron_is_refused() -> None:
    with pytest.raises(UsageError, match="no neuron 9:1"), suppress(tiny("bert"), [Neuron(9, 1)]):
        pass
