"""From prompts to neuron attributions: the engine. It uses no files and no database.

Prompts are tokenized and sorted into batches of equal length; each is run once as observed and once
per baseline sentence, and the paths of a batch are integrated together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kndb.attribution.adaptive import integrate_adaptive
from kndb.attribution.baselines import baseline_sentences, path_starts
from kndb.attribution.integrated_gradients import integrate_fixed
from kndb.attribution.paths import Follower, PostActivation, PreActivation, straight_paths
from kndb.attribution.prompts import Asked, each_asked
from kndb.attribution.result import Attribution
from kndb.attribution.settings import Settings, preset
from kndb.errors import ModelError
from kndb.models import LanguageModel, Target, Unusable
from kndb.models.asking import read_tokens
from kndb.models.base import check_model
from kndb.models.finite import first_layer, overflown
from kndb.models.memory import Budget, default_budget, out_of_memory, release

LARGEST_BATCH = 64
NO_ROOM = "Memory ran out on a single prompt; use a smaller dtype or another device."


@dataclass(frozen=True, slots=True)
class _Question:
    index: int
    text: str
    answer: str
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
    word_scores: Tensor | None


def attribute(
    model: LanguageModel[Any],
    prompts: Iterable[Asked] | Asked,
    settings: Settings | str = "amig",
    *,
    memory: int | None = None,
    words: bool = True,
) -> Iterator[Attribution]:
    """Attribute each prompt's answer to the model's neurons.

    >>> model = load_model("bert-base-multilingual-cased")                  # doctest: +SKIP
    >>> for found in attribute(model, [("The capital of France is [MASK].", "Paris")]):
    ...     found.show()                                                    # doctest: +SKIP

    Args:
        model: from :func:`kndb.load_model`.
        prompts: facts' prompts, or ``(text with [MASK], answer)`` pairs; or a single one.
        settings: options, or the name of a preset.
        memory: bytes for activations; by default 512 MiB, or a quarter of the free memory on CUDA.
        words: keep what each word of a prompt contributes. Results then take as many times the
            memory as a prompt has words; for many prompts that are kept, say False.

    Returns:
        One result per prompt: first the prompts the model cannot be asked, then the rest by length.

    Raises:
        UsageError: this model cannot be run with these settings, or a pair is none, or its text
            has not exactly one ``[MASK]``.
        ModelError: a single prompt does not fit in memory.
    """
    check_model(model)
    if isinstance(settings, str):
        settings = preset(settings, model.info.family)
    questions: list[_Question] = []
    skipped: list[Attribution] = []
    for index, (text, answer) in enumerate(each_asked(prompts)):
        try:
            questions.append(_Question(index, text, answer, model.targets(text, answer)))
        except Unusable as reason:
            skipped.append(_skipped(index, text, answer, str(reason)))
    questions.sort(key=lambda question: (question.shape, question.index))
    work = _Work(model, settings, Budget(memory or default_budget(model.device)), words)
    return chain(skipped, _attributed(work, questions))


@dataclass(frozen=True)
class _Work:
    """What all batches share. ``words``: whether words' scores are kept, where there are any."""

    model: LanguageModel[Any]
    settings: Settings
    budget: Budget
    words: bool


def _attributed(work: _Work, questions: list[_Question]) -> Iterator[Attribution]:
    for _, alike in groupby(questions, key=lambda question: question.shape):
        yield from _batches(work, list(alike), alone=len(questions) == 1)


def _skipped(
    index: int, text: str, answer: str, reason: str, *, failed: bool = False
) -> Attribution:
    nothing, none = np.zeros((0, 0), dtype=np.float32), float("nan")
    return Attribution(index, reason, none, (), 0, "", none, none, nothing, failed, text, answer)


def _batches(work: _Work, questions: list[_Question], *, alone: bool) -> Iterator[Attribution]:
    """Batches of questions of one length; one that is ``alone`` leaves no memory to release."""
    size = max(1, min(LARGEST_BATCH, work.budget.size // _prompt_bytes(work, questions[0])))
    start = 0
    while start < len(questions):
        batch = questions[start : start + size]
        if not alone:
            release()
        try:
            found = _answer(work, batch)
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


def _prompt_bytes(work: _Work, question: _Question) -> int:
    """Memory of a prompt's sentences: all tokens in the widest layer, plus what each one keeps."""
    model, target = work.model, question.targets[0]
    sentences = 1 + len(baseline_sentences(target, work.settings.baseline))
    width = model.info.n_neurons + 8 * model.width
    kept = model.info.n_layers * (model.info.n_neurons + 6 * model.width)
    scores = 4 * (sentences - 1) * model.info.n_layers * model.info.n_neurons * work.words
    return sentences * (len(target.tokens) * width + kept) * model.dtype.itemsize + scores


def _answer(work: _Work, batch: list[_Question]) -> list[Attribution]:
    """Run a batch: all first answer tokens together, then all second ones, and so on."""
    columns = zip(*(question.targets for question in batch), strict=True)
    by_token = [_attribute_targets(work, targets) for targets in columns]
    return [
        _combine(work.model, question, parts)
        for question, parts in zip(batch, zip(*by_token, strict=True), strict=True)
    ]


def _combine(
    model: LanguageModel[Any], question: _Question, parts: Sequence[_Answered]
) -> Attribution:
    index, text, answer = question.index, question.text, question.answer
    if problem := next((part.problem for part in parts if part.problem), None):
        return _skipped(index, text, answer, problem, failed=True)
    p_tokens = tuple(part.p for part in parts)
    found = Attribution(
        index,
        None,
        sum(p_tokens) / len(p_tokens),
        p_tokens,
        max(part.rank for part in parts),
        model.tokenizer.decode([part.first for part in parts]).strip(),
        max(part.completeness for part in parts),
        max(part.score_error for part in parts),
        torch.stack([part.scores for part in parts]).mean(0).cpu().numpy(),
        text=text,
        answer=answer,
    )
    by_word = [part.word_scores for part in parts if part.word_scores is not None]
    if not by_word:
        return found
    (target, *_) = question.targets
    # A decoder that repeats the text has a word's tokens again, as negative numbers.
    groups = [
        [token for place in word if (token := target.tokens[place]) >= 0] for word in target.words
    ]
    words = tuple(model.tokenizer.decode(tokens).strip() for tokens in groups)
    return replace(found, words=words, word_scores=torch.stack(by_word).mean(0).cpu().numpy())


def _attribute_targets(work: _Work, targets: Sequence[Target]) -> list[_Answered]:
    """Attribute targets of equal length."""
    model, settings = work.model, work.settings
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
    follower = Follower(model, observed, paths, len(targets[0].tokens), work.budget)
    integrate = integrate_fixed if settings.tolerance is None else integrate_adaptive
    integrals = integrate(follower, p, settings)
    scores = paths.summed_scores(integrals.gradients)
    worst = torch.zeros_like(p).scatter_reduce_(0, paths.targets, integrals.residual, "amax")
    whole = (
        scores.sum(2, keepdim=True) if settings.normalise == "layer" else scores.new_ones(n, 1, 1)
    )
    by_word: Sequence[Tensor | None] = [None] * n
    if work.words and settings.baseline == "words":
        each = paths.each_scores(integrals.gradients) / whole[owners]
        by_word = torch.split(each, [len(own) for own in sentences])
    scores = scores / whole
    problems = _problems(neurons, torch.cat([torch.arange(n, device=device), sources]), scores)
    rows = zip(
        *(read, worst.tolist(), integrals.error.tolist(), scores.unbind(0), problems, by_word),
        strict=True,
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
