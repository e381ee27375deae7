"""A model's answers to prompts, against whole runs of the Transformers model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from kndb.errors import ModelError
from kndb.models import LanguageModel, Target
from kndb.models.architectures import ARCHITECTURES
from kndb.models.asking import Answer, Asker, Question, read_tokens
from kndb.models.finite import Failed
from kndb.models.loading import adapt
from overflowing import overflowing
from tiny import CAUSAL, MASKED, PROMPTS, hf_model, tiny, tokenizer_of

GPT2 = tokenizer_of("gpt2"), ARCHITECTURES["gpt2"], "gpt2"


def naive(model: LanguageModel[Any], target: Target) -> Tensor:
    """Log probabilities of all tokens at the answer position: one whole run in float64."""
    with torch.no_grad():
        logits = model.hf(input_ids=torch.tensor([target.tokens])).logits
    found: Tensor = logits[0, target.position].double().log_softmax(-1)
    return found


def answered(asker: Asker, *questions: Question) -> list[Answer]:
    found = [one for one in asker.ask(questions) if not isinstance(one, str)]
    assert len(found) == len(questions)
    return found


@pytest.mark.parametrize("shared_prefix", [False, True])
@pytest.mark.parametrize("architecture", MASKED + CAUSAL)
def test_answers_are_those_of_whole_runs(architecture: str, shared_prefix: bool) -> None:
    model = tiny(architecture)
    asker = Asker(model, shared_prefix=shared_prefix)
    found = asker.ask([*PROMPTS, ("no placeholder", "Paris")])
    assert found[-1] == "no placeholder for the answer"
    lengths = set()
    for prompt, answer in zip(PROMPTS, found[:-1], strict=True):
        assert not isinstance(answer, str)
        targets = model.targets(*prompt)
        lengths.add(len(targets))
        rows = [naive(model, target) for target in targets]
        own = [row[target.answer] for row, target in zip(rows, targets, strict=True)]
        ranks = [int((row > p).sum()) + 1 for row, p in zip(rows, own, strict=True)]
        assert answer.p_tokens == pytest.approx([float(p.exp()) for p in own], rel=1e-4)
        assert answer.p == pytest.approx(sum(answer.p_tokens) / len(own), rel=1e-12)
        assert answer.surprise == pytest.approx(-sum(map(float, own)) / len(own), rel=1e-4)
        assert answer.rank == max(ranks)
        assert answer.is_first == (ranks == [1] * len(ranks))
        best = [float(row.max().exp()) for row in rows]
        assert answer.p_first == pytest.approx(sum(best) / len(best), rel=1e-4)
        first = model.tokenizer.decode([int(row.argmax()) for row in rows]).strip()
        assert answer.first_choice == first
    assert len(lengths) > 1


def test_the_first_choice_is_first() -> None:
    asker = Asker(tiny("bert"))
    text = PROMPTS[0][0]
    (before,) = answered(asker, (text, "Paris"))
    (again,) = answered(asker, (text, before.first_choice))
    assert again.is_first
    assert again.p == again.p_first >= before.p


def test_a_probability_too_small_for_float32_is_not_zero() -> None:
    (found,) = read_tokens(torch.tensor([[0.0, 200.0]]), torch.tensor([0]))
    assert found == (-200.0, 2, 1, 0.0)


def test_questions_that_need_the_same_sequence_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("bert")
    sizes = recorded_sizes(model, monkeypatch)
    text = PROMPTS[0][0]
    words = ["Paris", "German", "Spain", "euro"]
    together = answered(Asker(model), *((text, word) for word in words))
    assert sizes == [1]
    monkeypatch.setattr("kndb.models.asking.MOST_READS", 2)
    apart = answered(Asker(model), *((text, word) for word in words))
    assert sizes == [1, 2]
    for one, other in zip(together, apart, strict=True):
        assert one.p == pytest.approx(other.p, rel=1e-5)


def recorded_sizes(
    model: LanguageModel[Any], monkeypatch: pytest.MonkeyPatch, limit: int = 10**9
) -> list[int]:
    """The sizes of all batches from now on; those above the limit run out of memory."""
    sizes: list[int] = []
    real = model.last_hidden

    def last_hidden(tokens: Tensor, rows: Tensor, positions: Tensor) -> Tensor:
        sizes.append(len(tokens))
        if len(tokens) > limit:
            raise torch.OutOfMemoryError
        return real(tokens, rows, positions)

    monkeypatch.setattr(model, "last_hidden", last_hidden)
    return sizes


QUESTIONS = [
    (f"{start} {name} is [MASK] .", answer)
    for start in ("The capital of", "People in")
    for name in ("France", "Spain", "Japan", "Germany")
    for answer in ("Paris", "New Tokyo")
]


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_batches_are_halved_when_memory_runs_out(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny(architecture)
    whole = answered(Asker(model), *QUESTIONS)
    sizes = recorded_sizes(model, monkeypatch, limit=2)
    parts = answered(Asker(model), *QUESTIONS)
    assert max(sizes) > 2
    assert [one.rank for one in parts] == [one.rank for one in whole]
    for part, one in zip(parts, whole, strict=True):
        assert part.p_tokens == pytest.approx(one.p_tokens, rel=1e-5)
    recorded_sizes(model, monkeypatch, limit=0)
    with pytest.raises(ModelError, match="single item"):
        Asker(model).ask(QUESTIONS)


def test_a_budget_bounds_the_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("gpt2")
    sizes = recorded_sizes(model, monkeypatch)
    Asker(model, memory=1).ask(QUESTIONS)
    assert set(sizes) == {1}


def test_the_same_questions_get_exactly_the_same_answers() -> None:
    asker = Asker(tiny("bert"))
    assert asker.ask(QUESTIONS) == asker.ask(QUESTIONS)


def test_a_stream_keeps_the_order_and_reads_little_ahead() -> None:
    asker = Asker(tiny("gpt2"))
    taken: list[Question] = []
    done: list[int] = []

    def questions() -> Iterator[Question]:
        for question in [*QUESTIONS, ("no placeholder", "Paris")]:
            taken.append(question)
            yield question

    stream = asker.stream(questions(), done.append, window=3)
    first = next(stream)
    assert (len(taken), done) == (3, [3])
    found = [first, *stream]
    assert done == [3, 6, 9, 12, 15, 17]
    assert found[-1] == "no placeholder for the answer"
    for one, other in zip(found[:-1], answered(asker, *QUESTIONS), strict=True):
        assert not isinstance(one, str)
        assert one.p == pytest.approx(other.p, rel=1e-5)


@pytest.mark.parametrize("shared_prefix", [False, True])
@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_numbers_that_are_not_finite_name_layer_and_prompt(
    architecture: str, shared_prefix: bool
) -> None:
    model = tiny(architecture)
    text, answer = PROMPTS[2]
    japan = next(
        token
        for token in model.targets(text, answer)[0].tokens
        if all(token not in model.targets(*prompt)[0].tokens for prompt in PROMPTS[:2])
    )
    whole = Asker(model, shared_prefix=shared_prefix).ask(PROMPTS[:2])
    with overflowing(model, japan):
        found = Asker(model, shared_prefix=shared_prefix).ask(PROMPTS[:3])
    for own, before in zip(found[:2], whole, strict=True):
        assert isinstance(own, Answer)
        assert isinstance(before, Answer)
        assert own.p == pytest.approx(before.p, rel=1e-4)
    assert isinstance(found[2], Failed)
    assert found[2] == f"the activations of layer 0 are not finite for the prompt {text!r}"


def test_an_output_that_is_not_finite_is_said() -> None:
    model = adapt(hf_model("gpt2", tie_word_embeddings=False), *GPT2)
    model.unembedding.weight.data.fill_(3e38)
    (found,) = Asker(model).ask(PROMPTS[:1])
    assert found == f"the output of the model is not finite for the prompt {PROMPTS[0][0]!r}"
