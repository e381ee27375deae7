"""A model's answers to prompts: probabilities, ranks and first choices. Changes nothing.

The only way to get p(answer) from a model when neither neurons nor gradients are needed. Prompts of
equal length are run together, as many as the memory budget allows, and only the answer positions go
through the head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby, islice
from math import exp, isnan, log, prod
from statistics import fmean
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kndb.models.base import LanguageModel, Target
from kndb.models.finite import Failed, failed, first_layer, overflown
from kndb.models.memory import Budget, default_budget, release
from kndb.models.tokens import Unusable

Question = tuple[str, str]
"""A text with ``[MASK]``, and an answer."""

KNOWN_TEXTS = 4096
"""How many tokenized questions are cached: an edit's prompts are run before and after it."""

WINDOW = 4096
"""How many questions of a stream are sorted by length together."""

MOST_READS = 16
"""The most tokens read in one sequence: the logits of each take memory."""


class TokenReading(NamedTuple):
    """The model's prediction for one token of an answer.

    Attributes:
        log_p: ``ln p`` of the token.
        rank: its rank among all tokens, 1 for the likeliest.
        first: the likeliest token.
        log_p_first: ``ln p`` of the likeliest token.
    """

    log_p: float
    rank: int
    first: int
    log_p_first: float

    @property
    def p(self) -> float:
        """Probability of the token."""
        return exp(self.log_p)


@dataclass(frozen=True, slots=True)
class Answer:
    """The model's answer to a question.

    Attributes:
        p: probability of the answer: the mean over its tokens.
        p_tokens: each token's probability.
        rank: rank of the answer among all tokens; for several tokens, the worst of their ranks.
        surprise: ``-ln p``, the mean over the answer's tokens.
        first_choice: the model's first choice, with as many tokens as the answer; in a causal
            model, each later token is predicted after the answer's own earlier tokens.
        p_first: probability of that choice: the mean over its tokens.
    """

    p: float
    p_tokens: tuple[float, ...]
    rank: int
    surprise: float
    first_choice: str
    p_first: float

    @property
    def p_whole(self) -> float:
        """Probability of the answer as a whole: the product over its tokens.

        The mean, ``p``, is no measure for answers of different lengths: later tokens of a wrong
        name, given its first ones, are often certain.
        """
        return prod(self.p_tokens)

    @property
    def is_first(self) -> bool:
        """Whether every token of the answer is the model's first choice."""
        return self.rank == 1


class _Read(NamedTuple):
    """An answer token to read: its question, its place in the answer, and its position."""

    question: int
    place: int
    position: int
    token: int


@dataclass(frozen=True, slots=True)
class _Sequence:
    """One sequence to run, and the tokens to read in it."""

    tokens: tuple[int, ...]
    reads: list[_Read] = field(default_factory=list)


class Asker:
    """Asks a model questions, with its weights and hooks as they are at the time.

    Repeated questions run in the same batches, so an unchanged model gives exactly the same
    answers, unless memory ran out in between.

    Args:
        model: from ``load_model``.
        memory: bytes for activations; the device's default when None.
        shared_prefix: read all tokens of a causal model's answer in one sequence. This is faster,
            but wrong under :func:`kndb.edit.scaling.scale`, which changes only a sequence's last
            token.
    """

    def __init__(
        self, model: LanguageModel[Any], memory: int | None = None, *, shared_prefix: bool = False
    ) -> None:
        self.model = model
        self.budget = Budget(memory or default_budget(model.device))
        self.together = shared_prefix or model.info.family == "masked_lm"
        self.targets = lru_cache(KNOWN_TEXTS)(self._targets)

    def _targets(self, text: str, answer: str) -> tuple[Target, ...] | str:
        try:
            return self.model.targets(text, answer)
        except Unusable as reason:
            return str(reason)

    def ask(self, questions: Sequence[Question]) -> list[Answer | str]:
        """An answer for each question, or the reason there is none.

        The reason is :class:`Failed` if the model's numbers are not finite; otherwise the model
        cannot be asked.

        Raises:
            ModelError: a single question does not fit in memory.
        """
        targets = [self.targets(*question) for question in questions]
        sequences = sorted(self._sequences(targets), key=lambda one: len(one.tokens))
        tokens: dict[tuple[int, int], TokenReading] = {}
        for _, alike in groupby(sequences, key=lambda one: len(one.tokens)):
            for found in self._run(list(alike)):
                tokens |= found
        return [
            own
            if isinstance(own, str)
            else self._answer(questions[i][0], own, [tokens[i, t] for t in range(len(own))])
            for i, own in enumerate(targets)
        ]

    def stream(
        self,
        questions: Iterable[Question],
        progress: Callable[[int], None] = lambda done: None,
        *,
        window: int = WINDOW,
    ) -> Iterator[Answer | str]:
        """Like :meth:`ask`, for any number of questions, in order; few are in memory at a time.

        >>> for question, answer in zip(questions, asker.stream(questions)):    # doctest: +SKIP
        ...     if not isinstance(answer, str) and answer.rank <= 10:
        ...         print(question, answer.p)

        Args:
            questions: any iterable.
            progress: called with the number of questions asked so far.
            window: how many questions are read ahead and sorted by length together.

        Raises:
            ModelError: a single question does not fit in memory.
        """
        waiting, done = iter(questions), 0
        while batch := list(islice(waiting, window)):
            if done:
                release()
            answers = self.ask(batch)
            done += len(batch)
            progress(done)
            yield from answers

    def _sequences(self, targets: Sequence[tuple[Target, ...] | str]) -> list[_Sequence]:
        """The sequences that the questions need; questions with the same sequence share it."""
        found: list[_Sequence] = []
        newest: dict[tuple[int, ...], _Sequence] = {}
        for number, own in enumerate(targets):
            if isinstance(own, str):
                continue
            for place, target in enumerate(own):
                # The last target's sequence contains those of the tokens before it.
                tokens = own[-1].tokens if self.together else target.tokens
                sequence = newest.get(tokens)
                if sequence is None or len(sequence.reads) >= MOST_READS:
                    sequence = newest[tokens] = _Sequence(tokens)
                    found.append(sequence)
                sequence.reads.append(_Read(number, place, target.position, target.answer))
        return found

    def _run(self, sequences: Sequence[_Sequence]) -> Iterator[dict[tuple[int, int], TokenReading]]:
        """Readings of sequences of equal length, by question and place."""
        costs = [self._bytes(sequence) for sequence in sequences]
        yield from self.budget.run(costs, lambda part: self._read(sequences[part]))

    @torch.no_grad()
    def _read(self, sequences: Sequence[_Sequence]) -> dict[tuple[int, int], TokenReading]:
        reads = [read for sequence in sequences for read in sequence.reads]
        hidden = self.model.last_hidden(
            self._tensor([sequence.tokens for sequence in sequences]),
            self._tensor([row for row, one in enumerate(sequences) for _ in one.reads]),
            self._tensor([read.position for read in reads]),
        )
        answers = self._tensor([read.token for read in reads])
        readings = read_tokens(self.model.logits(hidden), answers)
        places = ((read.question, read.place) for read in reads)
        return dict(zip(places, readings, strict=True))

    def _tensor(self, values: Sequence[Any]) -> Tensor:
        return torch.tensor(values, device=self.model.device)

    def _bytes(self, sequence: _Sequence) -> int:
        """Memory of a sequence in its widest layer, and of the logits read, with working copies."""
        inside = len(sequence.tokens) * (3 * self.model.info.n_neurons + 8 * self.model.width)
        logits = 12 * len(sequence.reads) * len(self.model.unembedding.weight)
        return inside * self.model.dtype.itemsize + logits

    def _answer(
        self, text: str, targets: Sequence[Target], tokens: Sequence[TokenReading]
    ) -> Answer | Failed:
        if any(isnan(token.log_p) or isnan(token.log_p_first) for token in tokens):
            return failed(self._overflown_layer(targets), text)
        p_tokens = tuple(token.p for token in tokens)
        return Answer(
            fmean(p_tokens),
            p_tokens,
            max(token.rank for token in tokens),
            -fmean(token.log_p for token in tokens),
            self.model.tokenizer.decode([token.first for token in tokens]).strip(),
            fmean(exp(token.log_p_first) for token in tokens),
        )

    @torch.no_grad()
    def _overflown_layer(self, targets: Sequence[Target]) -> str | None:
        """The first layer whose activations are not finite, in words, with its weights as now."""
        wrong = []
        for target in targets:
            positions = self._tensor([target.position])
            _, neurons = self.model.observe(self._tensor([target.tokens]), positions, 1)
            wrong.append(overflown(neurons))
        return first_layer("activations", torch.cat(wrong).any(0))


def read_tokens(logits: Tensor, answers: Tensor) -> list[TokenReading]:
    """Read the tokens of answers from their logits.

    >>> (found,) = read_tokens(torch.tensor([[1.0, 3.0, 2.0]]), torch.tensor([2]))
    >>> round(found.p, 4), found.rank, found.first
    (0.2447, 2, 1)

    Args:
        logits: ``(rows, vocabulary)``, float32.
        answers: ``(rows,)``, one token per row.
    """
    best, first = logits.max(1)
    chosen = logits.gather(1, answers[:, None])
    rank = 1 + (logits > chosen).sum(1)
    mass = (logits - best[:, None]).exp_().sum(1)
    rows = zip(
        chosen[:, 0].tolist(),
        best.tolist(),
        mass.tolist(),
        rank.tolist(),
        first.tolist(),
        strict=True,
    )  # float64 from here on, so that p need not underflow
    return [TokenReading(z - top - log(m), n, at, -log(m)) for z, top, m, n, at in rows]
