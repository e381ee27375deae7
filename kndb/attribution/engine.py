"""From prompts to neuron attributions: the engine. It uses no files and no database.

Prompts are tokenized and sorted into batches of equal length; each is run once as observed and once
per baseline sentence, and the paths of a batch are integrated together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kndb.attribution.adaptive import integrate_adaptive
from kndb.attribution.baselines import baseline_sentences, path_starts
from kndb.attribution.integrated_gradients import integrate_fixed
from kndb.attribution.paths import Follower, PostActivation, PreActivation, straight_paths
from kndb.attribution.settings import Settings, preset
from kndb.errors import ModelError
from kndb.facts import Prompt
from kndb.models import LanguageModel, Target, Unusable
from kndb.models.asking import read_tokens
from kndb.models.finite import first_layer, overflown
from kndb.models.memory import Budget, default_budget, out_of_memory, release

LARGEST_BATCH = 64
NO_ROOM = "Memory ran out on a single prompt; use a smaller dtype or another device."


@dataclass(frozen=True)
class Attribution:
    """What the engine found for one prompt.

    Attributes:
        index: the prompt's number in the input.
        reason: why there are no scores, or None.
        p_answer: the answer's probability: the mean over its tokens.
        p_tokens: each token's probability.
        rank: rank of the answer among all tokens, 1 for the model's first choice; for several
            tokens, the worst of their ranks.
        predicted: the model's own first choice.
        completeness: the worst relative residual among the prompt's paths.
        score_error: the larger of two estimates: the L2 error of the scores relative to their L2
            norm, and the largest error of a neuron relative to the top score; NaN for a fixed rule,
            which gives no estimate.
        scores: ``(n_layers, n_neurons)`` float32, the mean over the answer's tokens; empty if
            there is a ``reason``.
        failed: whether the model was asked, and gave numbers that are not finite; the reason names
            the layer. Otherwise a reason says why it could not be asked.
    """

    index: int
    reason: str | None
    p_answer: float
    p_tokens: tuple[float, ...]
    rank: int
    predicted: str
    completeness: float
    score_error: float
    scores: NDArray[np.float32]
    failed: bool = False

    def top(self, n: int = 20) -> list[tuple[int, int, float]]:
        """The ``n`` neurons with the highest scores, as ``(layer, neuron, score)``."""
        best = np.argsort(-self.scores, axis=None)[:n]
        layers, neurons = np.unravel_index(best, self.scores.shape)
        return [
            (int(layer), int(neuron), float(self.scores[layer, neuron]))
            for layer, neuron in zip(layers, neurons, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class _Question:
    index: int
    targets: tuple[Target, ...]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.targets), len(self.targets[0].tokens)


@dataclass(frozen=True)
class _Answered:
    """Results of one target."""

    p: float
    rank: int
    first: int
    completeness: float
    score_error: float
    scores: Tensor
    problem: str | None


def attribute(
    model: LanguageModel[Any],
    prompts: Iterable[Prompt | tuple[str, str]],
    settings: Settings | str = "amig",
    *,
    memory: int | None = None,
) -> Iterator[Attribution]:
    """Attribute each prompt's answer to the model's neurons.

    >>> model = load_model("bert-base-multilingual-cased")                  # doctest: +SKIP
    >>> for found in attribute(model, [("The capital of France is [MASK].", "Paris")]):
    ...     print(found.p_answer, found.top(3))                             # doctest: +SKIP

    Args:
        model: from :func:`kndb.load_model`.
        prompts: facts' prompts, or ``(text with [MASK], answer)`` pairs.
        settings: options, or the name of a preset.
        memory: bytes for activations; by default 160 MiB, or a quarter of the free memory on CUDA.

    Yields:
        One result per prompt: first the prompts the model cannot be asked, then the rest by length.

    Raises:
        UsageError: this model cannot be run with these settings.
        ModelError: a single prompt does not fit in memory.
    """
    if isinstance(settings, str):
        settings = preset(settings, model.info.family)
    questions: list[_Question] = []
    for index, prompt in enumerate(prompts):
        text, answer = (prompt.text, prompt.answer) if isinstance(prompt, Prompt) else prompt
        try:
            questions.append(_Question(index, model.targets(text, answer)))
        except Unusable as reason:
            yield _skipped(index, str(reason))
    questions.sort(key=lambda question: (question.shape, question.index))
    budget = Budget(memory or default_budget(model.device))
    for _, alike in groupby(questions, key=lambda question: question.shape):
        yield from _batches(model, list(alike), settings, budget, alone=len(questions) == 1)


def _skipped(index: int, reason: str, *, failed: bool = False) -> Attribution:
    nothing, none = np.zeros((0, 0), dtype=np.float32), float("nan")
    return Attribution(index, reason, none, (), 0, "", none, none, nothing, failed)


def _batches(
    model: LanguageModel[Any],
    questions: list[_Question],
    settings: Settings,
    budget: Budget,
    *,
    alone: bool,
) -> Iterator[Attribution]:
    """Batches of questions of one length; one that is ``alone`` leaves no memory to release."""
    size = max(1, min(LARGEST_BATCH, budget.size // _prompt_bytes(model, questions[0], settings)))
    start = 0
    while start < len(questions):
        batch = questions[start : start + size]
        if not alone:
            release()
        try:
            found = _answer(model, batch, settings, budget)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            found = None
        if found is None:  # outside the except block, which keeps the failed tensors alive
            if len(batch) == 1:
                raise ModelError(NO_ROOM)
            size = len(batch) // 2
            continue
        yield from found
        start += len(batch)


def _prompt_bytes(model: LanguageModel[Any], question: _Question, settings: Settings) -> int:
    """Memory of a prompt's sentences: all tokens in the widest layer, plus what each one keeps."""
    target = question.targets[0]
    sentences = 1 + len(baseline_sentences(target, settings.baseline))
    width = model.info.n_neurons + 8 * model.width
    kept = model.info.n_layers * (model.info.n_neurons + 6 * model.width)
    return sentences * (len(target.tokens) * width + kept) * model.dtype.itemsize


def _answer(
    model: LanguageModel[Any], batch: list[_Question], settings: Settings, budget: Budget
) -> list[Attribution]:
    """Run a batch: all first answer tokens together, then all second ones, and so on."""
    columns = zip(*(question.targets for question in batch), strict=True)
    by_token = [_attribute_targets(model, targets, settings, budget) for targets in columns]
    return [
        _combine(model, question.index, parts)
        for question, parts in zip(batch, zip(*by_token, strict=True), strict=True)
    ]


def _combine(model: LanguageModel[Any], index: int, parts: Sequence[_Answered]) -> Attribution:
    if problem := next((part.problem for part in parts if part.problem), None):
        return _skipped(index, problem, failed=True)
    scores = torch.stack([part.scores for part in parts]).mean(0)
    p_tokens = tuple(part.p for part in parts)
    return Attribution(
        index,
        None,
        sum(p_tokens) / len(p_tokens),
        p_tokens,
        max(part.rank for part in parts),
        model.tokenizer.decode([part.first for part in parts]).strip(),
        max(part.completeness for part in parts),
        max(part.score_error for part in parts),
        scores.cpu().numpy(),
    )


def _attribute_targets(
    model: LanguageModel[Any], targets: Sequence[Target], settings: Settings, budget: Budget
) -> list[_Answered]:
    """Attribute targets of equal length."""
    device = model.device
    sentences = [baseline_sentences(target, settings.baseline) for target in targets]
    sources = torch.tensor(
        [i for i, own in enumerate(sentences) for _ in own], device=device
    ).long()
    tokens = [target.tokens for target in targets] + [s for own in sentences for s in own]
    positions = torch.tensor([target.position for target in targets], device=device)
    answers = torch.tensor([target.answer for target in targets], device=device)
    n, pre = len(targets), settings.hook == "pre"
    observed, neurons = model.observe(
        torch.tensor(tokens, device=device), torch.cat([positions, positions[sources]]), n, pre=pre
    )
    ends = [layer[:n] for layer in neurons]
    starts, owners = path_starts(ends, [layer[n:] for layer in neurons], sources, settings.baseline)
    space = (PreActivation if pre else PostActivation)(model)
    paths = straight_paths(space, starts, ends, owners, answers, settings.factor)
    read = read_tokens(observed.logits, answers)
    p = torch.tensor([token.p for token in read], device=device)
    follower = Follower(model, observed, paths, len(targets[0].tokens), budget)
    integrate = integrate_fixed if settings.tolerance is None else integrate_adaptive
    integrals = integrate(follower, p, settings)
    scores = paths.summed_scores(integrals.gradients)
    if settings.normalise == "layer":
        scores = scores / scores.sum(2, keepdim=True)
    worst = torch.zeros_like(p).scatter_reduce_(0, paths.targets, integrals.residual, "amax")
    problems = _problems(neurons, torch.cat([torch.arange(n, device=device), sources]), scores)
    rows = zip(
        read, worst.tolist(), integrals.error.tolist(), scores.unbind(0), problems, strict=True
    )
    return [_Answered(token.p, token.rank, token.first, *results) for token, *results in rows]


def _problems(neurons: Sequence[Tensor], owners: Tensor, scores: Tensor) -> list[str | None]:
    """For each target, the first layer whose numbers are not finite, in words, or None.

    Args:
        neurons: per layer, ``(sequences, n_neurons)``.
        owners: ``(sequences,)``, the target of each sequence.
        scores: ``(targets, n_layers, n_neurons)``.
    """
    wrong = overflown(neurons).int()
    activations = wrong.new_zeros(scores.shape[:2]).index_add_(0, owners, wrong) > 0
    return [
        first_layer("activations", asked) or first_layer("scores", found)
        for asked, found in zip(activations, ~scores.isfinite().all(2), strict=True)
    ]
